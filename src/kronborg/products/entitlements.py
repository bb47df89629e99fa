"""The feed of entitlements: what gateways follow, so that who has no subscription, or has not paid, is refused there.

Each entry says what counts from now on for one client, product and environment. A reader that asks for what is not
kept any more is given everything that is in force instead.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from kronborg.core.db import Session
from kronborg.core.group_writer import Lookup
from kronborg.products import entitlements_store as store
from kronborg.products.model import Entitlement, Subscription
from kronborg.products.subscriptions_store import live_of

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Part of the feed. `last` is what to ask after next.

    `reset`: the reader forgets everything it knows; the entries are all that is in force.
    """

    entries: tuple[Entitlement, ...]
    last: int
    reset: bool = False


async def tell(session: Session, one: Subscription, *, now: datetime) -> None:
    """Write what counts for the client, product and environment of `one`. The last thing of a change."""
    live = await live_of(session, one.client_id, one.key.product, one.environment)
    current = next((each for each in reversed(live) if each.entitles(now)), None)
    entry = Entitlement(
        0,
        one.client_id,
        one.key.product,
        one.environment,
        current.id if current else "",
        str(current.key) if current else "",
        current.standing if current else "good",
        now,
    )
    await store.add_entry(session, entry)


async def read(lookup: Lookup, *, after: int, now: datetime, limit: int = MAX_PAGE) -> Page:
    """The entries after a number, in their order, at most `limit`; of a reader that must begin anew, everything."""
    head, floor = await store.read_head(lookup)
    if floor <= after <= head:
        entries = tuple(await store.read_entries(lookup, after=after, limit=limit))
        _, floor = await store.read_head(lookup)
        # Read last: whatever was purged while we read is below the floor by now.
        if after >= floor:
            return Page(entries, entries[-1].seq if entries else after)
    return await _everything(lookup, head, now=now)


async def wait(lookup: Lookup, *, after: int, seconds: float, every: float) -> None:
    """Return when there is something after this number, or after so many seconds; look `every` so many."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        head, _ = await store.read_head(lookup)
        left = deadline - loop.time()
        if head != after or left <= 0:
            return
        await asyncio.sleep(min(every, left))


async def _everything(lookup: Lookup, head: int, *, now: datetime) -> Page:
    """What is in force. It may be newer than `head`: entries after that are applied again, which changes nothing."""
    entries: list[Entitlement] = []
    after = ""
    while True:
        some = await store.read_in_force(lookup, now=now, seq=head, after=after, limit=MAX_PAGE)
        entries += some
        if len(some) < MAX_PAGE:
            return Page(tuple(entries), head, reset=True)
        after = some[-1].subscription
