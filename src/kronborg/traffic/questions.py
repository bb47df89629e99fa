"""What the console, the admin API and the command line ask of the traffic: searches in words, figures, the map."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kronborg.api_keys.model import PERSON
from kronborg.core.errors import Invalid, Problem
from kronborg.gateway.reasons import REASONS
from kronborg.traffic.histogram_model import percentile
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.row_model import COLUMNS, Row, record_of
from kronborg.traffic.search_model import (
    EXACT,
    GATEWAY,
    TOTAL,
    UPSTREAM,
    By,
    Count,
    Latency,
    Search,
    Span,
    TrafficStore,
)

SPANS = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
POINTS = 60
_TOPS: tuple[By, By, By] = ("route", "service", "client")
TOP = 8
MAPPED = 40
MASK = "hidden"
NOBODY = "nobody known"
"""What the map calls those whose token is none or no good."""
PERSONAL = ("subject", "address", "session", "token", "grant_id", "agent")
"""Columns that say who somebody is; without the right to people they are neither shown nor searched."""

_CLIENT = COLUMNS.index("client")
_WORDS = {**{name: name for name in EXACT}, "user": "subject", "grant": "grant_id", "key": "key_id", "ip": "address"}
_HINT = "write for example client:shop status:4xx reason:missing_scope user:… session:… token:… address:…"


def span_of(name: str, now: datetime) -> Span:
    """The time range of that name that ends now; an hour when it is unknown."""
    return Span(now - SPANS.get(name, SPANS["1h"]), now + timedelta(minutes=1))


def search_of(text: str, span: Span, *, people: bool, before: int | None = None, limit: int = 50) -> Search:
    """A search in words: `client:shop status:4xx`; a word alone is a request id. Raises `Invalid`."""
    search = Search(span, before=before, limit=limit)
    for word in text.split()[:12]:
        name, colon, value = word.partition(":")
        if not colon:
            name, value = "id", word
        if name == "status" and len(value) == 3 and value[0] in "12345" and value[1:] in (value[1:].lower(), "XX"):
            if value[1:].lower() == "xx":
                search = replace(search, status=int(value[0]))
                continue
            if value.isascii() and value.isdecimal():
                search = replace(search, status=int(value))
                continue
        column = _WORDS.get(name)
        if column is None or not value:
            raise Invalid(Problem("q", "holds a word that is not known", _HINT))
        if column in PERSONAL and not people:
            raise Invalid(Problem("q", "asks for people, which you may not see", "ask for the right traffic:people"))
        search = replace(search, equal=(*search.equal, (column, value[:256])))
    return search


def masked(row: Row, *, people: bool) -> Row:
    """A row as who may not see people sees it."""
    if people:
        return row
    hidden = (*PERSONAL, "key_id") if row[_CLIENT] == PERSON else PERSONAL
    return tuple(MASK if name in hidden and value else value for name, value in zip(COLUMNS, row, strict=True))


def told_to(rows: Sequence[Row], search: Search, *, people: bool) -> list[Row]:
    """What a search may tell: whoever may not see people finds nothing by the key of one."""
    if people or all(name != "key_id" for name, _ in search.equal):
        return list(rows)
    return [row for row in rows if row[_CLIENT] != PERSON]


def shown(row: Row, *, people: bool) -> dict[str, object]:
    """A record for JSON."""
    record = record_of(masked(row, people=people))
    told = {name: getattr(record, name) for name in AccessRecord.__slots__}
    return {**told, "at": record.at.isoformat().replace("+00:00", "Z")}


@dataclass(frozen=True, slots=True)
class Point:
    """A step of time."""

    slot: int
    n: int
    refused: int
    failed: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Top:
    """A name, how often, and how much of it was refused or failed."""

    name: str
    n: int
    refused: int
    errors: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All of the dashboard. `errors` counts what answered with 5xx, by service or gateway; `refused` other refusals."""

    seconds: float
    n: int
    refused: int
    errors: int
    step: int
    total: Quantiles
    upstream: Quantiles
    gateway: Quantiles
    points: tuple[Point, ...]
    reasons: tuple[Top, ...]
    reported: tuple[Top, ...]
    statuses: tuple[Top, ...]
    clients: tuple[Top, ...]
    routes: tuple[Top, ...]
    services: tuple[Top, ...]
    people: tuple[Top, ...]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.n / self.seconds if self.seconds else 0.0


def figures(store: TrafficStore, span: Span, *, people: bool) -> Figures:
    """The figures of a span; blocks."""
    first, last = span.minutes
    step = max(1, -(-(last - first) // POINTS))
    # Each apart by one thing only: all of them at once would be a million numbers for a day.
    steps = store.counts(span, step=step)
    routes, services, clients = (store.counts(span, (by,)) for by in _TOPS)
    latencies = store.latencies(span, step=step)
    # A machine is its own subject: it stands among the applications, and is nobody's name.
    machines = {one.keys[0] for one in clients}
    persons = [one for one in store.people(span, limit=4 * TOP) if one.subject not in machines] if people else []
    return Figures(
        seconds=(span.end - span.start).total_seconds(),
        n=sum(one.n for one in steps),
        refused=sum(one.n for one in steps if _refused(one)),
        errors=sum(one.n for one in steps if one.status >= 500),
        step=step,
        total=_quantiles(latencies, TOTAL),
        upstream=_quantiles(latencies, UPSTREAM),
        gateway=_quantiles(latencies, GATEWAY),
        points=_points(steps, latencies, first // step, (last - 1) // step),
        reasons=_top([one for one in steps if one.reason], lambda one: one.reason),
        reported=_reported(steps),
        statuses=_top(steps, lambda one: str(one.status)),
        routes=_top(routes, lambda one: one.keys[0]),
        services=_top(services, lambda one: one.keys[0]),
        clients=_top(clients, lambda one: one.keys[0]),
        people=tuple(Top(one.subject, one.n, one.refused, 0) for one in persons[:TOP]),
    )


def top(store: TrafficStore, span: Span, by: By) -> tuple[Top, ...]:
    """Who or what there was most of; blocks."""
    return _top(store.counts(span, (by,)), lambda one: one.reason if by == "reason" else one.keys[0], limit=100)


@dataclass(frozen=True, slots=True)
class Edge:
    """Requests from one to another: an app to a route, a route to a service."""

    source: str
    target: str
    n: int
    refused: int
    errors: int


@dataclass(frozen=True, slots=True)
class ServiceMap:
    """Who calls whom: apps to routes, routes to services; the busiest, and whether there were more."""

    calls: tuple[Edge, ...]
    serves: tuple[Edge, ...]
    more: bool


def service_map(store: TrafficStore, span: Span) -> ServiceMap:
    """Who called whom in a span; blocks."""
    calls: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    serves: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in store.counts(span, ("route", "service", "client")):
        route, service, client = one.keys
        if not route:
            continue
        found = [calls[client or NOBODY, route]]
        if service and one.upstream_us:
            found.append(serves[route, service])
        for sums in found:
            sums[0] += one.n
            sums[1] += one.n if _refused(one) else 0
            sums[2] += one.n if one.status >= 500 else 0
    most = sorted(calls.items(), key=lambda item: -item[1][0])[:MAPPED]
    routes = {route for (_, route), _ in most}
    served = [(key, sums) for key, sums in serves.items() if key[0] in routes]
    return ServiceMap(
        calls=tuple(Edge(*key, *sums) for key, sums in most),
        serves=tuple(Edge(*key, *sums) for key, sums in sorted(served)[:MAPPED]),
        more=len(calls) > MAPPED,
    )


def meaning_of(reason: str) -> str:
    """The sentence for the operator."""
    return REASONS[reason].meaning if reason in REASONS else ""


def would_be(name: str) -> str:
    """The sentence about what would have refused a request and only reports: a reason, or the name of a quota."""
    return meaning_of(name) or "The quota of this name would have been spent."


def _refused(one: Count) -> bool:
    """What the gateway said no to; what failed counts with 5xx, and who hung up was not refused."""
    return bool(one.reason) and one.status < 500 and one.reason != "client_gone"


def _reported(counts: Sequence[Count]) -> tuple[Top, ...]:
    """What would have been refused, by what would have refused it; a request may count for several."""
    by_name: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in counts:
        for name in one.reported.split(",") if one.reported else ():
            by_name[name][0] += one.n
            by_name[name][1] += one.n if one.status >= 500 else 0
    tops = [Top(name, n, 0, errors) for name, (n, errors) in by_name.items()]
    return tuple(sorted(tops, key=lambda one: (-one.n, one.name))[:TOP])


def _quantiles(latencies: Sequence[Latency], kind: int) -> Quantiles:
    counts: dict[int, int] = defaultdict(int)
    for one in latencies:
        if one.kind == kind:
            counts[one.bucket] += one.n
    return Quantiles(percentile(counts, 0.5), percentile(counts, 0.95), percentile(counts, 0.99))


def _points(counts: Sequence[Count], latencies: Sequence[Latency], first: int, last: int) -> tuple[Point, ...]:
    by_slot: dict[int, list[Count]] = defaultdict(list)
    times: dict[int, list[Latency]] = defaultdict(list)
    for count in counts:
        by_slot[count.slot].append(count)
    for latency in latencies:
        times[latency.slot].append(latency)
    points = []
    for slot in range(first, last + 1):
        here, total = by_slot[slot], _quantiles(times[slot], TOTAL)
        failed = sum(one.n for one in here if one.status >= 500)
        refused = sum(one.n for one in here if _refused(one))
        points.append(Point(slot, sum(one.n for one in here), refused, failed, total.p50, total.p95, total.p99))
    return tuple(points)


def _top(counts: Sequence[Count], name_of: Callable[[Count], str], *, limit: int = TOP) -> tuple[Top, ...]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in counts:
        found = sums[name_of(one)]
        found[0] += one.n
        found[1] += one.n if _refused(one) else 0
        found[2] += one.n if one.status >= 500 else 0
    ordered = sorted((Top(name, *found) for name, found in sums.items() if name), key=lambda one: (-one.n, one.name))
    return tuple(ordered[:limit])
