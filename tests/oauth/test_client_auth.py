"""Client authentication over HTTP: one method, the registered one; and the gate in front of guessing."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, remove_secret, save_client, set_disabled
from kronborg.clients.store import find_client
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.jose import unb64
from token_site import CATALOGUE, ISSUER, Site, basic, token_site

pytestmark = pytest.mark.anyio

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASK = {"grant_type": "client_credentials", "scope": "catalogue:read"}


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        await opened.client("batch")
        yield opened


async def ask(site: Site, headers: dict[str, str] | None = None, **form: Any) -> httpx.Response:
    return await site.http.post("/oauth/token", data={**ASK, **form}, headers=headers or {})


@pytest.mark.spec("RFC 6749 §4.4.3")
async def test_a_client_gets_a_token_for_itself_and_no_refresh_token(site: Site) -> None:
    answer = await ask(site, {"authorization": basic("batch", site.secrets["batch"])})

    assert answer.status_code == 200
    assert "refresh_token" not in answer.json()
    assert (await site.introspect(answer.json()["access_token"]))["sub"] == "batch"


@pytest.mark.spec("RFC 6749 §5.2")
async def test_a_failed_basic_gets_401_with_a_challenge(site: Site) -> None:
    answer = await ask(site, {"authorization": basic("batch", "wrong")})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.spec("RFC 6749 §2.3.1")
@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        "Basic " + base64.b64encode(b"batch:%zz").decode(),
        "Basic " + base64.b64encode(b"batch:\xff").decode(),
        "Basic " + base64.b64encode(b"batch:x").decode().rstrip("=") + "====",
        "Basic " + "A" * 4000,
        "Bearer abc",
        "Digest abc",
    ],
)
async def test_a_malformed_authorization_header_is_refused(site: Site, header: str) -> None:
    answer = await ask(site, {"authorization": header})

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.spec("RFC 6749 §2.3.1")
async def test_id_and_secret_are_form_decoded_in_basic(site: Site) -> None:
    secret = "%:+ needs to be encoded, and is long enough"
    async with site.engine.database.write() as session:
        await add_secret(session, site.engine.vault, "batch", actor="test", now=site.clock.now, secret=secret)

    encoded = await ask(site, {"authorization": basic("batch", secret)})
    raw = await ask(site, {"authorization": "Basic " + base64.b64encode(f"batch:{secret}".encode()).decode()})

    assert (encoded.status_code, raw.status_code) == (200, 401)


@pytest.mark.spec("RFC 6749 §2.3")
async def test_two_methods_at_once_are_an_invalid_request(site: Site) -> None:
    header = {"authorization": basic("batch", site.secrets["batch"])}

    both = await ask(site, header, client_id="batch", client_secret=site.secrets["batch"])
    other_id = await ask(site, header, client_id="other")
    same_id = await ask(site, header, client_id="batch")

    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    assert (other_id.status_code, other_id.json()["error"]) == (400, "invalid_request")
    assert same_id.status_code == 200


@pytest.mark.spec("RFC 6749 §2.3")
async def test_only_the_registered_method_is_accepted(site: Site) -> None:
    await site.client("poster", auth_method="client_secret_post")
    await site.web_client()

    basic_by_post = await ask(site, client_id="batch", client_secret=site.secrets["batch"])
    post_by_basic = await ask(site, {"authorization": basic("poster", site.secrets["poster"])})
    post = await ask(site, client_id="poster", client_secret=site.secrets["poster"])
    confidential_by_name = await ask(site, client_id="batch")
    public_with_secret = await ask(site, client_id="web", client_secret="x")

    assert basic_by_post.json()["error"] == "invalid_client"
    assert post_by_basic.json()["error"] == "invalid_client"
    assert post.status_code == 200
    assert confidential_by_name.json()["error"] == "invalid_client"
    assert public_with_secret.json()["error"] == "invalid_client"


async def test_a_public_client_has_no_token_of_its_own(site: Site) -> None:
    await site.web_client()

    answer = await ask(site, client_id="web")

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_nobody_is_refused_like_a_wrong_secret(site: Site) -> None:
    unknown = await ask(site, {"authorization": basic("nobody", "wrong")})
    wrong = await ask(site, {"authorization": basic("batch", "wrong")})
    nameless = await ask(site)

    assert unknown.json() == wrong.json()
    assert (nameless.status_code, nameless.json()["error"]) == (401, "invalid_client")


async def test_several_secrets_work_until_they_expire_or_are_removed(site: Site) -> None:
    async with site.engine.database.write() as session:
        short = await add_secret(
            session, site.engine.vault, "batch", actor="test", now=site.clock.now, lifetime=timedelta(hours=1)
        )
    first, second = site.secrets["batch"], short.secret

    both = [(await ask(site, {"authorization": basic("batch", secret)})).status_code for secret in (first, second)]
    site.clock.pass_by(hours=1)
    later = [(await ask(site, {"authorization": basic("batch", secret)})).status_code for secret in (first, second)]
    async with site.engine.database.read() as reading:
        client = await find_client(reading, "batch")
    assert client is not None
    used = [secret.last_used_at for secret in client.secrets]
    async with site.engine.database.write() as session:
        await remove_secret(session, "batch", client.secrets[0].id, actor="test", now=site.clock.now)
    removed = await ask(site, {"authorization": basic("batch", first)})

    assert (both, later, removed.status_code) == ([200, 200], [200, 401], 401)
    assert all(used)


async def test_a_disabled_client_is_refused_at_once(site: Site) -> None:
    header = {"authorization": basic("batch", site.secrets["batch"])}
    before = await ask(site, header)

    async with site.engine.database.write() as session:
        await set_disabled(session, "batch", disabled=True, actor="test", now=site.clock.now)
    after = await ask(site, header)

    assert (before.status_code, after.status_code) == (200, 401)
    assert await site.introspect(before.json()["access_token"]) == {"active": False}


@pytest.mark.spec("RFC 6749 §10.10")
async def test_guessing_has_to_wait_everywhere_and_locks_nobody_else_out(site: Site) -> None:
    for _ in range(5):
        await ask(site, {"authorization": basic("batch", "wrong")})
    right = {"authorization": basic("batch", site.secrets["batch"])}

    blocked = await ask(site, right)
    elsewhere = await site.http.post("/oauth/introspect", data={"token": "x"}, headers=right)
    other = await site.introspect("x")
    site.clock.pass_by(seconds=5)
    after = await ask(site, right)

    assert (blocked.status_code, blocked.json()["error"]) == (429, "invalid_client")
    assert int(blocked.headers["retry-after"]) >= 1
    assert elsewhere.status_code == 429
    assert other == {"active": False}
    assert after.status_code == 200


@pytest.mark.spec("RFC 6749 §10.10")
async def test_neighbours_at_one_address_lock_no_client_out_that_is_at_home_there(site: Site) -> None:
    right = {"authorization": basic("batch", site.secrets["batch"])}
    await ask(site, right)

    for number in range(60):
        await ask(site, {"authorization": basic(f"neighbour-{number}", "wrong")})
        await ask(site, {"authorization": basic("batch", "wrong")})
    at_home = await ask(site, right)
    stranger = await site.http.post("/oauth/introspect", data={"token": "x"}, headers=_of(site, "cart-api"))

    assert at_home.status_code == 200
    assert stranger.status_code == 429


def _of(site: Site, client_id: str) -> dict[str, str]:
    return {"authorization": basic(client_id, site.secrets[client_id])}


KEYS: dict[str, ECKey | OKPKey | RSAKey] = {
    "ES256": ECKey.generate_key("P-256"),
    "Ed25519": OKPKey.generate_key("Ed25519"),
    "PS256": RSAKey.generate_key(2048),
}


async def jwt_client(site: Site, algorithm: str = "ES256") -> None:
    jwk = KEYS[algorithm].as_dict(private=False) | {"kid": "k1", "alg": algorithm}
    draft = ClientDraft(
        "signer",
        "Signer",
        auth_method="private_key_jwt",
        grants=("client_credentials",),
        scopes=("catalogue:read",),
        jwks={"keys": [jwk]},
    )
    async with site.engine.database.write() as session:
        await save_client(session, draft, actor="test", now=site.clock.now)


def assertion(site: Site, algorithm: str = "ES256", header: dict[str, str] | None = None, **claims: Any) -> str:
    seconds = int(site.clock.now.timestamp())
    usual = {"iss": "signer", "sub": "signer", "aud": ISSUER, "jti": "unique-jti-1", "exp": seconds + 60}
    wanted = {key: value for key, value in {**usual, **claims}.items() if value is not None}
    head = {"alg": algorithm, "kid": "k1", "typ": "client-authentication+jwt", **(header or {})}
    return jwt.encode(head, wanted, KEYS[algorithm], algorithms=[algorithm])


async def prove(site: Site, text: str, **form: Any) -> httpx.Response:
    return await ask(site, client_assertion_type=ASSERTION_TYPE, client_assertion=text, **form)


@pytest.mark.spec("RFC 7523 §3")
@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_signed_assertion_proves_the_client_once(site: Site, algorithm: str) -> None:
    await jwt_client(site, algorithm)
    text = assertion(site, algorithm)

    first = await prove(site, text, client_id="signer")
    again = await prove(site, text)

    assert first.status_code == 200, first.text
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


@pytest.mark.spec("RFC 10070")
@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": [ISSUER]},
        {"aud": f"{ISSUER}/oauth/token"},
        {"aud": None},
        {"iss": "other"},
        {"sub": "batch"},
        {"jti": None},
        {"jti": "short"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 4_000_000_000},
        {"exp": 1},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"header": {"typ": "JWT"}},
        {"header": {"typ": "at+jwt"}},
        {"header": {"kid": "other"}},
        {"sub": "nul\0"},
        {"jti": "unique-jti-\0"},
    ],
)
async def test_an_assertion_that_is_not_exactly_right_proves_nothing(site: Site, wrong: dict[str, Any]) -> None:
    await jwt_client(site)

    answer = await prove(site, assertion(site, **wrong))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("name", ["sub", "jti"])
async def test_half_a_surrogate_pair_is_refused_before_anything_is_asked(site: Site, name: str) -> None:
    await jwt_client(site)
    claims = json.loads(unb64(assertion(site).split(".")[1])) | {name: "unique-half-\ud800"}
    header = {"alg": "ES256", "kid": "k1", "typ": "client-authentication+jwt"}

    answer = await prove(site, jws.serialize_compact(header, json.dumps(claims), KEYS["ES256"]))

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("text", ["", "a.b.c", "x" * 9000, "e30.e30.e30"])
async def test_what_is_no_assertion_proves_nothing(site: Site, text: str) -> None:
    answer = await prove(site, text)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.spec("RFC 8725 §3.1")
async def test_the_algorithm_belongs_to_the_key(site: Site) -> None:
    await jwt_client(site, "PS256")
    seconds = int(site.clock.now.timestamp())
    claims = {"iss": "signer", "sub": "signer", "aud": ISSUER, "jti": "unique-jti-2", "exp": seconds + 60}
    header = {"alg": "RS256", "kid": "k1", "typ": "client-authentication+jwt"}

    answer = await prove(site, jwt.encode(header, claims, KEYS["PS256"], algorithms=["RS256"]))

    assert answer.json()["error"] == "invalid_client"


async def test_the_audience_of_a_client_follows_from_scope_or_resource(site: Site) -> None:
    header = {"authorization": basic("batch", site.secrets["batch"])}

    def shown(answer: httpx.Response) -> str:
        return str(answer.json().get("error") or answer.json()["scope"])

    both = await site.http.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=header)
    by_resource = await site.http.post(
        "/oauth/token", data={"grant_type": "client_credentials", "resource": CATALOGUE}, headers=header
    )
    with_openid = await ask(site, header, scope="openid")
    unknown = await ask(site, header, scope="catalogue:delete")
    malformed = await ask(site, header, scope="catalogue:read  catalogue:write")
    twice = await site.http.post(
        "/oauth/token",
        content=f"grant_type=client_credentials&resource={CATALOGUE}&resource={CATALOGUE}",
        headers={**header, "content-type": "application/x-www-form-urlencoded"},
    )

    assert shown(both) == "invalid_target"
    assert shown(by_resource) == "catalogue:read catalogue:write"
    assert [shown(a) for a in (with_openid, unknown, malformed)] == ["invalid_scope"] * 3
    assert shown(twice) == "invalid_target"
