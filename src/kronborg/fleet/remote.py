"""What a gateway elsewhere runs, heard from its control plane: the other source of the deliverer.

What the gateway took last lies on its disk, so that a refusal or a fresh start finds it without anybody's help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

from kronborg.core.log import get_logger
from kronborg.fleet.link import Away, Link, write_private
from kronborg.fleet.model import WAIT_SECONDS
from kronborg.fleet.revocations import read_page
from kronborg.gateway.model import Delivery
from kronborg.gateway.source import Offer, Source
from kronborg.gateway.watch import mark_of, read_offer, write_offer
from kronborg.tokens.feed import Page

log = get_logger("kronborg.fleet.remote")

_RETRY_SECONDS = 1.0


class RemoteSource(Source):
    """Asks the control plane for news, one long question after the other. `good` is the file of the last good offer."""

    def __init__(self, link: Link, good: Path) -> None:
        self._link, self._good = link, good
        self._newest: Offer | None = None
        self._mark = ""
        self.recorded = asyncio.Event()
        """Set when the gateway said something that the control plane should hear soon."""

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop` is set. A control plane that is away is asked again."""
        away = False
        while not stop.is_set():
            try:
                await self._ask()
                away = False
            except Away as failure:
                if not away:
                    log.warning("control_plane_away", reason=str(failure))
                away = True
                await pause(stop, _RETRY_SECONDS)
            except ValueError:
                log.exception("offer_unreadable")
                await pause(stop, _RETRY_SECONDS)

    async def mark(self) -> tuple[int, str] | None:
        """The mark of what was heard last."""
        return None if self._newest is None else self._newest.mark

    async def latest(self) -> Offer | None:
        """What was heard last."""
        return self._newest

    async def last_good(self) -> Offer | None:
        """What this gateway took last, from its disk."""
        return await asyncio.to_thread(_read, self._good)

    async def record(self, said: Delivery, *, now: datetime) -> None:
        """Keep what was taken; what was said is reported with the standing."""
        if said.status == "acked" and self._newest is not None and self._newest.snapshot.version == said.version:
            await asyncio.to_thread(write_private, self._good, write_offer(self._newest))
        self.recorded.set()

    async def _ask(self) -> None:
        answer = await self._link.call("GET", f"/config?have={self._mark}", seconds=WAIT_SECONDS + 10)
        if answer.status == 204:
            return
        if answer.status != 200:
            raise Away(f"status {answer.status}")
        self._newest = await asyncio.to_thread(read_offer, answer.body)
        self._mark = mark_of(answer.body)


def revocations_over(link: Link) -> Callable[[int], Awaitable[Page]]:
    """The feed of revocations, as the follower of a ledger reads it."""

    async def read(after: int) -> Page:
        answer = await link.call("GET", f"/revocations?after={after}")
        if answer.status != 200:
            raise Away(f"status {answer.status}")
        return read_page(answer.body)

    return read


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _read(good: Path) -> Offer | None:
    try:
        return read_offer(good.read_bytes())
    except (OSError, ValueError):
        return None
