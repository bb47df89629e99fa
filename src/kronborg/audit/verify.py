"""Verify the chain of an installation: every event, every link, every checkpoint, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.audit import chain_store as store
from kronborg.audit.checkpoints import own_keys
from kronborg.audit.model import Checkpoint, Finding, Head, Sealed, Verified
from kronborg.audit.walk import Walk, diagnose
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.group_writer import Lookup, Row
from kronborg.core.log import get_logger

PAGE = 1000
RANGE = 50_000
PART = 20_000
"""Places that are verified in one go in the background."""

log = get_logger("kronborg.audit")

Progress = Callable[[int, int], None]
"""Called now and then with how many places were verified, and of how many."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What to verify: everything above the floor, or what lies above `after` (a place verified before)."""

    after: int | None = None
    limit: int | None = None
    against: Checkpoint | None = None


async def verify(
    database: Database, vault: Vault, scope: Scope = Scope(), *, progress: Progress | None = None
) -> Verified:
    """Walk the chain as it is now; the first thing that does not hold is the finding."""
    keys, strange = await own_keys(database, vault)
    # In this order: whatever was sealed or signed meanwhile lies beyond what is expected.
    last = await store.last_checkpoint(database.lookup)
    head = await store.read_head(database.lookup)
    begun = await _begin(database.lookup, head, scope)
    if isinstance(begun, Finding):
        return Verified(head.floor + 1, head.floor, head.floor_link, 0, 0, begun)
    walk = Walk(keys, n=begun[0], link=begun[1], against=scope.against)
    until = head.n if scope.limit is None else min(head.n, walk.n + scope.limit)
    finding = walk.kept()
    if finding is None and strange:
        finding = Finding("key", 0, 0, "", f"the key {strange[0]} of the log was not made by this installation")
    if finding is None:
        covering = None if scope.after is None else await store.checkpoint_covering(database.lookup, walk.n)
        begin_at = 1 if covering is None else covering.k
        finding = await _Chain(database.lookup, walk, until, progress, begin_at).walk(last)
    if finding is None and until == head.n:
        finding = walk.end(max(head.n, 0 if last is None else last.n)) or await _beside(database.lookup, scope)
    return Verified(walk.first + 1, walk.n, walk.link, walk.events, walk.checkpoints, finding)


async def verify_and_note(
    database: Database, vault: Vault, scope: Scope = Scope(), *, now: datetime, progress: Progress | None = None
) -> Verified:
    """Verify, and keep for the console how far it holds."""
    found = await verify(database, vault, scope, progress=progress)
    told = "" if found.finding is None else found.finding.told
    await database.writer.run(lambda execute: store.note_verified(execute, found.last, told, now=now))
    return found


async def verify_on(database: Database, vault: Vault, *, now: datetime) -> bool:
    """Verify on from where the log was verified up to, a bounded part; whether there is more.

    What was found stays found until the whole log is verified again by hand.
    """
    head = await store.read_head(database.lookup)
    after = max(head.verified, head.floor)
    if head.finding or after >= head.n:
        return False
    found = await verify_and_note(database, vault, Scope(after=after, limit=PART), now=now)
    if found.finding is not None:
        log.error("audit_log_altered", place=found.finding.n, what=found.finding.what, event_id=found.finding.event_id)
    return found.finding is None and found.last < head.n


async def _begin(lookup: Lookup, head: Head, scope: Scope) -> tuple[int, str] | Finding:
    """Where to begin: the anchor that archiving left, which a checkpoint must vouch for, or a place in the chain."""
    if scope.after is not None and scope.after > head.floor:
        link = await store.link_at(lookup, scope.after)
        if link is not None:
            return scope.after, link
        return Finding("removed", scope.after, 0, "", f"place {scope.after} of the chain was removed")
    if head.floor:
        anchor = await store.checkpoint_covering(lookup, head.floor)
        if anchor is None or anchor.n != head.floor or anchor.link != head.floor_link:
            told = f"no checkpoint vouches for place {head.floor}, below which the log was archived"
            return Finding("checkpoint", head.floor, 0, "", told)
    return head.floor, head.floor_link


@dataclass(slots=True)
class _Chain:
    lookup: Lookup
    walk_: Walk
    until: int
    progress: Progress | None
    begin_at: int = 1
    """The number of the first checkpoint to look at."""

    async def walk(self, last: Checkpoint | None) -> Finding | None:
        """Every event up to `until`, every checkpoint at its place."""
        walk, total = self.walk_, self.until - self.walk_.first
        stops = self._checkpoints(self.begin_at, 0 if last is None else last.k)
        stop = await anext(stops, None)
        while stop is not None and stop.n <= walk.n:
            # Below the beginning: what they cover is not here any more, but their order and signatures are.
            wrong = walk.stop_at(stop)
            if wrong is not None:
                return wrong
            stop = await anext(stops, None)
        while rows := await store.read_links(self.lookup, after=walk.n, until=self.until, limit=PAGE):
            for index, row in enumerate(rows):
                wrong = await self._step(row, rows[index + 1] if index + 1 < len(rows) else None)
                while wrong is None and stop is not None and stop.n == walk.n:
                    wrong = walk.stop_at(stop)
                    stop = await anext(stops, None)
                if wrong is not None:
                    return wrong
            if self.progress is not None:
                self.progress(walk.n - walk.first, total)
        return None

    async def _step(self, row: Row, following: Row | None) -> Finding | None:
        n, link, seq = row[:3]
        if row[3] is None:
            told = f"event number {seq} (place {n}) was removed"
            return Finding("removed", n, seq, "", told)
        event, before = Sealed(n, link, seq, *row[3:]), self.walk_.link
        found = self.walk_.step(event)
        if found is None:
            return None
        if found.what == "removed":
            return await self._name_removed(found)
        after = None if following is None or following[3] is None else Sealed(*following)
        return diagnose(found, before, event, after)

    async def _name_removed(self, found: Finding) -> Finding:
        """Links are gone: perhaps an event is left without one."""
        _, highest = await store.number_range(self.lookup)
        left = await store.event_beside(self.lookup, after=0, until=highest)
        if left is None:
            return found
        return replace(found, seq=left[0], event_id=left[1], told=f"{found.told}; event {left[1]} has no link")

    async def _checkpoints(self, first: int, last: int) -> AsyncIterator[Checkpoint]:
        after = first - 1
        while after < last and (page := await store.read_checkpoints(self.lookup, after=after, limit=500)):
            for one in page:
                if one.k <= last:
                    yield one
            after = page[-1].k


async def _beside(lookup: Lookup, scope: Scope) -> Finding | None:
    """An event that was put beside the chain: it has no place and does not wait for one."""
    first, last = await store.number_range(lookup)
    if scope.after is not None:
        return None
    for start in range(first - 1, last, RANGE):
        found = await store.event_beside(lookup, after=start, until=min(start + RANGE, last))
        if found is not None:
            told = f"event {found[1]} (number {found[0]}) was inserted beside the chain"
            return Finding("inserted", 0, found[0], found[1], told)
    return None
