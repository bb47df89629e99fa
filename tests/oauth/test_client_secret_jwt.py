"""Client assertions by a shared secret, by keys of one algorithm, and as they were before RFC 10070."""

from __future__ import annotations

import hmac
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from kronborg.clients.register import add_secret, remove_secret
from kronborg.clients.settings import ClientSettings
from kronborg.clients.store import find_client
from kronborg.core.base64url import b64
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from token_site import ISSUER, Site, token_site

pytestmark = pytest.mark.anyio

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = f"{ISSUER}/oauth/token"
LEGACY = ClientSettings(legacy_client_assertions=True)


@pytest.fixture
async def site(database: Database, vault: Vault, now: Any) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.client("shared", auth_method="client_secret_jwt", audiences=("https://shop.example/catalogue",))
        yield opened


def said(site: Site, client_id: str = "shared", **claims: Any) -> dict[str, Any]:
    seconds = int(site.clock.now.timestamp())
    usual = {"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": "unique-jti-1", "exp": seconds + 60}
    return {name: value for name, value in {**usual, **claims}.items() if value is not None}


def by_secret(
    site: Site, secret: str | bytes | None = None, header: Mapping[str, Any] | None = None, **claims: Any
) -> str:
    """An assertion with an HMAC of the client's secret, or of another one."""
    key = site.secrets["shared"] if secret is None else secret
    head = {"alg": "HS256", "typ": "client-authentication+jwt", **(header or {})}
    kept = {name: value for name, value in head.items() if value is not None}
    signed = ".".join(b64(json.dumps(part).encode()) for part in (kept, said(site, **claims)))
    mac = hmac.digest(key.encode() if isinstance(key, str) else key, signed.encode(), "sha256")
    return f"{signed}.{b64(mac)}"


async def prove(site: Site, assertion: str, path: str = "/oauth/token", **form: str) -> httpx.Response:
    usual = {"grant_type": "client_credentials", "scope": "catalogue:read"}
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return await site.http.post(path, data={**usual, **proof, **form})


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.spec("OIDC Core §9")
@pytest.mark.spec("RFC 7523 §3")
async def test_an_hmac_of_the_secret_proves_the_client_once(site: Site) -> None:
    text = by_secret(site)

    first, again = await prove(site, text), await prove(site, text)
    async with site.engine.database.read() as session:
        client = await find_client(session, "shared")

    assert first.status_code == 200, first.text
    assert error_of(again) == (401, "invalid_client")
    assert client is not None
    assert client.secrets[0].last_used_at == site.clock.now


@pytest.mark.spec("RFC 7523 §3")
async def test_it_proves_the_client_at_every_endpoint(site: Site) -> None:
    token = (await prove(site, by_secret(site))).json()["access_token"]

    told = await prove(site, by_secret(site, jti="unique-jti-2"), "/oauth/introspect", token=token)
    revoked = await prove(site, by_secret(site, jti="unique-jti-3"), "/oauth/revoke", token=token)
    after = await prove(site, by_secret(site, jti="unique-jti-4"), "/oauth/introspect", token=token)

    assert (told.json()["active"], revoked.status_code, after.json()) == (True, 200, {"active": False})


@pytest.mark.spec("RFC 8725 §3.1")
async def test_an_assertion_that_is_not_exactly_right_proves_nothing(site: Site) -> None:
    seconds = int(site.clock.now.timestamp())
    wrong = {
        "another secret": by_secret(site, "s" * 40),
        "no secret": by_secret(site, b""),
        "the digest of the secret": by_secret(site, site.engine.vault.digest(site.secrets["shared"], context="x")),
        "no type": by_secret(site, header={"typ": None}),
        "another type": by_secret(site, header={"typ": "at+jwt"}),
        "a plain JWT": by_secret(site, header={"typ": "JWT"}),
        "HS512": by_secret(site, header={"alg": "HS512"}),
        "none": by_secret(site, header={"alg": "none"}),
        "an endpoint as audience": by_secret(site, aud=TOKEN),
        "a list as audience": by_secret(site, aud=[ISSUER]),
        "an hour": by_secret(site, exp=seconds + 3600),
        "over": by_secret(site, exp=seconds - 60),
        "no jti": by_secret(site, jti=None),
        "in the name of another": by_secret(site, sub="catalogue-api"),
    }

    answers = {}
    for number, (name, text) in enumerate(wrong.items()):
        answers[name] = error_of(await prove(site, text))
        # A right one in between: who keeps failing has to wait.
        await prove(site, by_secret(site, jti=f"unique-right-{number}"))

    assert answers == dict.fromkeys(wrong, (401, "invalid_client"))


async def test_the_secret_is_sealed_and_only_as_long_as_it_is_needed(site: Site) -> None:
    async with site.engine.database.read() as session:
        shared = await find_client(session, "shared")
        plain = await find_client(session, "catalogue-api")
    await site.client("shared", auth_method="client_secret_basic")
    async with site.engine.database.read() as session:
        changed = await find_client(session, "shared")

    assert shared is not None
    assert plain is not None
    assert changed is not None
    assert shared.secrets[0].sealed is not None
    assert site.secrets["shared"] not in shared.secrets[0].sealed
    assert [secret.sealed for secret in (*plain.secrets, *changed.secrets)] == [None] * 3


async def test_secrets_can_be_changed_one_after_the_other(site: Site) -> None:
    first = site.secrets["shared"]
    async with site.engine.database.write() as session:
        made = await add_secret(session, site.engine.vault, "shared", actor="test", now=site.clock.now)

    both = [await prove(site, by_secret(site, text, jti=f"unique-{text}")) for text in (first, made.secret)]
    async with site.engine.database.write() as session:
        client = await find_client(session, "shared")
        assert client is not None
        await remove_secret(session, "shared", client.secrets[0].id, actor="test", now=site.clock.now)
    left = [await prove(site, by_secret(site, text, jti=f"again-{text}")) for text in (made.secret, first)]

    assert [answer.status_code for answer in (*both, *left)] == [200, 200, 200, 401]


async def test_a_secret_of_another_method_serves_once_it_is_given_again(site: Site) -> None:
    await site.client("later")
    secret, vault = site.secrets["later"], site.engine.vault
    await site.client("later", auth_method="client_secret_jwt")
    claims: dict[str, Any] = {"iss": "later", "sub": "later"}

    before = await prove(site, by_secret(site, secret, **claims))
    async with site.engine.database.write() as session:
        await add_secret(session, vault, "later", actor="test", now=site.clock.now, secret=secret)
        client = await find_client(session, "later")
    after = await prove(site, by_secret(site, secret, **claims))

    assert (before.status_code, after.status_code) == (401, 200)
    assert client is not None
    assert len(client.secrets) == 2


async def test_the_secret_itself_is_not_taken_from_a_client_of_this_method(site: Site) -> None:
    secret = site.secrets["shared"]
    form = {"grant_type": "client_credentials"}

    posted = await site.http.post("/oauth/token", data={**form, "client_id": "shared", "client_secret": secret})
    by_basic = await site.http.post("/oauth/token", data=form, auth=("shared", secret))

    assert [error_of(answer) for answer in (posted, by_basic)] == [(401, "invalid_client")] * 2


@pytest.mark.spec("RFC 8725 §3.1")
async def test_a_public_key_is_no_secret(site: Site) -> None:
    key = ECKey.generate_key("P-256")
    await site.client("signer", auth_method="private_key_jwt", jwks={"keys": [key.as_dict(private=False)]})
    claims: dict[str, Any] = {"iss": "signer", "sub": "signer"}
    public = (key.as_pem(private=False), json.dumps(key.as_dict(private=False)).encode())

    answers = [await prove(site, by_secret(site, secret, **claims)) for secret in public]

    assert [error_of(answer) for answer in answers] == [(401, "invalid_client")] * 2


@pytest.mark.spec("RFC 7591 §2")
async def test_a_registered_algorithm_is_the_only_one(site: Site) -> None:
    key = RSAKey.generate_key(2048)
    only = ClientSettings(token_endpoint_auth_signing_alg="PS256")
    jwks = {"keys": [key.as_dict(private=False)]}
    await site.client("signer", auth_method="private_key_jwt", jwks=jwks, settings=only)

    def by_key(alg: str) -> str:
        header = {"alg": alg, "typ": "client-authentication+jwt"}
        return jwt.encode(header, said(site, "signer", jti=f"unique-{alg}"), key, algorithms=[alg])

    answers = [await prove(site, by_key(alg)) for alg in ("PS256", "RS256")]

    assert [answer.status_code for answer in answers] == [200, 401]


@pytest.mark.spec("RFC 10070")
async def test_the_older_audiences_are_for_those_who_asked_for_them(site: Site) -> None:
    await site.client("shared", auth_method="client_secret_jwt", settings=LEGACY)
    accepted: dict[str, dict[str, Any]] = {
        "issuer": {"aud": ISSUER},
        "endpoint": {"aud": TOKEN},
        "list": {"aud": ["https://other.example", TOKEN]},
        "no type": {"header": {"typ": None}},
        "a plain JWT": {"header": {"typ": "JWT"}},
    }
    refused: dict[str, dict[str, Any]] = {
        "another server": {"aud": "https://other.example/token"},
        "a list of others": {"aud": ["https://other.example"]},
        "an empty list": {"aud": []},
        "another type": {"header": {"typ": "at+jwt"}},
        "another endpoint": {"aud": f"{ISSUER}/oauth/authorize"},
    }

    answers = {}
    for name, changes in {**accepted, **refused}.items():
        answers[name] = (await prove(site, by_secret(site, jti=f"unique-{name}", **changes))).status_code
    at_introspection = by_secret(site, jti="unique-there", aud=f"{ISSUER}/oauth/introspect")

    assert answers == dict.fromkeys(accepted, 200) | dict.fromkeys(refused, 401)
    assert (await prove(site, at_introspection, "/oauth/introspect", token="x")).status_code == 200


@pytest.mark.parametrize(("method", "alg"), [("client_secret_jwt", "ES256"), ("client_secret_basic", "ES256")])
async def test_an_algorithm_that_does_not_fit_the_method_is_not_registered(site: Site, method: str, alg: str) -> None:
    settings = ClientSettings(token_endpoint_auth_signing_alg=alg)  # type: ignore[arg-type]  # one of them

    with pytest.raises(Invalid) as refused:
        await site.client("wrong", auth_method=method, settings=settings)

    assert refused.value.problems[0].where == "settings.token_endpoint_auth_signing_alg"


@pytest.mark.spec("RFC 6749 §2.3")
async def test_an_assertion_beside_a_secret_or_a_header_is_refused(site: Site) -> None:
    both = await prove(site, by_secret(site), client_id="shared", client_secret=site.secrets["shared"])
    header = await site.http.post(
        "/oauth/token",
        data={"client_assertion_type": ASSERTION_TYPE, "client_assertion": by_secret(site)},
        auth=("shared", site.secrets["shared"]),
    )

    assert [error_of(answer) for answer in (both, header)] == [(400, "invalid_request")] * 2
