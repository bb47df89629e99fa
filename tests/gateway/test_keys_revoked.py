"""What ends a key at a live gateway: the feed's way into the ledger, the exchange and its people and clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
import uvicorn

from gateway.ledgers import at_once, book
from gateway.live import Live
from kronborg.accounts.users import disable_user
from kronborg.api_keys import keys
from kronborg.api_keys.exchange import Uses, exchange_key
from kronborg.api_keys.model import KeyDraft, KeySettings, NewKey
from kronborg.clients.directory import changed
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import save_client
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.deliver import put
from kronborg.gateway.exchange import ExchangeApp, Phantom, ShownKey
from kronborg.gateway.follow import follow, from_database
from kronborg.gateway.model import Audience, Path, Route
from kronborg.worker import POLL, Outbox
from token_site import ALL_SCOPES, CATALOGUE, ISSUER, Site, token_site

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

DRAFT = KeyDraft("Nightly import", (CATALOGUE,), ("catalogue:read",))
ROUTE = Route("keyed", Path("prefix", "/keyed"), "echo", audience=CATALOGUE, credentials=("api_key", "personal_token"))
SOON = 2.0
"""Seconds: a second is what is promised, and tests run on busy machines."""


@dataclass
class House:
    """A site whose exchange and feed are those of the gateway."""

    site: Site
    gateway: Live

    async def status(self, made: NewKey) -> int:
        answer = await asyncio.to_thread(self.gateway.get, "/keyed", token=made.text)
        return answer.status

    async def refused_after(self, made: NewKey) -> float:
        """Seconds until a key that was good is refused."""
        begin = time.monotonic()
        while await self.status(made) != 401:
            assert time.monotonic() - begin < 5, "the key goes on working"
        return time.monotonic() - begin

    async def of_client(self) -> NewKey:
        await self.site.client("importer")
        return await keys.make_for_client(
            self.site.engine, "importer", DRAFT, KeySettings(), actor="test", now=at_once()
        )

    async def of_person(self) -> NewKey:
        person = (await self.site.person()).user.id
        return await keys.make_for_person(self.site.engine, person, DRAFT, KeySettings(), actor=person, now=at_once())


async def handle(outbox: Outbox, stop: asyncio.Event) -> None:
    """News of people and clients, as the worker takes it up."""
    while not stop.is_set():
        if not await outbox.turn(now=at_once()):
            await asyncio.sleep(POLL)


@asynccontextmanager
async def serving(app: ExchangeApp, port: int) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def house(gateway: Live, database: Database, vault: Vault) -> AsyncIterator[House]:
    """The exchange and the follower of the control process, around a live Envoy."""
    async with token_site(database, vault, at_once()) as site:
        engine, uses = site.engine, Uses()

        async def nobody(token: str, now: datetime) -> Phantom | None:
            return None

        async def by_key(shown: ShownKey, now: datetime) -> Phantom | None:
            found = await exchange_key(
                engine, uses, shown.text, audience=shown.audience, address=shown.address, now=now
            )
            return None if found is None else Phantom(found[0].token, found[0].expires_at - now, bound=found[1])

        jwks = (await engine.keys.current(now=at_once())).signing_jwks.decode()
        audiences = (Audience(CATALOGUE, ("catalogue:read",)),)
        said = await put(replace(gateway.snapshot(ROUTE), audiences=audiences, issuer=ISSUER), jwks, gateway.proxy)
        assert said.status == "acked", said.reason
        await asyncio.to_thread(gateway.exchange.stop)
        stop = asyncio.Event()
        app = ExchangeApp(nobody, by_key, secret=gateway.exchange.secret, clock=at_once)
        with book(gateway) as written:
            async with serving(app, gateway.proxy.exchange_port):
                following = asyncio.create_task(
                    follow(written.ledger, from_database(database.lookup), clock=at_once, stop=stop)
                )
                handling = asyncio.create_task(handle(Outbox(engine), stop))
                yield House(site, gateway)
                stop.set()
                await asyncio.gather(following, handling)
        gateway.exchange.start()
        await asyncio.to_thread(gateway.publish)


@pytest.mark.parametrize("kind", ["api_key", "personal_token"])
async def test_a_revoked_key_is_refused_within_a_second_though_the_gateway_knows_it(house: House, kind: str) -> None:
    made = await (house.of_client() if kind == "api_key" else house.of_person())
    known = [await house.status(made) for _ in range(3)]

    await keys.revoke(house.site.engine, made.key.id, actor="test", now=at_once())
    took = await house.refused_after(made)

    assert known == [200, 200, 200]
    assert took < SOON
    assert await house.status(made) == 401


async def test_the_token_of_somebody_who_was_disabled_is_refused(house: House) -> None:
    made = await house.of_person()
    known = await house.status(made)
    assert made.key.user_id is not None

    async with house.site.engine.database.write() as session:
        await disable_user(session, made.key.user_id, actor="test", now=at_once())
    took = await house.refused_after(made)

    assert known == 200
    assert took < SOON


async def test_the_key_of_a_client_that_was_disabled_is_refused(house: House) -> None:
    made = await house.of_client()
    known = await house.status(made)

    off = ClientDraft("importer", "importer", grants=("client_credentials",), scopes=ALL_SCOPES, disabled=True)
    async with house.site.engine.database.write() as session:
        await save_client(session, off, actor="test", now=at_once())
    changed()
    took = await house.refused_after(made)

    assert known == 200
    assert took < SOON
