"""The canary: it measures the way of a revocation on the real feed and a real gateway, and its token opens nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.live import API, ISSUER, Live
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.gateway import canary
from kronborg.gateway.canary import Bird, from_engine, measure, turn
from kronborg.gateway.canary_store import canary_results
from kronborg.gateway.envoy.canary_host import HOST
from kronborg.gateway.follow import follow, from_database
from kronborg.gateway.ledger import Ledger
from kronborg.gateway.model import Path, Route
from kronborg.gateway.revocation_model import CANARY
from kronborg.tokens.engine import Engine, open_engine
from ports import free_port

pytestmark = pytest.mark.anyio

ROUTE = Route("read", Path("prefix", "/"), "echo", audience=API)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    database = await Database.open(database_url)
    idle = timedelta(hours=1)
    yield await open_engine(database, Vault(b"k" * 32), issuer=ISSUER, session_idle=idle, now=now())
    await database.close()


async def deliver(live: Live, engine: Engine) -> None:
    """The gateway with the keys of the engine."""
    own = live.keys
    live.keys = (await engine.keys.current(now=now())).signing_jwks.decode()
    try:
        await asyncio.to_thread(live.publish, ROUTE)
    finally:
        live.keys = own


async def test_a_revocation_on_the_real_feed_is_measured_and_kept(gateway: Live, engine: Engine) -> None:
    await deliver(gateway, engine)
    ledger, stop = Ledger.open(gateway.proxy.ledger), asyncio.Event()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(ledger, from_database(engine.database.lookup), clock=now, stop=stop))
        result = await turn(engine.database, from_engine(engine, now), gateway.proxy, clock=now)
        stop.set()
    ledger.close()

    assert result is not None
    assert result.outcome == "refused"
    assert result.took < timedelta(seconds=1)
    async with engine.database.read() as session:
        assert await canary_results(session, since=now() - timedelta(minutes=1)) == (result,)


async def test_its_token_opens_its_own_place_only_and_that_place_takes_no_other(gateway: Live, engine: Engine) -> None:
    await deliver(gateway, engine)
    bird = await from_engine(engine, now)()

    def ask(token: str | None, path: str = "/", **more: str) -> int:
        return gateway.get(path, token=token, **more).status

    found = await asyncio.to_thread(
        lambda: [
            ask(bird.token, host=HOST),
            ask(bird.token),
            ask(bird.token, "/other", host=HOST),
            ask(None, host=HOST),
            ask(gateway.token(), host=HOST),
            ask(gateway.token(aud=CANARY), host=HOST),
        ]
    )

    assert found == [204, 401, 404, 401, 401, 401]


async def test_a_gateway_that_does_not_refuse_is_told_of(
    gateway: Live, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deliver(gateway, engine)
    monkeypatch.setattr(canary, "GIVE_UP", timedelta(milliseconds=100))
    breed = from_engine(engine, now)

    async def immortal() -> Bird:
        async def not_at_all() -> None:
            """Nobody hears of it."""

        return replace(await breed(), revoke=not_at_all)

    result = await turn(engine.database, immortal, gateway.proxy, clock=now)

    assert result is not None
    assert result.outcome == "late"
    async with engine.database.read() as session:
        [event] = [one for one in await latest(session) if one.name == "gateway.revocation_late"]
    assert event.subject == gateway.proxy.name


async def test_a_gateway_that_is_away_or_closed_is_no_late_one(gateway: Live, engine: Engine) -> None:
    await asyncio.to_thread(gateway.publish, ROUTE)

    closed = await measure(from_engine(engine, now), "127.0.0.1", gateway.proxy.port)
    away = await measure(from_engine(engine, now), "127.0.0.1", free_port())

    assert (closed[0], away[0]) == ("not_admitted", "unreachable")
