"""The follower: what the feed of revocations says is in the gateway's ledger a moment later.

It goes on where the ledger says it was, so nothing is missed over restarts of either side. Where the feed is read from
is a parameter: the database on the machine of the installation, HTTPS elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from kronborg.core.group_writer import Lookup
from kronborg.core.log import get_logger
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

Source = Callable[[int], Awaitable[Page]]
"""Reads the feed after a number. It waits for news, though no longer than `HEARTBEAT_SECONDS`."""


def from_database(lookup: Lookup) -> Source:
    """The feed of this installation's own database."""

    async def read(after: int) -> Page:
        await feed.wait(lookup, after=after, seconds=HEARTBEAT_SECONDS, every=LOOK_EVERY)
        return await feed.read(lookup, after=after)

    return read


async def follow(ledger: Ledger, source: Source, *, clock: Callable[[], datetime], stop: asyncio.Event) -> None:
    """Follow until `stop` is set. While the source fails there is no heartbeat, and the ledger grows old."""
    failing = False
    while not stop.is_set():
        try:
            page = await source(ledger.after)
            ledger.apply(page, now=clock())
            failing = False
        except Exception:  # the edge of a process: the next turn tries again
            if not failing:
                log.exception("feed_unreadable")
            failing = True
            await _pause(stop, _RETRY_SECONDS)


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
