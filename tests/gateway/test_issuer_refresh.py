"""Keys of other issuers: fetched, changed there, taken back there, and no answer for too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.live import API, Live
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.gateway.access_model import AudienceMapping, KeysState, TokenIssuer
from kronborg.gateway.model import Path, Route
from kronborg.gateway.token_issuers import LONGEST_UNSEEN, refresh, with_keys
from kronborg.gateway.token_issuers_store import keys_now, keys_states, put_token_issuer
from outside import LOOPBACK, Answer, Outside, outside

pytestmark = pytest.mark.anyio
OLD, NEW = (ECKey.generate_key("P-256", {"kid": name}) for name in ("old", "new"))
ACME = TokenIssuer(
    "acme", "https://a.example", (AudienceMapping(API, "x"),), jwks_uri="https://a.example", algorithms=("ES256",)
)
ROUTE = Route("theirs", Path("prefix", "/theirs"), "echo", audience=API, issuers=("acme",))


def keys(*some: ECKey) -> Answer:
    return Answer(orjson.dumps({"keys": [key.as_dict(private=False) for key in some]}))


@pytest.fixture
async def there(database: Database, now: datetime) -> AsyncIterator[Outside]:
    """The issuer's server, declared as one of the token issuers."""
    async with outside() as server:
        async with database.write() as session:
            await put_token_issuer(session, replace(ACME, jwks_uri=server.url("/jwks")), now=now)
        yield server


async def state_of(database: Database) -> KeysState:
    async with database.read() as session:
        return (await keys_states(session))["acme"]


def kids(state: KeysState) -> list[str]:
    return [key["kid"] for key in orjson.loads(state.keys)["keys"]] if state.keys else []


async def test_keys_are_fetched_from_where_the_bounds_allow_and_from_nowhere_else(
    there: Outside, database: Database, now: datetime
) -> None:
    there.answers["/jwks"] = keys(OLD)

    await refresh(database, Fetcher(), now=now)
    refused, asked = await state_of(database), len(there.asked)
    await refresh(database, Fetcher(LOOPBACK), now=now)

    fetched = await state_of(database)
    assert (refused.keys, refused.failed_at, asked) == ("", now, 0)
    assert refused.failure
    assert (kids(fetched), fetched.fetched_at, fetched.failed_at, fetched.failure) == (["old"], now, None, "")


async def test_a_failure_keeps_the_last_good_keys_until_they_are_too_old(
    there: Outside, database: Database, now: datetime
) -> None:
    fetcher = Fetcher(LOOPBACK)
    there.answers["/jwks"] = keys(OLD)
    await refresh(database, fetcher, now=now)
    there.answers["/jwks"] = Answer(status=500)

    await refresh(database, fetcher, now=now + LONGEST_UNSEEN)
    kept = await state_of(database)
    await refresh(database, fetcher, now=now + LONGEST_UNSEEN + timedelta(minutes=5))
    lost = await state_of(database)

    assert (kids(kept), kept.fetched_at, kept.failed_at) == (["old"], now, now + LONGEST_UNSEEN)
    assert (kids(lost), lost.fetched_at) == ([], now)
    assert lost.failure


async def test_a_change_of_a_claim_keeps_what_was_fetched_and_another_place_does_not(
    there: Outside, database: Database, now: datetime
) -> None:
    there.answers["/jwks"] = keys(OLD)
    await refresh(database, Fetcher(LOOPBACK), now=now)
    declared = replace(ACME, jwks_uri=there.url("/jwks"))

    async with database.write() as session:
        await put_token_issuer(session, replace(declared, roles_claim="groups"), now=now)
    same = await state_of(database)
    async with database.write() as session:
        await put_token_issuer(session, replace(declared, jwks_uri=there.url("/other")), now=now)

    assert kids(same) == ["old"]
    assert await state_of(database) == KeysState()


@pytest.mark.spec("RFC 8725 §3.10")
async def test_a_key_that_the_issuer_took_back_is_refused_at_the_gateway_after_the_next_look(
    gateway: Live, there: Outside, database: Database, now: datetime
) -> None:
    fetcher = Fetcher(LOOPBACK)

    async def look(later: int, *some: ECKey) -> list[int]:
        there.answers["/jwks"] = keys(*some)
        await refresh(database, fetcher, now=now + later * timedelta(minutes=5))
        snapshot = replace(gateway.snapshot(ROUTE), issuers=(replace(ACME, jwks_uri=there.url("/jwks")),))
        await asyncio.to_thread(gateway.deliver, with_keys(snapshot, await keys_now(database.lookup)))
        return [gateway.get("/theirs", token=token).status for token in tokens]

    claims = orjson.dumps(gateway.claims(iss=ACME.issuer, aud="x"))
    tokens = [
        jws.serialize_compact({"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}, claims, key, algorithms=["ES256"])
        for key in (OLD, NEW)
    ]

    seen = [await look(0, OLD), await look(1, OLD, NEW), await look(2, NEW), await look(3)]

    assert seen == [[200, 401], [200, 200], [401, 200], [401, 401]]
