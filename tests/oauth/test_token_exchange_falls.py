"""What takes exchanged tokens away, and what is recorded of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from kronborg.accounts.users import disable_user
from kronborg.clients.register import set_disabled
from kronborg.core import events
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.sessions.life import end_session
from kronborg.tokens.revoke import revoke_client, revoke_grants
from oauth.exchange_flow import PRICING, exchange_site, own, subject, trade
from token_site import CART, Person, Site

pytestmark = pytest.mark.anyio


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with exchange_site(database, vault, now) as opened:
        yield opened


@pytest.mark.spec("RFC 8693 §2.1")
async def test_a_client_can_be_the_subject_and_takes_its_tokens_along(site: Site) -> None:
    await site.client("batch", scopes=("catalogue:read", "cart:read"))
    token = await own(site, "batch")

    jwt = (await trade(site, token)).json()["access_token"]
    reference = (await trade(site, token, audience=CART)).json()["access_token"]
    before = [await site.introspect(jwt), await site.introspect(reference, "cart-api")]
    await revoke_client(site.engine, "batch", actor="test", now=site.clock.now + timedelta(seconds=1))
    after = [await site.introspect(jwt), await site.introspect(reference, "cart-api")]

    assert [(each["sub"], each["client_id"]) for each in before] == [("batch", "catalogue-api")] * 2
    assert after == [{"active": False}] * 2


async def test_a_disabled_subject_client_ends_what_was_exchanged_for_it(site: Site) -> None:
    await site.client("batch", scopes=("cart:read", "catalogue:read"))
    token = await own(site, "batch")
    traded = (await trade(site, token, audience=CART)).json()["access_token"]

    await _disable(site, "batch")

    assert await site.introspect(traded, "cart-api") == {"active": False}
    assert (await trade(site, token)).json()["error"] == "invalid_request"


async def _disable(site: Site, client_id: str) -> None:
    async with site.engine.database.write() as session:
        await set_disabled(session, client_id, disabled=True, actor="test", now=site.clock.now)


async def _disable_user(site: Site, person: Person) -> None:
    async with site.engine.database.write() as session:
        await disable_user(session, person.user.id, actor="test", now=site.clock.now)


async def _sign_out(site: Site, person: Person) -> None:
    async with site.engine.database.write() as session:
        await end_session(session, person.session_id, user_id=person.user.id, actor="test", now=site.clock.now)


async def _revoke(site: Site, person: Person) -> None:
    await revoke_grants(site.engine, user_id=person.user.id, actor="test", reason="test", now=site.clock.now)


async def _disable_holder(site: Site, _person: Person) -> None:
    await _disable(site, "web")
    await revoke_client(site.engine, "web", actor="test", now=site.clock.now)  # as the worker does


FALLS = {"user disabled": _disable_user, "signed out": _sign_out, "revoked": _revoke, "client": _disable_holder}


@pytest.mark.parametrize("what", FALLS)
async def test_what_takes_the_subject_token_takes_the_traded_ones(site: Site, what: str) -> None:
    person = await site.person()
    token = await subject(site, person)
    jwt = (await trade(site, token, audience=PRICING)).json()["access_token"]
    reference = (await trade(site, token, audience=CART)).json()["access_token"]

    await FALLS[what](site, person)

    assert (await trade(site, token)).json()["error"] == "invalid_request"
    assert await site.introspect(jwt) == {"active": False}
    assert await site.introspect(reference, "cart-api") == {"active": False}


async def test_a_disabled_client_trades_nothing_and_its_traded_tokens_end(site: Site) -> None:
    token = await subject(site, await site.person())
    traded = (await trade(site, token, audience=CART)).json()["access_token"]

    await _disable(site, "catalogue-api")

    assert (await trade(site, token)).json()["error"] == "invalid_client"
    assert await site.introspect(traded, "cart-api") == {"active": False}


async def test_an_exchange_is_recorded_with_both_parties(site: Site) -> None:
    person = await site.person()

    await trade(site, await subject(site, person), audience=PRICING)

    async with site.engine.database.read() as session:
        [event] = [e for e in await events.latest(session, limit=5) if e.name == "token.exchanged"]
    assert (event.actor, event.subject) == ("catalogue-api", person.user.id)
    assert (event.detail["subject_client"], event.detail["audience"]) == ("web", PRICING)
