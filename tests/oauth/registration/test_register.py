"""Clients that register themselves (RFC 7591), over HTTP on each database."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from forms import forms_of
from kronborg.clients.registration import remove_unused
from kronborg.clients.registration_metadata import OWN
from kronborg.clients.settings import UNSET
from kronborg.clients.store import find_client
from kronborg.gateway.declare.export import export
from oauth.flow import CHALLENGE, VERIFIER, Flow, answer_of, is_consent
from oauth.registration.registering import APP, register

pytestmark = [pytest.mark.anyio]


@pytest.mark.spec("RFC 7591 §3.2.1")
async def test_a_registration_is_answered_with_everything_that_was_registered(flow: Flow) -> None:
    answer = await register(flow, scope="openid catalogue:read", client_uri="https://my.example/", unknown={"a": 1})

    assert answer.status_code == 201
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    told = answer.json()
    assert told["client_id"].startswith("dyn-")
    assert told["client_id_issued_at"] == int(flow.clock.now.timestamp())
    assert told["registration_access_token"].startswith("kro_ra_")
    assert told["registration_client_uri"] == f"{flow.engine.issuer}/oauth/register/{told['client_id']}"
    assert "client_secret" not in told
    assert "unknown" not in told
    assert {name: told[name] for name in ("client_name", "redirect_uris", "scope", "client_uri")} == {
        "client_name": "My app",
        "redirect_uris": ["https://my.example/callback"],
        "scope": "catalogue:read openid",
        "client_uri": "https://my.example/",
    }
    assert (told["grant_types"], told["response_types"]) == (["authorization_code"], ["code"])


@pytest.mark.spec("RFC 7591 §2")
async def test_what_is_left_out_means_the_default_of_the_specification(flow: Flow) -> None:
    answer = await flow.http.post("/oauth/register", json={"redirect_uris": ["https://my.example/callback"]})

    told = answer.json()
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["client_secret"].startswith("kro_cs_")
    assert told["client_secret_expires_at"] == 0
    assert set(told["scope"].split()) == {
        *("openid", "profile", "email", "offline_access", "catalogue:read", "catalogue:write", "cart:read")
    }


async def test_a_registered_client_goes_through_the_whole_flow_and_is_shown_as_unverified(flow: Flow) -> None:
    made = (await register(flow, grant_types=["authorization_code", "refresh_token"])).json()
    browser = flow.browser()
    query = {
        "response_type": "code",
        "client_id": made["client_id"],
        "redirect_uri": "https://my.example/callback",
        "scope": "openid catalogue:read offline_access",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }

    page = await browser.sign_in(await browser.get(f"/oauth/authorize?{httpx.QueryParams(query)}"))
    allowed = await browser.press(page, "allow")
    tokens = await flow.http.post(
        "/oauth/token",
        data={
            "grant_type": "authorization_code",
            "code": answer_of(allowed)["code"],
            "redirect_uri": "https://my.example/callback",
            "client_id": made["client_id"],
            "code_verifier": VERIFIER,
        },
    )

    assert is_consent(page)
    assert "Nobody has checked this app" in page.text
    assert tokens.status_code == 200
    assert "refresh_token" in tokens.json()


async def test_a_name_is_escaped_on_the_consent_page(flow: Flow) -> None:
    made = (await register(flow, client_name="<b>Bank</b> & Co")).json()
    browser = flow.browser()
    query = {
        "response_type": "code",
        "client_id": made["client_id"],
        "redirect_uri": "https://my.example/callback",
        "scope": "openid",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }

    page = await browser.sign_in(await browser.get(f"/oauth/authorize?{httpx.QueryParams(query)}"))

    assert "&lt;b&gt;Bank&lt;/b&gt; &amp; Co" in page.text
    assert "<b>Bank" not in page.text
    assert forms_of(page)


@pytest.mark.spec("RFC 7591 §3.2.2")
@pytest.mark.parametrize(
    "uris",
    [
        ["http://my.example/callback"],
        ["https://my.example/callback#part"],
        ["https://user@my.example/callback"],
        ["https://my.example/../callback"],
        ["https://MY.example/callback"],
        ["javascript:alert(1)"],
        ["data:text/html,x"],
        ["com.example.app:/callback"],
        ["https://my.example/callback", "https://my.example/callback"],
        ["/callback"],
        [f"https://my.example/{number}" for number in range(30)],
        [],
        "https://my.example/callback",
        [1],
    ],
)
async def test_a_redirect_uri_that_may_not_be_registered_is_invalid_redirect_uri(flow: Flow, uris: object) -> None:
    answer = await register(flow, redirect_uris=uris)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")
    assert answer.headers["cache-control"] == "no-store"


JWK = ECKey.generate_key("P-256").as_dict(private=False)


@pytest.mark.spec("RFC 7591 §3.2.2")
@pytest.mark.parametrize(
    "wrong",
    [
        {"client_name": 7},
        {"client_name": "x" * 200},
        {"client_name": "a\u202eb"},
        {"client_name": "a\u0000b"},
        {"grant_types": ["password"]},
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["magic"]},
        {"grant_types": {"a": 1}},
        {"response_types": ["token"]},
        {"response_types": ["code", "id_token"]},
        {"response_types": "code"},
        {"token_endpoint_auth_method": "tls_client_auth"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "whatever"},
        {"token_endpoint_auth_method": 1},
        {"scope": "nothing:known"},
        {"scope": "admin:write"},
        {"scope": ["openid"]},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [JWK]}, "jwks_uri": "https://my.example/jwks"},
        {"jwks": {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}},
        {"jwks": "x"},
        {"jwks_uri": "http://my.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": ["https://my.example/jwks"]},
        {"logo_uri": "javascript:alert(1)"},
        {"client_uri": "data:text/html,x"},
        {"policy_uri": "https://user:pw@my.example/"},
        {"tos_uri": "https://my.example/#x"},
        {"contacts": ["a" * 300]},
        {"contacts": "me@my.example"},
        {"software_id": "x" * 300},
        {"default_max_age": "60"},
        {"require_auth_time": "yes"},
        {"subject_type": "secret"},
        {"id_token_signed_response_alg": "none"},
        {"id_token_signed_response_alg": "HS256"},
        {"backchannel_logout_uri": "ftp://my.example/"},
    ],
    ids=lambda wrong: ",".join(wrong),
)
async def test_metadata_that_may_not_be_registered_is_invalid_client_metadata(
    flow: Flow, wrong: dict[str, Any]
) -> None:
    answer = await register(flow, **wrong)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    described = answer.json()["error_description"]
    # RFC 6749 §5.2: the characters of a description.
    assert described.isascii()
    assert not {'"', "\\"} & set(described)


async def test_what_only_an_administrator_decides_is_not_read(flow: Flow) -> None:
    answer = await register(
        flow,
        first_party=True,
        disabled=False,
        require_pkce=False,
        legacy_client_assertions=True,
        unverified=False,
        may_impersonate=True,
        exchange_audiences=["https://shop.example/cart"],
        assertion_issuers=["https://evil.example"],
        audiences=["https://shop.example/cart"],
        profile="none",
        refresh_token_lifetime=10**9,
        client_id="web",
        client_secret="chosen-by-the-client-and-long-enough",
        secrets=["x"],
    )

    async with flow.database.read() as session:
        client = await find_client(session, answer.json()["client_id"])
    assert client is not None
    assert client.id != "web"
    assert (client.first_party, client.audiences, client.secrets) == (False, (), ())
    settings = client.settings
    assert settings.unverified
    assert (settings.may_impersonate, settings.exchange_audiences, settings.assertion_issuers) == (False, (), ())
    assert settings.refresh_token_lifetime is None
    assert (settings.require_pkce, settings.legacy_client_assertions) == (UNSET.require_pkce, False)


def test_each_setting_is_either_the_clients_or_the_administrators() -> None:
    assert set(OWN) == {
        *("profile", "response_modes", "require_pkce", "require_redirect_uri", "require_resource"),
        *(
            "pushed_request_lifetime",
            "strong_signatures",
            "legacy_client_assertions",
            "require_dpop_nonce",
            "refresh_token_rotation",
        ),
        *("refresh_token_lifetime", "refresh_token_idle", "exchange_audiences", "may_impersonate", "assertion_issuers"),
        *("require_factors", "roles", "service_account", "unverified"),
    }


@pytest.mark.spec("RFC 7591 §3.1.1")
async def test_a_software_statement_is_refused_clearly(flow: Flow) -> None:
    answer = await register(flow, software_statement="eyJhbGciOiJub25lIn0.e30.")

    assert (answer.status_code, answer.json()["error"]) == (400, "unapproved_software_statement")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"null", b"{", b"{}x", b'{"a":1,"a":2}', b'{"client_name":"\\ud800"}', b'{"a":NaN}', b"\xff{}"),
        *(b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}", b'{"a":"' + b"x" * 40_000 + b'"}', b'{"a":1e999}'),
    ],
)
async def test_a_body_that_is_not_one_json_object_is_refused(flow: Flow, body: bytes) -> None:
    answer = await flow.http.post("/oauth/register", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


async def test_a_form_is_no_registration(flow: Flow) -> None:
    answer = await flow.http.post("/oauth/register", data={"client_name": "x"})
    by_get = await flow.http.get("/oauth/register")

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert by_get.status_code == 405


async def test_an_address_that_registers_too_often_has_to_wait(flow: Flow) -> None:
    answers = [await register(flow) for _ in range(31)]
    elsewhere = flow.site.visitor(address="203.0.113.99").http
    other = await elsewhere.post("/oauth/register", json=APP)
    flow.clock.pass_by(minutes=10)
    later = await register(flow)

    assert [answer.status_code for answer in answers] == [201] * 30 + [429]
    assert answers[-1].headers["retry-after"] == "600"
    assert (other.status_code, later.status_code) == (201, 201)


async def test_a_client_that_nobody_uses_goes_and_one_in_use_stays(flow: Flow) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    idle, used = (await register(flow)).json()["client_id"], (await register(flow)).json()["client_id"]

    flow.clock.pass_by(days=29)
    await flow.http.post("/oauth/token", data={**form, "client_id": used})
    flow.clock.pass_by(days=2)
    removed = await remove_unused(flow.database, now=flow.clock.now)

    async with flow.database.read() as session:
        left = [await find_client(session, client_id) is not None for client_id in (idle, used)]
    assert removed == 1
    assert left == [False, True]
    assert ("system", idle) in await flow.events("client.removed")


async def test_an_export_leaves_out_what_came_by_itself(flow: Flow) -> None:
    made = (await register(flow)).json()

    async with flow.database.read() as session:
        text = await export(session, issuer=flow.engine.issuer, gateway_url="http://localhost:8080")

    assert made["client_id"] not in text
    assert "wish-list:" in text


async def test_discovery_names_the_endpoint(flow: Flow) -> None:
    told = (await flow.http.get("/.well-known/oauth-authorization-server")).json()

    assert told["registration_endpoint"] == f"{flow.engine.issuer}/oauth/register"
