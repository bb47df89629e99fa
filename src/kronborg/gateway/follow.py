"""The follower: what the feed of revocations says is in the gateway's ledger a moment later.

It goes on where the ledger says it was, so nothing is missed over restarts of either side. Where the feed is read from
is a parameter: the database on the machine of the installation, HTTPS elsewhere. On the machine of the installation it
runs in a thread of its own: the loop of the control process stands still while it commits or takes in access records,
and a revocation must not wait for that.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

from prometheus_client import Gauge

from kronborg.core.db import Database
from kronborg.core.group_writer import Lookup
from kronborg.core.log import get_logger
from kronborg.gateway.blocked import place
from kronborg.gateway.ledger import Ledger, LedgerHeld
from kronborg.tokens import feed
from kronborg.tokens.feed import Page

log = get_logger("kronborg.gateway.follow")

HEARTBEAT_SECONDS = 1.0
"""How long a source may wait for news before it answers with none: each answer is a heartbeat of the ledger."""

LOOK_EVERY = 0.025
"""Seconds between looks at the database: one row, and the gateway is the one that everybody waits for."""

_RETRY_SECONDS = 0.5
_HELD_SECONDS = 0.2

ledger_age = Gauge(
    "kronborg_gateway_ledger_age_seconds", "How long ago the gateway's ledger last heard of revocations", ("proxy",)
)
ledger_entries = Gauge(
    "kronborg_gateway_ledger_entries", "Subjects that the gateway's ledger says to refuse", ("proxy",)
)

Source = Callable[[int], Awaitable[Page]]
"""Reads the feed after a number. It waits for news, though no longer than `HEARTBEAT_SECONDS`."""


def from_database(lookup: Lookup) -> Source:
    """The feed of this installation's own database."""

    async def read(after: int) -> Page:
        await feed.wait(lookup, after=after, seconds=HEARTBEAT_SECONDS, every=LOOK_EVERY)
        return await feed.read(lookup, after=after)

    return read


async def follow(
    ledger: Ledger, source: Source, *, clock: Callable[[], datetime], stop: asyncio.Event | threading.Event
) -> None:
    """Follow until `stop` is set. While the source fails there is no heartbeat, and the ledger grows old."""
    failing = False
    placed: tuple[str, ...] | None = None
    while not stop.is_set():
        try:
            page = await source(ledger.after)
            ledger.apply(page, now=clock())
            # Each answer is a heartbeat, so a block that is over ends by itself within a second.
            if not page.more and (networks := ledger.blocked(clock())) != placed:
                place(ledger.blocked_file, networks)
                placed = networks
            failing = False
        except Exception:  # the edge of a process: the next turn tries again
            if not failing:
                log.exception("feed_unreadable")
            failing = True
            await asyncio.sleep(_RETRY_SECONDS)


async def follow_apart(ledger: Ledger, url: str, *, clock: Callable[[], datetime], stop: asyncio.Event) -> None:
    """`follow` on the database at `url`, in a thread with a loop and connections of its own; ends with that thread."""
    over = threading.Event()

    async def apart() -> None:
        database = await Database.open(url)
        try:
            await follow(ledger, from_database(database.lookup), clock=clock, stop=over)
        finally:
            await database.close()

    with ThreadPoolExecutor(1, thread_name_prefix="follow") as pool:
        following: asyncio.Future[None] = asyncio.get_running_loop().run_in_executor(pool, lambda: asyncio.run(apart()))
        stopping = asyncio.ensure_future(stop.wait())
        either: set[asyncio.Future[None] | asyncio.Future[Literal[True]]] = {following, stopping}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            over.set()
        await following


def show(ledger: Ledger, proxy: str, *, clock: Callable[[], datetime]) -> None:
    """Tell in the metrics how old the news of a ledger is and how much it holds, whenever somebody asks."""

    def age() -> float:
        beat = ledger.read_at
        # Before the first reading there is no age; a very old one is what an alarm has to see.
        return float("inf") if beat is None else max(0.0, (clock() - beat).total_seconds())

    ledger_age.labels(proxy).set_function(age)
    ledger_entries.labels(proxy).set_function(lambda: len(ledger))


async def take_over(path: Path, stop: asyncio.Event) -> Ledger:
    """The ledger, as soon as no other process writes it. Raises `LedgerHeld` when `stop` is set before."""
    while True:
        try:
            return Ledger.open(path)
        except LedgerHeld:
            if stop.is_set():
                raise
            log.debug("ledger_held")
            await _pause(stop, _HELD_SECONDS)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
