"""Introspection answered as a signed, and encrypted, JWT for one resource server (RFC 9701)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from kronborg.clients.settings import ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.jose import BadJwt, Jwt, parse, public_key, verify
from kronborg.core.jwe import decrypt, encryption_key
from oauth.proofs import Prover
from token_site import CATALOGUE, ISSUER, Site, basic, token_site

pytestmark = pytest.mark.anyio

MEDIA_TYPE = "application/token-introspection+jwt"
TYPE = "token-introspection+jwt"


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.client("batch")
        yield opened


async def token(site: Site, proof: str | None = None) -> str:
    headers = {"authorization": basic("batch", site.secrets["batch"])} | ({} if proof is None else {"dpop": proof})
    form = {"grant_type": "client_credentials", "scope": "catalogue:read"}
    return str((await site.http.post("/oauth/token", data=form, headers=headers)).json()["access_token"])


async def introspect(
    site: Site, text: str, accept: str | None = MEDIA_TYPE, client: str = "catalogue-api"
) -> httpx.Response:
    headers = {"authorization": basic(client, site.secrets[client])} | ({} if accept is None else {"accept": accept})
    return await site.http.post("/oauth/introspect", data={"token": text}, headers=headers)


async def believed(site: Site, text: str) -> Jwt:
    """A JWT that one of the published keys verifies."""
    published = (await site.http.get("/oauth/jwks")).json()["keys"]
    jwt = parse(text)
    verify(jwt, [public_key(key) for key in published if key.get("use") != "enc"], types=(TYPE,))
    return jwt


@pytest.mark.spec("RFC 9701 §4")
@pytest.mark.spec("RFC 9701 §5")
@pytest.mark.parametrize("alg", [None, "ES256", "PS256", "RS256"])
async def test_the_answer_is_signed_for_the_resource_server_that_asked(site: Site, alg: Any) -> None:
    prover, settings = Prover(), ClientSettings(introspection_signed_response_alg=alg)
    await site.client("reader", grants=(), scopes=(), audiences=(CATALOGUE,), settings=settings)
    text = await token(site, prover.proof(site.clock.now))

    answer = await introspect(site, text, client="reader")

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    jwt = await believed(site, answer.text)
    assert jwt.header["alg"] == (alg or "ES256")
    # §5: never `sub` or `exp` at the top, or it could be taken for an access token.
    assert jwt.claims.keys() == {"iss", "aud", "iat", "token_introspection"}
    assert (jwt.claims["iss"], jwt.claims["aud"]) == (ISSUER, "reader")
    told = dict(jwt.claims["token_introspection"])  # type: ignore[arg-type]
    assert told == (await introspect(site, text, accept=None, client="reader")).json()
    assert (told["active"], told["cnf"]) == (True, {"jkt": prover.jkt})


@pytest.mark.spec("RFC 9701 §5")
async def test_of_an_inactive_token_nothing_else_is_said(site: Site) -> None:
    answer = await introspect(site, "kro_at_x")

    assert (await believed(site, answer.text)).claims["token_introspection"] == {"active": False}


@pytest.mark.spec("RFC 8725 §3.12")
async def test_the_answer_is_no_other_kind_of_token(site: Site) -> None:
    signed = (await introspect(site, await token(site))).text

    again = await introspect(site, signed, accept=None)

    assert again.json() == {"active": False}
    with pytest.raises(BadJwt):
        verify(parse(signed), [], types=("at+jwt",))


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/jwt"])
async def test_json_is_given_to_those_who_do_not_ask_for_a_jwt(site: Site, accept: str | None) -> None:
    answer = await introspect(site, await token(site), accept)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["active"] is True


@pytest.mark.spec("RFC 9701 §5")
async def test_the_answer_is_encrypted_to_the_resource_server(site: Site) -> None:
    key = ECKey.generate_key("P-256")
    settings = ClientSettings(
        introspection_signed_response_alg="ES256",
        introspection_encrypted_response_alg="ECDH-ES+A256KW",
        introspection_encrypted_response_enc="A256GCM",
    )
    jwks = {"keys": [{**key.as_dict(private=False), "use": "enc"}]}
    await site.client("reader", grants=(), scopes=(), audiences=(CATALOGUE,), settings=settings, jwks=jwks)

    answer = await introspect(site, await token(site), client="reader")

    assert answer.headers["content-type"] == MEDIA_TYPE
    nested = decrypt(answer.text, [encryption_key(key.as_dict(private=True), private=True)]).decode()
    assert dict((await believed(site, nested)).claims["token_introspection"])["active"] is True  # type: ignore[arg-type]


@pytest.mark.spec("RFC 9701 §4")
async def test_only_an_authenticated_resource_server_is_answered(site: Site) -> None:
    text, headers = await token(site), {"accept": MEDIA_TYPE}

    by_nobody = await site.http.post("/oauth/introspect", data={"token": text}, headers=headers)
    by_bearer = await site.http.post(
        "/oauth/introspect", data={"token": text}, headers={**headers, "authorization": f"Bearer {text}"}
    )

    assert [answer.status_code for answer in (by_nobody, by_bearer)] == [401, 401]
    assert by_nobody.headers["content-type"] == "application/json"
    assert (await believed(site, (await introspect(site, text, client="cart-api")).text)).claims[
        "token_introspection"
    ] == {"active": False}
