"""A live gateway whose service misbehaves, with its breakers kept by a thread as the control process keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from gateway.live import Live
from gateway.misbehaving import Upstream, good
from kronborg.core import clock
from kronborg.gateway.breaker_model import Order
from kronborg.gateway.breakers import Breakers
from kronborg.gateway.breakers_store import Stand
from kronborg.gateway.model import Path, Route, Service, Snapshot
from kronborg.gateway.resilience_model import Breaker

QUICK = Breaker(window=timedelta(seconds=2), minimum_calls=5, open_for=timedelta(seconds=1), probes=2, error_rate=50)
ROUTE = Route("orders", Path("prefix", "/orders"), "orders", public=True, timeout=timedelta(seconds=2))


@dataclass
class Stage:
    """`orders` may be changed at any time; `told` is what the breakers wrote down."""

    live: Live
    first: Upstream
    second: Upstream
    snapshot: Snapshot | None = None
    orders: dict[str, Order] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)

    def publish(self, service: Service, route: Route = ROUTE) -> None:
        """The service that misbehaves, and `spare` that does not."""
        spare = Service("spare", (self.second.url,))
        self.snapshot = replace(self.live.snapshot(route), services=(service, spare))
        self.live.deliver(self.snapshot)

    def statuses(self, count: int, *, method: str = "GET", path: str = "/orders/1") -> list[int]:
        """What so many requests one after the other get; 0 for an answer that broke off."""
        body = b"x" if method in ("POST", "PATCH") else None
        found = []
        for _ in range(count):
            try:
                found.append(self.live.request(method, path, body=body).status)
            except Exception:
                found.append(0)
        return found

    async def _told(self, stand: Stand, why: str) -> None:
        self.told.append((stand.phase, why))

    async def _orders(self) -> dict[str, Order]:
        return dict(self.orders)

    def breakers(self, *before: Stand) -> Breakers:
        return Breakers(self.live.proxy, lambda: self.snapshot, self._orders, self._told, clock.now, before)


@contextlib.contextmanager
def staged(live: Live) -> Iterator[Stage]:
    first, second = Upstream(good), Upstream(good)
    try:
        yield Stage(live, first, second)
    finally:
        first.stop()
        second.stop()


@contextlib.contextmanager
def kept(breakers: Breakers) -> Iterator[Breakers]:
    """These breakers, kept by a thread."""
    ends: list[Callable[[], object]] = []
    ready = threading.Event()

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(stop.set))
        ready.set()
        await breakers.run(stop)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield breakers
    finally:
        ends[0]()
        thread.join(timeout=10)
