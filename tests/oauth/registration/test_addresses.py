"""Addresses that a client registers by itself: whatever they name, nothing inside is called (SSRF)."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from kronborg.clients.admission import Admission, RegistrationPolicy
from kronborg.clients.model import AUTH_METHODS
from kronborg.clients.settings import ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.oauth.backchannel import deliver
from kronborg.worker import Outbox
from names import known_names
from oauth.flow import CHALLENGE, ISSUER, VERIFIER, Flow, answer_of, open_flow
from outside import LOOPBACK, Answer, Outside, outside

pytestmark = [pytest.mark.anyio, pytest.mark.spec("RFC 7591 §5")]

APP = {"client_name": "My app", "redirect_uris": ["https://my.example/callback"], "token_endpoint_auth_method": "none"}
KEY = ECKey.generate_key("P-256", {"kid": "1"})
# A loopback address may be registered (for development); a name may lead anywhere; the last one rebinds.
INSIDE = ("http://127.0.0.1", "http://localhost", "http://[::1]", "https://inside.example", "https://both.example")


@pytest.fixture
async def there() -> AsyncIterator[Outside]:
    async with outside() as server:
        yield server


@pytest.fixture
async def flow(database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Flow]:
    """Anybody may register, and nothing inside may be called."""
    known_names(
        monkeypatch,
        {"inside.example": ["10.0.0.1"], "both.example": ["8.8.8.8", "127.0.0.1"], "localhost": ["127.0.0.1"]},
        later={"inside.example": ["127.0.0.1"], "both.example": ["127.0.0.1"], "localhost": ["127.0.0.1"]},
    )
    policy = RegistrationPolicy(auth_methods=AUTH_METHODS)
    async with open_flow(database, vault, monkeypatch, admission=Admission(policy)) as opened:
        yield opened


async def register(flow: Flow, **metadata: Any) -> httpx.Response:
    return await flow.http.post("/oauth/register", json={**APP, **metadata})


async def registered(flow: Flow, **metadata: Any) -> str:
    answer = await register(flow, **metadata)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["client_id"])


@pytest.mark.parametrize("base", INSIDE)
async def test_jwks_uri(flow: Flow, there: Outside, base: str) -> None:
    client_id = await registered(
        flow, token_endpoint_auth_method="private_key_jwt", jwks_uri=f"{base}:{there.port}/jwks"
    )
    there.answers["/jwks"] = Answer(json.dumps({"keys": [KEY.as_dict(private=False)]}).encode())
    moment = int(flow.clock.now.timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "jti": str(uuid.uuid4()), "exp": moment + 60}
    assertion = jwt.encode({"alg": "ES256", "typ": "client-authentication+jwt", "kid": "1"}, claims, KEY)

    answer = await flow.http.post(
        "/oauth/token",
        data={
            "grant_type": "authorization_code",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        },
    )

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert there.asked == []


@pytest.mark.parametrize("base", INSIDE)
async def test_sector_identifier_uri(flow: Flow, there: Outside, base: str) -> None:
    there.answers["/sector"] = Answer(json.dumps(APP["redirect_uris"]).encode())

    answer = await register(flow, subject_type="pairwise", sector_identifier_uri=f"{base}:{there.port}/sector")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert there.asked == []


@pytest.mark.parametrize("base", INSIDE)
async def test_request_uris(flow: Flow, there: Outside, base: str) -> None:
    uri = f"{base}:{there.port}/request"
    jwks = {"keys": [KEY.as_dict(private=False)]}
    client_id = await registered(flow, request_uris=[uri], jwks=jwks)
    there.answers["/request"] = Answer(b"x", "application/oauth-authz-req+jwt")

    answer = await flow.browser().get(f"/oauth/authorize?{urlencode({'client_id': client_id, 'request_uri': uri})}")

    assert not (answer.is_redirect and "code=" in answer.headers["location"])
    assert there.asked == []


@pytest.mark.parametrize("base", INSIDE)
async def test_backchannel_logout_uri(flow: Flow, there: Outside, base: str) -> None:
    client_id = await registered(flow, backchannel_logout_uri=f"{base}:{there.port}/logout")
    browser = flow.browser()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": "https://my.example/callback",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    page = await browser.sign_in(await browser.get(f"/oauth/authorize?{urlencode(query)}"))
    form = {
        "grant_type": "authorization_code",
        "code": answer_of(await browser.press(page, "allow"))["code"],
        "redirect_uri": "https://my.example/callback",
        "client_id": client_id,
        "code_verifier": VERIFIER,
    }
    tokens = (await flow.http.post("/oauth/token", data=form)).json()

    await browser.get(f"/oauth/logout?{urlencode({'id_token_hint': tokens['id_token']})}")
    while await Outbox(flow.engine).turn(now=flow.clock.now):
        pass
    tried = await deliver(flow.engine, now=flow.clock.now)

    assert tried == 1
    assert there.asked == []


@pytest.mark.parametrize(
    "name",
    [
        *("jwks_uri", "sector_identifier_uri", "backchannel_logout_uri", "frontchannel_logout_uri", "logo_uri"),
        *("client_uri", "policy_uri", "tos_uri", "initiate_login_uri", "request_uris"),
    ],
)
@pytest.mark.parametrize(
    "uri",
    [
        *("http://my.example/x", "http://10.0.0.1/x", "http://169.254.169.254/latest/meta-data", "http://2130706433/x"),
        *("ftp://my.example/x", "file:///etc/passwd", "gopher://my.example/x", "javascript:alert(1)", "data:,x"),
        *("https://user:pw@my.example/x", "https://my.example\\@127.0.0.1/x", "//my.example/x", "https:///x"),
        *("https://my.example/\r\nx: y", "https://my.example:0/", "https://MY.example/", "https://m\u0443.example/"),
    ],
)
async def test_an_address_of_a_wrong_kind_is_not_registered(flow: Flow, name: str, uri: str) -> None:
    answer = await register(flow, **{name: [uri] if name == "request_uris" else uri})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_every_address_of_the_settings_is_attacked_here_or_by_its_own_tests() -> None:
    endings = ("_uri", "_uris", "_endpoint")
    known = {name for name in ClientSettings.__dataclass_fields__ if name.endswith(endings)}

    assert known == {
        *("jwks_uri", "sector_identifier_uri", "backchannel_logout_uri", "frontchannel_logout_uri", "logo_uri"),
        *("client_uri", "policy_uri", "tos_uri", "initiate_login_uri", "request_uris"),
        "backchannel_client_notification_endpoint",  # CIBA, with its own tests
        *("tls_client_auth_san_uri", "require_redirect_uri"),  # no addresses
    }


async def test_a_sector_takes_in_whom_its_document_lists(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch, there: Outside
) -> None:
    admission = Admission(RegistrationPolicy())
    async with open_flow(database, vault, monkeypatch, admission=admission, fetcher=Fetcher(LOOPBACK)) as flow:
        pairwise = {"subject_type": "pairwise", "sector_identifier_uri": there.url("/sector")}
        there.answers["/sector"] = Answer(json.dumps([*APP["redirect_uris"], "https://other.example/"]).encode())
        listed = await register(flow, **pairwise)
        there.answers["/sector"] = Answer(b'["https://other.example/"]')
        not_listed = await register(flow, **pairwise)
        changed = await flow.http.put(
            f"/oauth/register/{listed.json()['client_id']}",
            json={**APP, **pairwise, "client_id": listed.json()["client_id"]},
            headers={"authorization": f"Bearer {listed.json()['registration_access_token']}"},
        )
        there.answers["/sector"] = Answer(b"{}")
        no_list = await register(flow, **pairwise)

    assert [a.status_code for a in (listed, not_listed, changed, no_list)] == [201, 400, 400, 400]


async def test_who_may_not_register_makes_the_server_call_nobody(
    database: Database, vault: Vault, monkeypatch: pytest.MonkeyPatch, there: Outside
) -> None:
    async with open_flow(database, vault, monkeypatch, fetcher=Fetcher(LOOPBACK)) as flow:
        answer = await register(flow, sector_identifier_uri=there.url("/sector"))

    assert answer.status_code == 401
    assert there.asked == []
