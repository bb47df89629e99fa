"""The page of breakers: where they stand, and forcing one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.conftest import ADMIN, Console
from console.test_pages import csrf_of
from kronborg.core import clock
from kronborg.gateway.breaker_orders import keep_stand
from kronborg.gateway.breakers_store import Stand, list_orders
from kronborg.gateway.model import Service
from kronborg.gateway.resilience_model import Breaker, Fallback
from kronborg.gateway.store import put_service

pytestmark = pytest.mark.anyio


async def test_an_administrator_sees_an_open_breaker_and_forces_it(console: Console) -> None:
    database, now = console.engine.database, clock.now()
    ada = await console.signed_in("ada", ADMIN)
    nothing = await ada.get("/console/breakers")
    guarded = Service("orders", ("http://192.0.2.7",), breaker=Breaker(), fallback=Fallback(service="spare"))
    async with database.write() as session:
        await put_service(session, guarded, now=now)
    await keep_stand(database, Stand("gateway-1", "orders", "open", now - timedelta(minutes=1)), "calls")

    listed = await ada.get("/console/breakers")
    asked = await ada.get("/console/breakers/orders")
    form = {"csrf": await csrf_of(ada), "state": "closed"}
    forced = await ada.http.post("/console/breakers/orders", data=form)
    after = await ada.get("/console/breakers?done=forced")
    missing = await ada.get("/console/breakers/none")
    async with database.read() as session:
        orders = [(one.service, one.wanted) for one in await list_orders(session)]

    assert "No breakers yet" in nothing.text
    assert "Falls back to spare" in listed.text
    assert "Open" in listed.text
    assert "Closed: every call does" in asked.text
    assert forced.status_code == 303
    assert "Forced closed" in after.text
    assert missing.status_code == 404
    assert orders == [("orders", "closed")]
