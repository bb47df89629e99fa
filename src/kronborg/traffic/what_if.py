"""What-if: recorded requests replayed against a draft or another version, and what would become of them.

Bounded by count and time; records come a batch at a time and are judged on a thread, so nothing else waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from kronborg.core.db import Database
from kronborg.gateway.model import Snapshot
from kronborg.gateway.simulate_ask import snapshot_of
from kronborg.gateway.store import published_by
from kronborg.gateway.versions import would_roll_back
from kronborg.traffic.judge import WHYS, Judged, Side, Verdict, judge, read_side
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.parts import Traffic
from kronborg.traffic.row_model import Row, record_of
from kronborg.traffic.search_model import Search, Span

MOST = 200_000
SECONDS = 20.0
"""A replay ends after so many records, or so long."""
BATCH = 500
_PAGE = 4000
_GROUPS = 300
_EXAMPLES = 5
_VERSIONS = 20


@dataclass(frozen=True, slots=True)
class Group:
    """Requests of one client on one route with the same fate. `route` served them, `now` would; `examples` are ids."""

    verdict: Verdict
    route: str
    now: str
    client: str
    reason: str
    meaning: str
    n: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a replay found. `more`: the bounds were reached before the start of the span, at `since`."""

    replayed: int
    same: int
    refused: tuple[Group, ...]
    allowed: tuple[Group, ...]
    otherwise: tuple[Group, ...]
    unjudged: tuple[Group, ...]
    since: datetime
    until: datetime
    more: bool
    per_second: int

    @property
    def fails(self) -> int:
        """How many requests would newly be refused."""
        return sum(one.n for one in self.refused)

    def count(self, verdict: Verdict) -> int:
        """How many requests there are of a kind."""
        groups = {"refused": self.refused, "allowed": self.allowed, "otherwise": self.otherwise}
        return sum(one.n for one in groups.get(verdict, self.unjudged))


_Key = tuple[Verdict, str, str, str, str]


@dataclass(slots=True)
class Tally:
    """Counts while a replay goes on."""

    replayed: int = 0
    same: int = 0
    found: dict[_Key, list[str]] = field(default_factory=dict)
    counts: dict[_Key, int] = field(default_factory=dict)

    def add(self, record: AccessRecord, judged: Judged) -> None:
        """Count one request."""
        self.replayed += 1
        if judged.verdict == "same":
            self.same += 1
            return
        key = (judged.verdict, judged.was or record.route, judged.now, record.client, judged.why or judged.reason)
        if key not in self.counts and len(self.counts) >= _GROUPS:
            key = (judged.verdict, "", "", "", key[4])
        self.counts[key] = self.counts.get(key, 0) + 1
        examples = self.found.setdefault(key, [])
        if len(examples) < _EXAMPLES:
            examples.append(record.id)

    def groups(self, verdict: Verdict) -> tuple[Group, ...]:
        """The groups of a kind, the most frequent first."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(
            Group(*key, WHYS.get(key[4], "") if verdict == "unjudged" else "", n, tuple(self.found[key]))
            for key, n in ordered
            if key[0] == verdict
        )


@dataclass(slots=True)
class Served:
    """The versions that served the records, read as they are come to: the newest first."""

    database: Database
    before: Side
    since: datetime | None = None
    side: Side | None = None
    read: int = 0

    async def at(self, moment: datetime) -> Side | None:
        """The version of a moment, which is not after the one asked for before; None beyond the bound."""
        if self.side is not None and self.since is not None and moment >= self.since:
            return self.side
        if self.read >= _VERSIONS:
            return None
        self.read += 1
        async with self.database.read() as session:
            published = await published_by(session, moment)
        if published is None:
            self.side, self.since = self.before, datetime.min.replace(tzinfo=moment.tzinfo)
        else:
            self.side, self.since = await asyncio.to_thread(read_side, published.snapshot), published.created_at
        return self.side


async def what_if(
    database: Database,
    traffic: Traffic,
    snapshot: Snapshot,
    span: Span,
    *,
    most: int = MOST,
    seconds: float = SECONDS,
) -> WhatIf:
    """Replay the records of `span`, newest first, against `snapshot`."""
    begun, tally, since, more = time.monotonic(), Tally(), span.start, False
    side = await asyncio.to_thread(read_side, snapshot)
    served = Served(database, read_side(Snapshot(snapshot.issuer, url=snapshot.url)))
    async for records in _records(traffic, Search(span, limit=_PAGE)):
        for version, some in await _by_version(served, records):
            if version is None or tally.replayed >= most or time.monotonic() - begun > seconds:
                more, since = True, some[0].at
                break
            await asyncio.to_thread(_judge, tally, some[: most - tally.replayed], version, side)
        if more:
            break
    took = max(time.monotonic() - begun, 1e-6)
    return WhatIf(
        tally.replayed,
        tally.same,
        refused=tally.groups("refused"),
        allowed=tally.groups("allowed"),
        otherwise=tally.groups("otherwise"),
        unjudged=tally.groups("unjudged"),
        since=since,
        until=span.end,
        more=more,
        per_second=round(tally.replayed / took),
    )


def _judge(tally: Tally, records: Sequence[AccessRecord], old: Side, new: Side) -> None:
    for record in records:
        tally.add(record, judge(record, old, new))


async def _by_version(served: Served, records: Sequence[AccessRecord]) -> list[tuple[Side | None, list[AccessRecord]]]:
    """Runs of records that one version served, each at most a batch."""
    runs: list[tuple[Side | None, list[AccessRecord]]] = []
    for record in records:
        version = await served.at(record.at)
        if not runs or runs[-1][0] is not version or len(runs[-1][1]) >= BATCH:
            runs.append((version, []))
        runs[-1][1].append(record)
    return runs


async def _records(traffic: Traffic, page: Search) -> AsyncIterator[list[AccessRecord]]:
    """Records, newest first, a page at a time."""
    while True:
        asked = page
        rows: list[Row] = await traffic.ask(lambda store, asked=asked: store.search(asked))  # type: ignore[misc]  # bound per page
        if rows:
            yield await asyncio.to_thread(lambda some=rows: [record_of(row) for row in some])  # type: ignore[misc]
        if len(rows) < page.limit:
            return
        page = replace(page, before=int(rows[-1][0]))


async def asked_for(database: Database, draft: str, version: int, *, issuer: str, gateway_url: str) -> Snapshot:
    """What would be published by a draft, or, without one, by going back to a version. Raises `NotFound`."""
    async with database.read() as session:
        if draft:
            return await snapshot_of(session, draft, issuer=issuer, gateway_url=gateway_url)
        return (await would_roll_back(session, version, issuer=issuer, gateway_url=gateway_url))[0]


def told(found: WhatIf) -> dict[str, object]:
    """A replay as JSON."""
    return {**asdict(found), "fails": found.fails, "unjudged_requests": found.count("unjudged")}
