"""`/console/surface`: the score, findings and what to do about each, what is published, what changed between dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import Paging, actor_of, asked, done_of, may, paged
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.traffic.surface_charts import Trend, trend_of
from kronborg.traffic.surface_diff import by_path
from kronborg.traffic.surface_kinds_model import KINDS, FindingKind
from kronborg.traffic.surface_model import (
    SEVERITIES,
    Acknowledgement,
    Day,
    Differences,
    Exposure,
    Finding,
    Listener,
    Severity,
)
from kronborg.traffic.surface_refresh import acknowledge, compare, last_surface, withdraw
from kronborg.traffic.surface_score import counts_of, worth_of
from kronborg.traffic.surface_store import list_acknowledgements, list_days

HOME = "/console/surface"
SURFACE = Resource("surface")
ROWS = 50
SHOWN_CHANGES = 200
DONE = {
    "acknowledged": "It is acknowledged, and counts again when its time is over.",
    "reopened": "It counts again. The score follows when the surface is judged next.",
}
TABS = (
    ("findings", HOME, "Findings"),
    ("published", f"{HOME}/published", "Everything published"),
    ("listeners", f"{HOME}/listeners", "Listeners"),
    ("changes", f"{HOME}/changes", "What changed"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A finding with the words of its kind, and who acknowledged it."""

    finding: Finding
    kind: FindingKind
    known: Acknowledgement | None


@dataclass(frozen=True, slots=True)
class FindingsPage(ConsolePage):
    """The score and what it is made of."""

    at: datetime | None
    version: int
    score: int
    counts: dict[Severity, int]
    worth: tuple[tuple[FindingKind, int, int], ...]
    acknowledged: int
    known_since: datetime | None
    trend: Trend | None
    q: str
    severity: str
    state: str
    rows: Paging[Row]
    done: str | None
    now: datetime
    tabs: tuple[tuple[str, str, str], ...] = TABS


@dataclass(frozen=True, slots=True)
class FindingPage(ConsolePage):
    """One finding: why it matters, how to mend it, and living with it."""

    row: Row
    reason: str
    until: str
    problems: tuple[Problem, ...]
    may_write: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class PublishedPage(ConsolePage):
    """Everything that is published."""

    at: datetime | None
    q: str
    access: str
    rows: Paging[Exposure]
    total: int
    now: datetime
    tabs: tuple[tuple[str, str, str], ...] = TABS


@dataclass(frozen=True, slots=True)
class ListenersPage(ConsolePage):
    """Where the installation listens."""

    listeners: tuple[Listener, ...]
    tabs: tuple[tuple[str, str, str], ...] = TABS


@dataclass(frozen=True, slots=True)
class ChangesPage(ConsolePage):
    """What differs between two dates."""

    before: str
    after: str
    found: Differences
    marks: tuple[Day | None, Day | None]
    most: int
    tabs: tuple[tuple[str, str, str], ...] = TABS


def routes() -> list[Route]:
    """Everything below `/console/surface`."""
    return [
        Route(HOME, show_findings, methods=["GET"]),
        Route(f"{HOME}/published", show_published, methods=["GET"]),
        Route(f"{HOME}/listeners", show_listeners, methods=["GET"]),
        Route(f"{HOME}/changes", show_changes, methods=["GET"]),
        Route(f"{HOME}/findings/{{finding}}", show_finding, methods=["GET"]),
        Route(f"{HOME}/findings/{{finding}}", decide, methods=["POST"]),
    ]


async def show_findings(request: Request) -> Response:
    """Findings, the gravest first, some at a time."""
    found = await admitted(request, "surface:read", SURFACE)
    if isinstance(found, Response):
        return found
    database, now = parts_of(request).database, clock.now()
    surface = await last_surface(database, whole=False)
    async with database.read() as session:
        days, known = await list_days(session), _standing(await list_acknowledgements(session), now)
    q, severity, state = asked(request), asked(request, "severity"), asked(request, "state")
    everything = () if surface is None else surface.findings
    rows = [Row(one, KINDS[one.kind], known.get(one.id)) for one in everything if one.kind in KINDS]
    counting = [row.finding for row in rows if row.known is None]
    wanted = [
        row
        for row in rows
        if severity in ("", row.finding.severity)
        and (state == "all" or (row.known is not None) == (state == "acknowledged"))
        and (not q or q.casefold() in f"{row.finding.place} {row.kind.title} {row.finding.detail}".casefold())
    ]
    page = FindingsPage(
        found,
        "surface",
        None if surface is None else surface.at,
        0 if surface is None else surface.version,
        100 if surface is None else surface.score,
        counts_of(counting),
        tuple((KINDS[kind], count, round(part)) for kind, _, count, part in worth_of(counting))[:6],
        len(rows) - len(counting),
        None if surface is None else surface.known_since,
        trend_of(days),
        q,
        severity if severity in SEVERITIES else "",
        state,
        _paged(request, wanted),
        done_of(request, DONE),
        now,
    )
    return render(request, "traffic/surface.html", page, block="found")


def _paged(request: Request, wanted: list[Row]) -> Paging[Row]:
    """From a place in the order on: findings come and go, and their ids have no order."""
    at = _number(asked(request, "after"))
    numbered = list(enumerate(wanted, 1))[at : at + ROWS + 1]
    some = paged(request, numbered, ROWS, lambda one: one[0])
    return Paging(tuple(row for _, row in some.rows), some.first, some.older)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0


def _standing(known: tuple[Acknowledgement, ...], now: datetime) -> dict[str, Acknowledgement]:
    return {one.finding: one for one in known if one.ends_at > now}


async def show_published(request: Request) -> Response:
    """Every host, path and method, with how it is protected."""
    found = await admitted(request, "surface:read", SURFACE)
    if isinstance(found, Response):
        return found
    surface = await last_surface(parts_of(request).database)
    q, access, at = asked(request), asked(request, "access"), _number(asked(request, "after"))
    everything = () if surface is None else surface.exposures
    wanted = [
        one
        for one in everything
        if access in ("", one.access)
        and (not q or q.casefold() in f"{one.place} {one.route} {one.service} {one.audience}".casefold())
    ]
    some = paged(request, list(enumerate(wanted, 1))[at : at + ROWS + 1], ROWS, lambda one: one[0])
    rows = Paging(tuple(one for _, one in some.rows), some.first, some.older)
    page = PublishedPage(
        found, "surface", None if surface is None else surface.at, q, access, rows, len(wanted), clock.now()
    )
    return render(request, "traffic/surface_published.html", page, block="found")


async def show_listeners(request: Request) -> Response:
    """Where it can be connected to."""
    found = await admitted(request, "surface:read", SURFACE)
    if isinstance(found, Response):
        return found
    surface = await last_surface(parts_of(request).database)
    page = ListenersPage(found, "surface", () if surface is None else surface.listeners)
    return render(request, "traffic/surface_listeners.html", page)


async def show_changes(request: Request) -> Response:
    """What became reachable, open, weaker, closed and stronger between two dates."""
    found = await admitted(request, "surface:read", SURFACE)
    if isinstance(found, Response):
        return found
    today = clock.now().date()
    before = _date(asked(request, "from")) or today - timedelta(days=7)
    after = _date(asked(request, "to")) or today
    differs, *marks = await compare(parts_of(request).database, before, after)
    differs = Differences(*(by_path(getattr(differs, name)) for name in Differences.__slots__))
    page = ChangesPage(
        found, "surface", before.isoformat(), after.isoformat(), differs, (marks[0], marks[1]), SHOWN_CHANGES
    )
    return render(request, "traffic/surface_changes.html", page)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


async def show_finding(request: Request) -> Response:
    """One finding."""
    found = await admitted(request, "surface:read", SURFACE)
    if isinstance(found, Response):
        return found
    row, now = await _row(request), clock.now()
    until = (now + timedelta(days=90)).date().isoformat()
    page = FindingPage(found, "surface", row, "", until, (), may(request, found, "surface:write", SURFACE), now)
    return render(request, "traffic/surface_finding.html", page)


async def decide(request: Request) -> Response:
    """Acknowledge it with a reason and an end, or let it count again."""
    form = await checked_form(request)
    found = await admitted(request, "surface:write", SURFACE)
    if isinstance(found, Response):
        return found
    row, now, actor = await _row(request), clock.now(), actor_of(found)
    if form.get("do") == "reopen":
        async with parts_of(request).database.write() as session:
            await withdraw(session, row.finding.id, actor=actor, now=now)
        return redirect(request, f"{HOME}?done=reopened")
    until = _date(form.get("until", ""))
    end = now if until is None else datetime(until.year, until.month, until.day, 23, 59, tzinfo=UTC)
    reason = form.get("reason", "")[:1000]
    try:
        async with parts_of(request).database.write() as session:
            await acknowledge(session, row.finding, reason=reason, until=end, actor=actor, now=now)
    except Invalid as refusal:
        page = FindingPage(found, "surface", row, reason, form.get("until", "")[:20], refusal.problems, True, now)
        return render(request, "traffic/surface_finding.html", page, status=422)
    return redirect(request, f"{HOME}?done=acknowledged")


async def _row(request: Request) -> Row:
    wanted, database = str(request.path_params["finding"])[:64], parts_of(request).database
    surface = await last_surface(database, whole=False)
    async with database.read() as session:
        known = _standing(await list_acknowledgements(session), clock.now())
    for one in () if surface is None else surface.findings:
        if one.id == wanted and one.kind in KINDS:
            return Row(one, KINDS[one.kind], known.get(one.id))
    raise NotFound("there is no such finding, or no more")
