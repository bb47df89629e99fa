"""Keys that a client publishes (`jwks_uri`): a client proves itself with them over HTTP, on each database."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from kronborg.clients.model import Client
from kronborg.clients.settings import ClientSettings
from kronborg.clients.store import replace_client
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from outside import LOOPBACK, Answer, Outside, outside
from token_site import ISSUER, Site, token_site

pytestmark = [pytest.mark.anyio, pytest.mark.spec("RFC 7591 §2")]

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
OLD, NEW = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("old", "new"))


@pytest.fixture
async def there() -> AsyncIterator[Outside]:
    async with outside() as server:
        yield server


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime, there: Outside) -> AsyncIterator[Site]:
    """A client whose keys are elsewhere."""
    async with token_site(database, vault, now, fetcher=Fetcher(LOOPBACK)) as opened:
        publish(there, OLD)
        settings = ClientSettings(jwks_uri=there.url("/jwks"))
        await opened.client("batch", auth_method="private_key_jwt", settings=settings)
        yield opened


def publish(there: Outside, *keys: ECKey, **more: object) -> None:
    body = {"keys": [*(key.as_dict(private=False) for key in keys), *more.values()]}
    there.answers["/jwks"] = Answer(json.dumps(body).encode(), "application/jwk-set+json")


async def prove(site: Site, key: ECKey, **header: object) -> httpx.Response:
    moment = int(site.clock.now.timestamp())
    claims = {"iss": "batch", "sub": "batch", "aud": ISSUER, "jti": str(uuid.uuid4()), "exp": moment + 60}
    head = {"alg": "ES256", "typ": "client-authentication+jwt", "kid": key.kid, **header}
    text = jwt.encode({k: v for k, v in head.items() if v is not None}, claims, key)
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}
    return await site.http.post(
        "/oauth/token", data={"grant_type": "client_credentials", "scope": "catalogue:read", **form}
    )


async def test_a_client_proves_itself_with_a_key_that_it_publishes(site: Site, there: Outside) -> None:
    answers = [await prove(site, OLD), await prove(site, OLD, kid=None)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(there.asked) == 1


async def test_a_rotated_key_is_found_and_a_wrong_one_is_not_looked_for_again_and_again(
    site: Site, there: Outside
) -> None:
    await prove(site, OLD)
    site.clock.pass_by(minutes=1)
    publish(there, NEW)

    rotated = await prove(site, NEW)
    unknown = [await prove(site, OLD, kid=f"made-up-{number}") for number in range(5)]

    assert rotated.status_code == 200
    assert {answer.status_code for answer in unknown} <= {401, 429}
    assert len(there.asked) == 2


async def test_a_key_that_was_withdrawn_proves_nothing_any_more(site: Site, there: Outside) -> None:
    await prove(site, OLD)
    publish(there, NEW)
    site.clock.pass_by(minutes=11)

    assert (await prove(site, OLD)).status_code == 401


@pytest.mark.spec("RFC 7517 §5")
async def test_keys_that_we_do_not_take_are_passed_over(site: Site, there: Outside) -> None:
    publish(
        there,
        OLD,
        private=ECKey.generate_key("P-256").as_dict(private=True),
        secret=OctKey.generate_key(256).as_dict(private=True),
        unknown={"kty": "AKP", "alg": "ML-DSA-44"},
        nothing=7,
        for_encryption={**NEW.as_dict(private=False), "use": "enc"},
    )

    assert (await prove(site, OLD)).status_code == 200
    assert (await prove(site, NEW)).status_code == 401


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"{}", status=404),
        Answer(b"{}"),
        Answer(b'{"keys":{}}'),
        Answer(b"not json"),
        Answer(b"{}", status=302, headers={"location": "https://app.example/"}),
        Answer(b"x" * 70_000),
        Answer(b'{"keys":[]}', "text/html"),
    ],
)
async def test_without_keys_nothing_is_proved(site: Site, there: Outside, answer: Answer) -> None:
    there.answers["/jwks"] = answer

    refused = await prove(site, OLD)

    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.spec("RFC 8725 §3.10")
async def test_an_address_in_the_header_is_never_looked_at(site: Site, there: Outside) -> None:
    there.answers["/evil"] = Answer(json.dumps({"keys": [NEW.as_dict(private=False)]}).encode())

    refused = await prove(site, NEW, jku=there.url("/evil"), x5u=there.url("/evil"), jwk=NEW.as_dict(private=False))

    assert refused.status_code == 401
    assert [asked.path for asked in there.asked if asked.path != "/jwks"] == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0x7f.1"]
)
async def test_keys_are_not_fetched_from_inside(
    database: Database, vault: Vault, now: datetime, there: Outside, host: str
) -> None:
    async with token_site(database, vault, now) as site:
        publish(there, OLD)
        client = await site.client("batch", auth_method="private_key_jwt", jwks={"keys": [NEW.as_dict(private=False)]})
        settings = replace(client.settings, jwks_uri=f"http://{host}:{there.port}/jwks")
        await put(site, replace(client, jwks=None, settings=settings))

        refused = await prove(site, OLD)

    assert refused.status_code == 401
    assert there.asked == []


async def put(site: Site, client: Client) -> None:
    """Write a client as if nobody had checked it."""
    async with site.engine.database.write() as session:
        await replace_client(session, client)
    site.engine.directory.forget()
