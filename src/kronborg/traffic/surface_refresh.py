"""Gathers the facts, judges the attack surface and keeps the result; reads it back for pages; acknowledges findings."""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache

import orjson

from kronborg.api_keys.model import ApiKey
from kronborg.api_keys.store import list_keys
from kronborg.certificates.store import list_certificates
from kronborg.clients.store import read_apis
from kronborg.core.db import Database, ReadSession, Session, to_micros
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.values import thaw
from kronborg.fleet.show import shown
from kronborg.gateway.store import latest_published
from kronborg.gateway.versions_store import list_versions
from kronborg.gateway.watch_model import SurfaceSettings
from kronborg.traffic import surface_store as store
from kronborg.traffic.parts import Traffic
from kronborg.traffic.probe import probe
from kronborg.traffic.search_model import Search, Span, TrafficStore
from kronborg.traffic.surface import judge
from kronborg.traffic.surface_diff import differences
from kronborg.traffic.surface_documents import documents_of
from kronborg.traffic.surface_facts_model import SETTLED, Evidence, Facts, Operation, Seen
from kronborg.traffic.surface_facts_store import read_clients, read_route_moments, read_secrets
from kronborg.traffic.surface_model import Acknowledgement, Day, Differences, Exposure, Finding, Listener, Surface
from kronborg.traffic.surface_score import counts_of

SAMPLE = 2000
"""The newest requests of a service with an OpenAPI document that are compared with it."""
SAMPLED = 50
"""Services of which."""
SAMPLE_SPAN = timedelta(days=7)
OLDEST = timedelta(hours=1)
"""What is known of the surface is never older, unless the worker is away."""
LONGEST_ACKNOWLEDGEMENT = timedelta(days=366)
MOST_REASON = 500
_KEYS_AT_ONCE = 2000
_LAST = "~"
_DAY_MINUTES = 1440


def evidence_of(traffic: TrafficStore, services: Sequence[str], *, unused: timedelta, now: datetime) -> Evidence:
    """What the traffic tells of the time that makes something unused; blocks."""
    span = Span(now - max(unused, timedelta(days=1)), now + timedelta(minutes=1))
    routes: Counter[str] = Counter()
    calls: set[tuple[str, str]] = set()
    for one in traffic.counts(span, ("route", "client")):
        route, client = one.keys
        routes[route] += one.n
        if client and not one.reason:
            calls.add((client, route))
    # A count of a day more says whether the records reach back far enough.
    days = traffic.counts(Span(span.start - timedelta(days=1), span.end), (), step=_DAY_MINUTES)
    oldest = min((one.slot for one in days), default=None)
    since = None if oldest is None else datetime.fromtimestamp(oldest * _DAY_MINUTES * 60, tz=now.tzinfo)
    seen: dict[str, tuple[Seen, ...]] = {}
    for service in services[:SAMPLED]:
        search = Search(
            Span(now - SAMPLE_SPAN, span.end), (("service", service), ("decision", "allowed")), limit=SAMPLE
        )
        found = Counter((str(row[5]), str(row[6])) for row in traffic.search(search) if int(row[9]) < 400)
        seen[service] = tuple(Seen(method, path, n) for (method, path), n in found.items())
    return Evidence(since, dict(routes), frozenset(calls), seen)


async def gather(
    database: Database, traffic: Traffic, settings: SurfaceSettings, listeners: tuple[Listener, ...], *, now: datetime
) -> Facts | None:
    """All facts; None before anything was published."""
    async with database.read() as session:
        published = await latest_published(session)
        if published is None:
            return None
        certificates, gateways = await list_certificates(session), tuple(await shown(session, now=now))
        probes = await store.list_probes(session)
        documents: Mapping[str, tuple[Operation, ...]] = await documents_of(session, published.snapshot)
    lookup = database.lookup
    evidence = await traffic.ask(lambda kept: evidence_of(kept, sorted(documents), unused=settings.unused, now=now))
    keys: list[ApiKey] = []
    before = _LAST
    while len(some := await list_keys(lookup, before=before, limit=_KEYS_AT_ONCE)) and len(keys) < 100_000:
        keys += some
        before = some[-1].id
    return Facts(
        snapshot=published.snapshot,
        published_at=published.created_at,
        settings=settings,
        listeners=listeners,
        routes_since=await read_route_moments(lookup),
        evidence=evidence,
        documents=documents,
        clients=await read_clients(lookup),
        secrets=await read_secrets(lookup, now_micros=to_micros(now)),
        apis=await read_apis(lookup),
        keys=tuple(keys),
        certificates=certificates,
        gateways=gateways,
        probes=probes,
    )


async def due(session: ReadSession, *, now: datetime) -> bool:
    """Whether the surface is to be judged: something was published, gateways had time to follow it, or it is old."""
    newest = await list_versions(session, limit=1)
    mark = await store.latest_mark(session)
    if mark is None or not newest or mark.version != newest[0].number:
        return True
    followed = newest[0].created_at + SETTLED
    return mark.at < followed <= now or now - mark.at >= OLDEST or mark.at.date() != now.date()


async def refresh(
    database: Database, traffic: Traffic, settings: SurfaceSettings, listeners: tuple[Listener, ...], *, now: datetime
) -> Surface | None:
    """Judge the surface of now and keep it as that of today; None before anything was published."""
    facts = await gather(database, traffic, settings, listeners, now=now)
    if facts is None:
        return None
    async with database.read() as session:
        acknowledged = await store.list_acknowledgements(session)
    surface = await asyncio.to_thread(judge, facts, acknowledged, now=now)
    await keep(database, surface)
    return surface


async def probe_services(database: Database, *, everywhere: bool, now: datetime) -> int:
    """Probe what is to be probed, and keep what it said; how many requests that were."""
    async with database.read() as session:
        published = await latest_published(session)
    if published is None:
        return 0
    found = await probe(published.snapshot, everywhere=everywhere, now=now)
    async with database.write() as session:
        await store.put_probes(session, found)
    return len(found)


async def keep(database: Database, surface: Surface) -> None:
    """Keep a surface as that of its day."""
    # Frozen field by field: a dataclass of ten thousand exposures is written by orjson itself.
    content = orjson.dumps({"listeners": surface.listeners, "exposures": surface.exposures})
    since = None if surface.known_since is None else surface.known_since.isoformat()
    told = {"findings": surface.findings, "acknowledged": surface.acknowledged, "known_since": since}
    counts = counts_of(surface.open)
    day = Day(
        surface.at.date().isoformat(),
        surface.at,
        surface.version,
        surface.score,
        *(counts[severity] for severity in ("critical", "high", "medium", "low")),
    )
    shape, findings = await asyncio.to_thread(lambda: (zlib.compress(content, 1), zlib.compress(orjson.dumps(told), 1)))
    async with database.write() as session:
        await store.put_day(session, day, shape=hashlib.sha256(content).hexdigest(), content=shape, findings=findings)


async def last_surface(database: Database, day: date | None = None, *, whole: bool = True) -> Surface | None:
    """What was found last, or last up to a day; None before anything was. `whole`: with all that is published."""
    async with database.read() as session:
        found = await store.found_on(session, None if day is None else day.isoformat())
        if found is None:
            return None
        acknowledged = await store.list_acknowledgements(session) if day is None else ()
    mark, content, kept = found
    surface = await asyncio.to_thread(_thawed, mark, content, kept, whole=whole)
    if day is None:
        known = {one.finding for one in acknowledged if one.ends_at > surface.at}
        standing = tuple(one.id for one in surface.findings if one.id in known)
        surface = replace(surface, acknowledged=standing)
    return surface


@lru_cache(maxsize=2)
def _thawed(day: Day, content: bytes, kept: bytes, *, whole: bool = True) -> Surface:
    shape = orjson.loads(zlib.decompress(content)) if whole else {"listeners": (), "exposures": ()}
    told = orjson.loads(zlib.decompress(kept))
    since = told["known_since"]
    return Surface(
        at=day.at,
        version=day.version,
        score=day.score,
        listeners=thaw(tuple[Listener, ...], shape["listeners"]),
        exposures=thaw(tuple[Exposure, ...], shape["exposures"]),
        findings=tuple(Finding(**one) for one in told["findings"]),
        acknowledged=tuple(told["acknowledged"]),
        known_since=None if since is None else datetime.fromisoformat(since),
    )


async def compare(database: Database, before: date, after: date) -> tuple[Differences, Day | None, Day | None]:
    """What differs between two dates, and which days stand for them; nothing was reachable before the first."""
    shapes: list[tuple[Exposure, ...]] = []
    marks: list[Day | None] = []
    for day in (before, after):
        async with database.read() as session:
            found = await store.found_on(session, day.isoformat())
        marks.append(None if found is None else found[0])
        shapes.append(() if found is None else _thawed(*found).exposures)
    return differences(shapes[0], shapes[1]), marks[0], marks[1]


async def acknowledge(
    session: Session, found: Finding, *, reason: str, until: datetime, actor: str, now: datetime
) -> Acknowledgement:
    """Live with a finding for a while. Raises `Invalid` without a reason, or for longer than a year."""
    told = " ".join(reason.split())
    problems = []
    if not told or len(told) > MOST_REASON or not told.isprintable():
        problems.append(Problem("reason", "is empty or longer than 500 characters", "say why this may stay for now"))
    if not now < until <= now + LONGEST_ACKNOWLEDGEMENT:
        problems.append(Problem("until", "is not within a year from now", "give a day on which to look again"))
    if problems:
        raise Invalid(*problems)
    one = Acknowledgement(found.id, found.kind, found.place, told, actor, now, until)
    await store.put_acknowledgement(session, one)
    detail = {"kind": one.kind, "place": one.place, "reason": told, "until": until.isoformat()}
    await record(session, "surface.acknowledged", actor=actor, subject=found.id, now=now, detail=detail)
    return one


async def withdraw(session: Session, finding: str, *, actor: str, now: datetime) -> None:
    """Let a finding count again. Raises `NotFound`."""
    if not await store.drop_acknowledgement(session, finding):
        raise NotFound("this finding is not acknowledged")
    await record(session, "surface.reopened", actor=actor, subject=finding, now=now)
