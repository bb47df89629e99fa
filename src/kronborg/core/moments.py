"""Moments as people read them."""

from __future__ import annotations

from datetime import datetime

_STEPS = ((3600, 60, "minute"), (86400, 3600, "hour"), (86400 * 30, 86400, "day"))


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `5 minutes ago`, `3 days ago`; the date when it is more than a month."""
    seconds = (now - moment).total_seconds()
    if seconds < 90:
        return "just now"
    for limit, unit, word in _STEPS:
        if seconds < limit:
            count = max(1, int(seconds // unit))
            return f"{count} {word}{'' if count == 1 else 's'} ago"
    return f"on {day(moment)}"


def day(moment: datetime) -> str:
    """`23 November 2026`."""
    return f"{moment.day} {moment:%B %Y}"


def moment(at: datetime) -> str:
    """`2026-11-23 14:05 UTC`."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
