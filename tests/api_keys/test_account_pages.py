"""Personal access tokens on the account pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from kronborg.api_keys import account_pages, store
from kronborg.api_keys.model import KeySettings, kind_of
from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.tokens.engine import open_engine
from people_site import PASSWORD, PeopleSite, Visitor, people_site

pytestmark = pytest.mark.anyio
API = "https://shop.example/catalogue"
FORM = {"name": "Backup", "scope:catalogue:read": "1", "days": "30", "current": PASSWORD}


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[PeopleSite]:
    async with people_site(database, vault, routes=tuple(account_pages.routes())) as opened:
        parts = opened.parts
        engine = await open_engine(database, vault, issuer=parts.issuer, session_idle=parts.session_idle, now=now)
        opened.app.state.engine, opened.app.state.key_settings = engine, KeySettings()
        async with database.write() as session:
            await save_api(session, ApiDraft(API, "Catalogue", (Scope("catalogue:read", "Read"),)), actor="t", now=now)
        yield opened


async def signed_in(site: PeopleSite, name: str = "hamlet") -> Visitor:
    await site.person(name)
    visitor = site.visitor()
    await visitor.sign_in(name)
    return visitor


async def test_a_person_makes_a_token_and_revokes_it(site: PeopleSite, database: Database) -> None:
    visitor = await signed_in(site)

    made = await visitor.post("/account/tokens", FORM)
    shown = re.search(r'id="new-token">([^<]+)<', made.text)
    again = await visitor.get("/account/tokens")
    (key,) = await store.list_keys(database.lookup, limit=10)
    revoked = await visitor.post(f"/account/tokens/{key.id}/revoke", page="/account/tokens")

    assert made.status_code == 200
    assert shown is not None
    assert kind_of(shown[1]) == "personal_token"
    assert shown[1] not in again.text
    assert (key.scopes, key.audiences, key.name) == (("catalogue:read",), (API,), "Backup")
    assert (key.expires_at - key.created_at).days == 30
    assert revoked.status_code == 303
    assert await store.list_keys(database.lookup, limit=10) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"current": "wrong"},
        {"current": ""},
        {"name": ""},
        {"scope:catalogue:read": ""},
        {"scope:admin:write": "1"},
        {"days": "365"},
        {"days": "x"},
    ],
)
async def test_what_is_missing_or_too_much_makes_no_token(
    site: PeopleSite, database: Database, change: dict[str, str]
) -> None:
    visitor = await signed_in(site)
    form = {name: value for name, value in {**FORM, **change}.items() if value}

    answer = await visitor.post("/account/tokens", form)

    assert answer.status_code == 422
    assert await store.list_keys(database.lookup, limit=10) == ()


async def test_nobody_revokes_the_token_of_somebody_else(site: PeopleSite, database: Database) -> None:
    await (await signed_in(site)).post("/account/tokens", FORM)
    (key,) = await store.list_keys(database.lookup, limit=10)

    answer = await (await signed_in(site, "ophelia")).post(f"/account/tokens/{key.id}/revoke", page="/account/tokens")
    stranger = await site.visitor().get("/account/tokens")

    assert answer.status_code == 404
    assert stranger.status_code == 303
    assert len(await store.list_keys(database.lookup, limit=10)) == 1
