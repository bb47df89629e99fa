"""The feed of revocations over HTTP, as a gateway or a resource server follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.tokens.revoke import revoke_client
from token_site import Site, claims_of, token_site

pytestmark = pytest.mark.anyio
PATH = "/oauth/revocations"


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.client("gate", scopes=("revocations:read", "admin:read"))
        await opened.client("batch", scopes=("catalogue:read", "cart:read"))
        await opened.web_client()
        yield opened


async def bearer(site: Site, client: str = "gate", scope: str = "revocations:read") -> dict[str, str]:
    answer = await site.token(client, grant_type="client_credentials", scope=scope)
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def read(site: Site, **parameters: int) -> dict[str, Any]:
    answer = await site.http.get(PATH, params=parameters, headers=await bearer(site))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_revoked_jwt_is_told_until_it_would_have_expired(site: Site) -> None:
    token = (await site.token("batch", grant_type="client_credentials", scope="catalogue:read")).json()["access_token"]
    claims = claims_of(token)

    await site.post("/oauth/revoke", "batch", token=token)

    told = await read(site)
    [entry] = told["entries"]
    assert (entry["seq"], entry["kind"], entry["subject"]) == (1, "token", claims["jti"])
    assert entry["until"] >= claims["exp"]
    assert told["last"] == 1
    assert not told["reset"]


@pytest.mark.spec("RFC 7009 §2.1")
async def test_a_revoked_refresh_token_is_told_as_its_grant(site: Site) -> None:
    tokens = await site.tokens(await site.person())

    await site.post("/oauth/revoke", client_id="web", token=tokens["refresh_token"])

    [entry] = (await read(site))["entries"]
    assert (entry["kind"], entry["subject"]) == ("grant", claims_of(tokens["access_token"])["gid"])


@pytest.mark.spec("RFC 6749 §4.1.2", "RFC 9700 §4.14.2")
async def test_replayed_codes_and_reused_refresh_tokens_are_told(site: Site) -> None:
    person = await site.person()
    code = await site.code(person)
    first = (await site.redeem(code)).json()
    second = await site.tokens(person)
    await site.refresh(second["refresh_token"])
    site.clock.pass_by(minutes=5)

    await site.redeem(code)
    await site.refresh(second["refresh_token"])

    entries = (await read(site))["entries"]
    gids = [claims_of(one["access_token"])["gid"] for one in (first, second)]
    assert [(entry["kind"], entry["subject"]) for entry in entries] == [("grant", gid) for gid in gids]


async def test_tokens_issued_after_a_client_was_revoked_are_good(site: Site) -> None:
    site.clock.pass_by(milliseconds=700)
    old = (await site.token("batch", grant_type="client_credentials", scope="catalogue:read")).json()["access_token"]

    await revoke_client(site.engine, "batch", actor="test", now=site.clock.now)
    site.clock.pass_by(seconds=1)
    new = (await site.token("batch", grant_type="client_credentials", scope="catalogue:read")).json()["access_token"]

    [entry] = (await read(site))["entries"]
    assert (entry["kind"], entry["subject"]) == ("client", "batch")
    assert claims_of(old)["iat"] < entry["not_before"] <= claims_of(new)["iat"]
    assert not (await site.introspect(old))["active"]
    assert (await site.introspect(new))["active"]


async def test_a_page_is_bounded_and_says_that_there_is_more(site: Site) -> None:
    for _ in range(3):
        await revoke_client(site.engine, "batch", actor="test", now=site.clock.now)

    pages = [await read(site, limit=2), await read(site, after=2, limit=2), await read(site, after=3)]

    assert [[entry["seq"] for entry in page["entries"]] for page in pages] == [[1, 2], [3], []]
    assert [page["more"] for page in pages] == [True, False, False]
    assert [page["last"] for page in pages] == [2, 3, 3]


async def test_who_waits_is_answered_at_the_next_revocation(site: Site) -> None:
    headers = await bearer(site)
    waiting = asyncio.ensure_future(site.http.get(f"{PATH}?after=0&wait=30", headers=headers))
    await asyncio.wait({waiting}, timeout=0.05)

    await revoke_client(site.engine, "batch", actor="test", now=site.clock.now)

    answer = await asyncio.wait_for(waiting, timeout=5)
    assert [entry["kind"] for entry in answer.json()["entries"]] == ["client"]


async def test_who_is_ahead_of_the_feed_begins_anew(site: Site) -> None:
    await revoke_client(site.engine, "batch", actor="test", now=site.clock.now)

    told = await read(site, after=900)

    assert told["reset"]
    assert [entry["seq"] for entry in told["entries"]] == [1]


@pytest.mark.spec("RFC 9110 §13.1.2")
async def test_nothing_new_is_304_for_who_says_what_it_has(site: Site) -> None:
    await revoke_client(site.engine, "batch", actor="test", now=site.clock.now)
    headers = await bearer(site)
    first = await site.http.get(PATH, headers=headers)

    again = await site.http.get(f"{PATH}?after=1", headers={**headers, "if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-store"


@pytest.mark.spec("RFC 6750 §3.1")
async def test_only_a_token_with_the_scope_opens_it(site: Site) -> None:
    answers: list[httpx.Response] = [
        await site.http.get(PATH),
        await site.http.get(PATH, headers={"authorization": "Bearer nothing"}),
        await site.http.get(PATH, headers={"authorization": "Basic Zm9vOmJhcg=="}),
        await site.http.get(PATH, headers=await bearer(site, "batch", "catalogue:read")),
        await site.http.get(PATH, headers=await bearer(site, "gate", "admin:read")),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 400, 401, 403]
    challenges = [answer.headers["www-authenticate"] for answer in answers]
    assert challenges[0] == "Bearer"
    assert [challenge.split(",")[0] for challenge in challenges[1:]] == [
        'Bearer error="invalid_token"',
        'Bearer error="invalid_request"',
        'Bearer error="invalid_token"',
        'Bearer error="insufficient_scope"',
    ]


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", "after=1&after=2", "wait=31", "limit=0", "limit=1001", "since=1", "after=", "after=%00"],
)
async def test_what_is_no_number_within_bounds_is_refused(site: Site, query: str) -> None:
    answer = await site.http.get(f"{PATH}?{query}", headers=await bearer(site))

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_it_is_only_read(site: Site) -> None:
    answer = await site.http.post(PATH, headers=await bearer(site))

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
