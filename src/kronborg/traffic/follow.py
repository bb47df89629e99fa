"""What the control process does with traffic: it follows the access log, and keeps the store within its bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

from prometheus_client import REGISTRY

from kronborg.core.log import get_logger
from kronborg.gateway.envoy.access_log import path_of
from kronborg.gateway.envoy.admin import reopen_logs
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.traffic.metrics import GatewayMetrics
from kronborg.traffic.reader import LogReader
from kronborg.traffic.search_model import Keeping, TrafficStore

log = get_logger("kronborg.traffic")

TEND_SECONDS = 300.0


async def tend(store: TrafficStore, keeping: Keeping, *, now: datetime) -> None:
    """Drop what is too old or too much."""
    gone = await asyncio.to_thread(store.tend, keeping, now=now)
    if gone:
        log.info("traffic_dropped", days=gone)


async def follow_traffic(
    proxy: Proxy, store: TrafficStore, keeping: Keeping, *, clock: Callable[[], datetime], stop: asyncio.Event
) -> None:
    """Read the access log of this machine's gateway until `stop` is set, and keep the store within its bounds."""
    counted = GatewayMetrics(proxy.name)
    REGISTRY.register(counted)
    reader = LogReader(path_of(proxy), proxy.name, store, partial(reopen_logs, proxy.admin), counted=counted.add)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reader.run(stop))
            tasks.create_task(_tend_often(store, keeping, clock=clock, stop=stop))
    finally:
        REGISTRY.unregister(counted)
        await asyncio.to_thread(store.close)


async def _tend_often(
    store: TrafficStore, keeping: Keeping, *, clock: Callable[[], datetime], stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            await tend(store, keeping, now=clock())
        except Exception:  # the edge of a process: the next turn tries again
            log.exception("traffic_not_tended")
        try:
            async with asyncio.timeout(TEND_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
