"""What the control process does about failing services besides delivering: breakers, and announced endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from kronborg.core.db import Database
from kronborg.gateway.breaker_model import Order
from kronborg.gateway.breaker_orders import keep_stand
from kronborg.gateway.breakers import Breakers
from kronborg.gateway.breakers_store import Stand, orders_now, stands_of
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.model import Snapshot
from kronborg.gateway.registration import Announcements
from kronborg.gateway.registration_model import Announced
from kronborg.gateway.registration_store import living


async def keep_resilient(
    database: Database,
    proxy: Proxy,
    snapshot: Callable[[], Snapshot | None],
    *,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
) -> None:
    """Keep the breakers and the endpoints of one proxy until `stop` is set; `snapshot` is what it serves."""

    async def orders() -> Mapping[str, Order]:
        return await orders_now(database)

    async def tell(stand: Stand, why: str) -> None:
        await keep_stand(database, stand, why)

    async def holding(now: datetime) -> Mapping[str, Sequence[Announced]]:
        return await living(database, now=now)

    async with database.read() as session:
        before = await stands_of(session, proxy.name)
    breakers = Breakers(proxy, snapshot, orders, tell, clock, before)
    announcements = Announcements(proxy, snapshot, holding, clock)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(breakers.run(stop))
        tasks.create_task(announcements.run(stop))
