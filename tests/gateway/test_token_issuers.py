"""Other issuers in the admin API, and where their keys come from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import orjson
import pytest
from joserfc.jwk import ECKey

from admin.conftest import Admin, open_admin
from kronborg.clients.model import ApiDraft
from kronborg.clients.register import save_api
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.gateway.access_model import AudienceMapping, TokenIssuer
from kronborg.gateway.issuer_keys import usable_keys
from kronborg.gateway.publish import draft
from kronborg.gateway.source import DatabaseSource
from kronborg.gateway.token_issuers import refresh, with_keys
from kronborg.gateway.token_issuers_store import fetched_keys, keys_now, put_keys, put_token_issuer

pytestmark = pytest.mark.anyio
API = "https://shop.example/catalogue"
KEY = ECKey.generate_key("P-256", {"kid": "a"})
JWKS = {"keys": [KEY.as_dict(private=False)]}
ACME = {
    "issuer": "https://login.acme.example",
    "audiences": [{"api": API, "audience": "api://catalogue"}],
    "jwks": JWKS,
}


@pytest.fixture
async def admin(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Admin]:
    opened = await open_admin(database, vault)
    async with database.write() as session:
        await save_api(session, ApiDraft(API, "Catalogue"), actor="test", now=now)
    yield opened
    await opened.http.aclose()


async def test_an_issuer_is_made_changed_and_removed(admin: Admin) -> None:
    url = "/api/token-issuers/acme"

    made = await admin.http.put(url, json=ACME, headers=admin.write)
    listed = await admin.http.get("/api/token-issuers", headers=admin.read)
    stale = await admin.http.put(url, json=ACME, headers={**admin.write, "if-match": '"other"'})
    async with admin.database.read() as session:
        snapshot = await draft(session, issuer="http://localhost:8081", gateway_url="http://localhost:8080")
    removed = await admin.http.delete(url, headers=admin.write)

    assert (made.status_code, stale.status_code, removed.status_code) == (200, 412, 204)
    assert [one["name"] for one in listed.json()["items"]] == ["acme"]
    assert snapshot.issuers[0].audiences == (AudienceMapping(API, "api://catalogue"),)
    assert orjson.loads(snapshot.issuers[0].jwks)["keys"][0]["alg"] == "ES256"


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://localhost:8081"},
        {"jwks": None},
        {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}},
        {"jwks_uri": "https://login.acme.example/jwks"},
        {"jwks": None, "jwks_uri": "http://login.acme.example/jwks"},
        {"audiences": [{"api": "https://unknown.example", "audience": "x"}]},
        {"client_claim": "a.b"},
        {"algorithms": ["HS256"]},
    ],
)
async def test_what_cannot_be_trusted_is_refused(admin: Admin, change: dict[str, object]) -> None:
    answer = await admin.http.put("/api/token-issuers/acme", json={**ACME, **change}, headers=admin.write)

    assert answer.status_code == 422


@pytest.mark.parametrize("name", ["http", "https", "pat"])
async def test_no_issuer_is_called_as_our_own_names_begin(admin: Admin, name: str) -> None:
    answer = await admin.http.put(f"/api/token-issuers/{name}", json=ACME, headers=admin.write)

    assert answer.status_code == 422


async def test_fetched_keys_reach_the_gateway_and_outlast_an_issuer_that_is_away(
    database: Database, now: datetime
) -> None:
    issuer = TokenIssuer(
        "acme", "https://a.example", (AudienceMapping(API, "x"),), jwks_uri="https://nowhere.invalid/jwks"
    )
    keys = usable_keys(JWKS, ("ES256",))
    async with database.write() as session:
        await put_token_issuer(session, issuer, now=now)
        await put_keys(session, "acme", keys, now=now)

    await refresh(database, Fetcher(), now=now)

    async with database.read() as session:
        assert await fetched_keys(session) == {"acme": keys}
        snapshot = await draft(session, issuer="http://localhost:8081", gateway_url="http://localhost:8080")
    assert snapshot.issuers[0].jwks == ""
    assert with_keys(snapshot, await keys_now(database.lookup)).issuers[0].jwks == keys


async def test_new_keys_are_a_new_offer(database: Database, now: datetime) -> None:
    async def ours() -> str:
        return "{}"

    async with database.read() as session:
        empty = await draft(session, issuer="http://localhost:8081", gateway_url="http://localhost:8080")
    source = DatabaseSource(database, ours, empty, "gateway-1")
    before = await source.mark()
    async with database.write() as session:
        await put_token_issuer(
            session, TokenIssuer("acme", "https://a.example", (), jwks_uri="https://a.example"), now=now
        )
        await put_keys(session, "acme", "{}", now=now)

    after, offer = await source.mark(), await source.latest()

    assert before != after
    assert offer is not None
    assert offer.mark == after
