"""Moments as people read them, in the language of the page."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.languages import N_, many, spoken, translate

MONTHS = (
    *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June")),
    *(N_("July"), N_("August"), N_("September"), N_("October"), N_("November"), N_("December")),
)


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `5 minutes ago`, `3 days ago`; the date when it is more than a month."""
    seconds = (now - moment).total_seconds()
    if seconds < 90:
        return translate(N_("just now"))
    if seconds < 3600:
        return spoken(many("%(num)s minute ago", "%(num)s minutes ago", int(seconds // 60)))
    if seconds < 86400:
        return spoken(many("%(num)s hour ago", "%(num)s hours ago", int(seconds // 3600)))
    if seconds < 86400 * 30:
        return spoken(many("%(num)s day ago", "%(num)s days ago", int(seconds // 86400)))
    return translate(N_("on %(day)s")) % {"day": day(moment)}


def day(moment: datetime) -> str:
    """`23 November 2026`."""
    parts = {"day": moment.day, "month": translate(MONTHS[moment.month - 1]), "year": moment.year}
    return translate(N_("%(day)s %(month)s %(year)s")) % parts


def second(at: datetime) -> str:
    """`2026-11-23 14:05:09`, UTC: for tables whose head says so."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def moment(at: datetime) -> str:
    """`2026-11-23 14:05 UTC`."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
