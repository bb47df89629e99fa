"""The attack surface in the admin API: the last result, what is published, what changed, acknowledgements."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from kronborg.core import clock
from kronborg.core.api import Body, Limit, Page, Shown, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.traffic.surface_kinds_model import KINDS
from kronborg.traffic.surface_model import Surface
from kronborg.traffic.surface_refresh import acknowledge, compare, last_surface, withdraw
from kronborg.traffic.surface_store import list_acknowledgements, list_days

router = APIRouter()

SeverityName = Literal["critical", "high", "medium", "low"]
FindingId = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-z]+$")]
After = Annotated[int, Query(ge=0, le=1_000_000, description="The `next` of the page before.")]
_NONE = "the surface was not judged yet: look whether the worker runs, and publish something"


class ShownDay(Shown):
    """What is kept of one day."""

    day: str
    at: datetime
    version: int
    score: int
    critical: int
    """Findings of that day that count: not those that somebody acknowledged."""
    high: int
    medium: int
    low: int


class ShownListener(Shown):
    """Somewhere to connect to."""

    name: str
    address: str
    serves: str
    tls: bool
    beyond: bool
    """Other machines can reach it."""
    by: str
    """How callers prove who they are."""


class ShownSurface(Shown):
    """The last result."""

    at: datetime
    version: int
    score: int
    known_since: datetime | None
    """How far back the counts of traffic reach."""
    listeners: list[ShownListener]
    days: list[ShownDay]
    """The trend, the newest first."""


class ShownFinding(Shown):
    """Something to look at."""

    id: str
    kind: str
    severity: SeverityName
    title: str
    place: str
    detail: str
    why: str
    mend: str
    link: str
    """The page of the console."""
    acknowledged: bool


class ShownExposure(Shown):
    """What one route lets in."""

    route: str
    service: str
    host: str
    """Empty: every host name."""
    kind: str
    path: str
    methods: list[str]
    access: Literal["public", "token", "narrowed"]
    audience: str
    scopes: list[str]
    roles: list[str]
    rules: int
    policy: bool
    step_up: bool
    credentials: list[str]
    bound: str
    issuers: list[str]
    addresses: bool
    limits: list[str]
    listeners: list[str]


class ShownChange(Shown):
    """One method of one path that differs."""

    host: str
    path: str
    method: str
    route: str
    what: str


class ShownDifferences(Shown):
    """What differs between two dates."""

    reachable: list[ShownChange]
    opened: list[ShownChange]
    weaker: list[ShownChange]
    closed: list[ShownChange]
    stronger: list[ShownChange]


class ShownAcknowledgement(Shown):
    """Who lives with what, why and until when."""

    finding: str
    kind: str
    place: str
    reason: str
    author: str
    created_at: datetime
    ends_at: datetime


class Acknowledging(Body):
    """Why a finding may stay, and for how long."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    days: Annotated[int, Field(ge=1, le=365)] = 90


@router.get("/surface", tags=["surface"], responses=refusals(404))
async def read_surface(request: Request) -> ShownSurface:
    """The score, the listeners and the trend."""
    surface = await _last(request)
    async with parts_of(request).database.read() as session:
        days = await list_days(session)
    return ShownSurface(
        at=surface.at,
        version=surface.version,
        score=surface.score,
        known_since=surface.known_since,
        listeners=[ShownListener.model_validate(one) for one in surface.listeners],
        days=[ShownDay.model_validate(one) for one in days],
    )


@router.get("/surface/findings", tags=["surface"], responses=refusals(404, 422))
async def read_surface_findings(
    request: Request, severity: SeverityName | None = None, after: After = 0, limit: Limit = 50
) -> Page[ShownFinding]:
    """Findings, the gravest first."""
    surface = await _last(request, whole=False)
    known = frozenset(surface.acknowledged)
    found = [one for one in surface.findings if one.kind in KINDS and severity in (None, one.severity)]
    items = [
        ShownFinding(
            id=one.id,
            kind=one.kind,
            severity=one.severity,
            title=KINDS[one.kind].title,
            place=one.place,
            detail=one.detail,
            why=KINDS[one.kind].why,
            mend=KINDS[one.kind].mend,
            link=one.link,
            acknowledged=one.id in known,
        )
        for one in found[after : after + limit]
    ]
    return Page(items=items, next=str(after + limit) if len(found) > after + limit else None)


@router.get("/surface/published", tags=["surface"], responses=refusals(404, 422))
async def read_surface_published(request: Request, after: After = 0, limit: Limit = 50) -> Page[ShownExposure]:
    """Every host, path and method that is published, with what it asks for."""
    found = (await _last(request)).exposures
    items = [ShownExposure.model_validate(one) for one in found[after : after + limit]]
    return Page(items=items, next=str(after + limit) if len(found) > after + limit else None)


@router.get("/surface/changes", tags=["surface"], responses=refusals(422))
async def read_surface_changes(
    request: Request,
    before: Annotated[date | None, Query(description="A week ago when absent.")] = None,
    after: Annotated[date | None, Query(description="Today when absent.")] = None,
) -> ShownDifferences:
    """What became reachable, open, weaker, closed and stronger between two dates."""
    today = clock.now().date()
    found, _, _ = await compare(parts_of(request).database, before or today - timedelta(days=7), after or today)
    return ShownDifferences.model_validate(found)


@router.get("/surface/acknowledgements", tags=["surface"])
async def read_surface_acknowledgements(request: Request) -> Page[ShownAcknowledgement]:
    """All, those that end first before others."""
    async with parts_of(request).database.read() as session:
        found = await list_acknowledgements(session)
    return Page(items=[ShownAcknowledgement.model_validate(one) for one in found], next=None)


@router.put("/surface/acknowledgements/{finding}", tags=["surface"], responses=refusals(404, 422))
async def acknowledge_finding(request: Request, finding: FindingId, body: Acknowledging) -> ShownAcknowledgement:
    """Live with a finding for some days: it stays listed and does not count."""
    surface, now = await _last(request, whole=False), clock.now()
    found = next((one for one in surface.findings if one.id == finding), None)
    if found is None:
        raise NotFound("there is no such finding, or no more")
    async with parts_of(request).database.write() as session:
        until, actor = now + timedelta(days=body.days), caller_of(request).actor
        made = await acknowledge(session, found, reason=body.reason, until=until, actor=actor, now=now)
    return ShownAcknowledgement.model_validate(made)


@router.delete("/surface/acknowledgements/{finding}", status_code=204, tags=["surface"], responses=refusals(404, 422))
async def withdraw_acknowledgement(request: Request, finding: FindingId) -> None:
    """Let a finding count again."""
    async with parts_of(request).database.write() as session:
        await withdraw(session, finding, actor=caller_of(request).actor, now=clock.now())


async def _last(request: Request, *, whole: bool = True) -> Surface:
    surface = await last_surface(parts_of(request).database, whole=whole)
    if surface is None:
        raise NotFound(_NONE)
    return surface
