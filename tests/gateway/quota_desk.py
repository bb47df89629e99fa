"""A real authority over quotas for a live gateway of a test, with a clock of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from gateway.live import Live
from kronborg.gateway.model import Route
from kronborg.gateway.quota_endpoint import quotas_of
from kronborg.limits.authority import Authority, parse
from kronborg.limits.counters_model import Away, Counters, ProcessCounters
from kronborg.limits.model import Quota


@dataclass
class Desk:
    """Publishes routes and answers for their quotas; `calls` counts what gateways asked."""

    gateway: Live
    counters: Counters = field(default_factory=ProcessCounters)
    quotas: dict[str, Quota] = field(default_factory=dict)
    ahead: timedelta = timedelta()
    calls: int = 0
    spent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def publish(self, *routes: Route) -> None:
        """These routes, whose quotas nobody has used yet; other quotas of the same name get another one."""
        snapshot = self.gateway.snapshot(*routes)
        self.quotas = quotas_of(snapshot)
        self.gateway.exchange.desk = self.answer
        self.gateway.deliver(snapshot)

    def answer(self, body: bytes) -> bytes | None:
        """What a gateway is told."""

        async def known(_: str) -> Mapping[str, Quota]:
            return self.quotas

        with self.lock:
            self.calls += 1
            self.spent += sum(one.spent for one in parse(body) if one.quota in self.quotas)
            authority = Authority(self.counters, known, "node-1")
            try:
                return asyncio.run(authority.settle(body, now=datetime.now(UTC) + self.ahead))
            except Away:
                return None
