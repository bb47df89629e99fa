"""The breakers of one gateway: what Envoy counted goes in, its runtime keys come out, a few times a second.

While this process is away the gateway goes on as it was told last: an open breaker stays open, a closed one closed.
When it comes back it goes on where it was, by the rows it wrote. When Envoy starts again it knows of no breaker until
it is told, within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from prometheus_client import Counter, Gauge

from kronborg.core.log import get_logger
from kronborg.gateway.breaker_model import WHOLE, Order, State, closed, resumed, step
from kronborg.gateway.breakers_store import Stand
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.counters import Tally
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.target import breaker_prefix, cluster_name, instead_name
from kronborg.gateway.model import Service, Snapshot

log = get_logger("kronborg.gateway.breakers")

TURN_SECONDS = 0.2
_CHECK_SECONDS = 1.0
_KEYS = "breaker."

standing = Gauge("kronborg_breaker_state", "0 closed, 1 half-open, 2 open", ("proxy", "service"))
changed = Counter("kronborg_breaker_changes", "How often a breaker changed to a phase", ("proxy", "service", "phase"))
_LEVELS = {"closed": 0, "half_open": 1, "open": 2}

Orders = Callable[[], Awaitable[Mapping[str, Order]]]
"""What operators ordered, by service."""
Tell = Callable[[Stand, str], Awaitable[None]]
"""Writes down where a breaker stands now, and why it does."""
Snapshots = Callable[[], Snapshot | None]
"""What the proxy serves."""


@dataclass(slots=True)
class Breakers:
    """Keeps the breakers of one proxy."""

    proxy: Proxy
    snapshot: Snapshots
    orders: Orders
    tell: Tell
    clock: Callable[[], datetime]
    before: tuple[Stand, ...] = ()
    """Where they stood when another process left them."""
    states: dict[str, State] = field(default_factory=dict, init=False)
    _tally: Tally = field(default_factory=Tally, init=False)
    _ordered: Mapping[str, Order] = field(default_factory=dict, init=False)
    _told: dict[str, str] = field(default_factory=dict, init=False)
    _pending: dict[str, tuple[Stand, str]] = field(default_factory=dict, init=False)
    _checked_at: float = field(default=float("-inf"), init=False)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep them until `stop` is set."""
        while not stop.is_set():
            try:
                await self.turn()
            except admin.ProxyAway:
                self._checked_at = float("-inf")
            except Exception:  # the edge of a process: the next turn tries again
                log.exception("breakers_failed", proxy=self.proxy.name)
            try:
                async with asyncio.timeout(TURN_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """Look once, decide, and tell the proxy. Raises `admin.ProxyAway`."""
        snapshot = self.snapshot()
        if snapshot is None:
            return
        services = {one.name: one for one in snapshot.services if one.breaker is not None}
        now = self.clock()
        checking = asyncio.get_running_loop().time() - self._checked_at >= _CHECK_SECONDS
        if not services and not self._told and not checking:
            return
        counts = await self._tally.read(self.proxy.admin, services) if services else {}
        for name, service in services.items():
            if service.breaker is None:
                continue
            state = self.states.get(name) or self._begin(name, now)
            after = step(state, counts[name], service.breaker, order=self._ordered.get(name), now=now)
            self._note(name, self.states.get(name), after)
            self.states[name] = after
        for name in self.states.keys() - services.keys():
            del self.states[name]
        await self._apply(keys_of(snapshot, self.states), checking=checking)
        # Last, because a database that is away must not stop the breakers.
        if checking and services:
            self._ordered = await self.orders()
        await self._write_down()

    def _begin(self, name: str, now: datetime) -> State:
        for stand in self.before:
            if stand.service == name:
                return resumed(stand.phase, stand.since, now)
        return closed(now)

    def _note(self, name: str, before: State | None, after: State) -> None:
        standing.labels(self.proxy.name, name).set(_LEVELS[after.phase])
        if before is not None and (before.phase, before.order) == (after.phase, after.order):
            return
        if before is None and after.phase == "closed" and after.order is None:
            return
        changed.labels(self.proxy.name, name, after.phase).inc()
        log.info("breaker_changed", proxy=self.proxy.name, service=name, phase=after.phase, ordered=after.order)
        why = "order" if after.order is not None else "calls"
        self._pending[name] = (Stand(self.proxy.name, name, after.phase, after.since), why)

    async def _apply(self, wanted: dict[str, str], *, checking: bool) -> None:
        """Bring the runtime of the proxy to `wanted`; what it holds besides of breakers goes."""
        held = await self._held() if checking else self._told
        changes = {key: value for key, value in wanted.items() if held.get(key) != value}
        changes |= dict.fromkeys(held.keys() - wanted.keys(), "")
        await admin.set_runtime(self.proxy.admin, changes)
        self._told = wanted
        if checking:
            self._checked_at = asyncio.get_running_loop().time()

    async def _held(self) -> dict[str, str]:
        told = await admin.read_json(self.proxy.admin, "/runtime?format=json")
        entries = told.get("entries") if isinstance(told, dict) else None
        if not isinstance(entries, dict):
            return {}
        return {
            str(key): str(cast("dict[str, object]", value).get("final_value", ""))
            for key, value in entries.items()
            if str(key).startswith(_KEYS)
        }

    async def _write_down(self) -> None:
        for name, (stand, why) in list(self._pending.items()):
            await self.tell(stand, why)
            self._pending.pop(name)


def keys_of(snapshot: Snapshot, states: Mapping[str, State]) -> dict[str, str]:
    """The runtime keys for breakers that let less than everything pass; none for all others."""
    services = {service.name: service for service in snapshot.services}
    found: dict[str, str] = {}
    for name, state in states.items():
        if state.share < WHOLE and name in services:
            found |= _keys(breaker_prefix(name), [(services[name], 1)], states)
    low = {name for name, state in states.items() if state.share < WHOLE}
    for route in snapshot.routes if low else ():
        if not route.split or low.isdisjoint({route.service, *(share.service for share in route.split)}):
            continue
        rest = 100 - sum(share.percent for share in route.split)
        shares = [(route.service, rest), *((share.service, share.percent) for share in route.split)]
        parts = [(services[service], percent) for service, percent in shares if service in services and percent > 0]
        found |= _keys(breaker_prefix(f"split.{route.name}"), parts, states)
    return found


def _keys(prefix: str, parts: list[tuple[Service, int]], states: Mapping[str, State]) -> dict[str, str]:
    """The weights of each part times the share of its breaker, the rest to its stand-in."""
    weights: dict[str, int] = {}
    for service, weight in parts:
        state = states.get(service.name)
        share = WHOLE if state is None else state.share
        own = weight * share
        weights[cluster_name(service.name)] = weights.get(cluster_name(service.name), 0) + own
        if service.breaker is not None:
            other = instead_name(service.name)
            weights[other] = weights.get(other, 0) + weight * WHOLE - own
    return {f"{prefix}.{cluster}": str(weight) for cluster, weight in weights.items()}
