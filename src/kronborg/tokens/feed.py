"""The feed of revocations: what gateways and resource servers follow, so that a revoked JWT stops at the door.

Entries have numbers without gaps, in the order in which the revocations were committed. A reader keeps the number of
the last entry it has applied and asks for what comes after; what it has read it never needs again. An entry is written
in the unit of the revocation itself (`tell`), so neither stands without the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.clients.model import MAX_TOKEN_LIFETIME
from kronborg.core.group_writer import Execute, Lookup
from kronborg.core.json import JsonObject
from kronborg.tokens import feed_store as store
from kronborg.tokens.feed_store import Kind, Revocation

MAX_PAGE = 1000
LOOK_EVERY = 0.1
"""Seconds between looks at the database while somebody waits."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An entry about to be written. Without `until` it concerns tokens of any age: a day, the longest one lives."""

    kind: Kind
    subject: str
    not_before: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of the feed. `last` is what to ask after next; with `more` there is more by now.

    `reset`: what the reader asked for is not kept any more, or never was. It forgets everything it knows; the entries
    from here on are everything that still concerns a living token.
    """

    entries: tuple[Revocation, ...]
    last: int
    reset: bool
    more: bool


def tell(execute: Execute, notices: Sequence[Notice], *, now: datetime) -> None:
    """Write entries, as the last thing of a unit: the counter stays locked until the commit."""
    if not notices:
        return
    first = store.take_numbers(execute, len(notices))
    entries = [
        Revocation(number, one.kind, one.subject, one.not_before, one.until or now + MAX_TOKEN_LIFETIME, now)
        for number, one in enumerate(notices, first)
    ]
    store.add_entries(execute, entries)


def next_second(moment: datetime) -> datetime:
    """The first whole second that is later: `iat` counts whole seconds, and is cut off, not rounded."""
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def plain(entry: Revocation) -> JsonObject:
    """An entry as JSON: times in whole seconds since 1970, `until` rounded up."""
    return {
        "seq": entry.seq,
        "kind": entry.kind,
        "subject": entry.subject,
        "not_before": None if entry.not_before is None else int(entry.not_before.timestamp()),
        "until": int(next_second(entry.until).timestamp()),
        "at": int(entry.at.timestamp()),
    }


async def read(lookup: Lookup, *, after: int, limit: int = MAX_PAGE) -> Page:
    """The entries after a number, in their order, at most `limit`."""
    head, floor = await store.read_head(lookup)
    reset = after > head or after < floor
    start = floor if reset else after
    while True:
        entries = await store.read_entries(lookup, after=start, limit=limit)
        # Read last: whatever was purged while we read is below the floor by now.
        head, floor = await store.read_head(lookup)
        if start >= floor:
            last = entries[-1].seq if entries else start
            return Page(entries, last, reset, more=last < head)
        start, reset = floor, True


async def wait(lookup: Lookup, *, after: int, seconds: float, every: float = LOOK_EVERY) -> None:
    """Return when there is something after this number, or after so many seconds; look `every` so many."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        head, _ = await store.read_head(lookup)
        left = deadline - loop.time()
        if head != after or left <= 0:
            return
        await asyncio.sleep(min(every, left))
