"""Response types and modes: what comes through the browser, who may have it, and how it travels."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
import pytest
from joserfc import jwe
from joserfc.jwk import ECKey

from forms import forms_of
from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.clients.settings import ApiSettings, ClientSettings, ResponseType, SigningAlgorithm
from kronborg.core.errors import Invalid
from kronborg.core.jose import parse
from oauth.flow import CATALOGUE, ISSUER, USERINFO, WEB, WISH_LIST, Flow, Value, answer_of, is_sign_in
from oauth.signing import ec_key

pytestmark = pytest.mark.anyio

TYPES: tuple[ResponseType, ...] = get_args(ResponseType)
LEGACY = replace(
    WEB, grants=("authorization_code", "refresh_token", "implicit"), settings=ClientSettings(response_types=TYPES)
)


def half(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


def posted(page: httpx.Response) -> dict[str, str]:
    """What the page of the form post response mode sends on."""
    assert page.status_code == 200, page.text
    [form] = forms_of(page)
    assert (form.action, form.method) == (WEB.redirect_uris[0], "post")
    return form.fields


@pytest.mark.spec("OAuth 2.0 Multiple Response Types §5")
@pytest.mark.spec("OIDC Core §3.3.2.5")
@pytest.mark.parametrize("kind", TYPES)
async def test_the_answer_holds_what_was_asked_for_and_no_more(flow: Flow, kind: str) -> None:
    await flow.client(LEGACY)

    answer = await flow.through(flow.browser(), LEGACY, response_type=" ".join(reversed(kind.split())))

    given = answer_of(answer)
    words = set(kind.split())
    expected = {"state", "iss"}
    expected |= {"code"} & words | {"id_token"} & words
    if "token" in words:
        expected |= {"access_token", "token_type", "expires_in", "scope"}
    assert given.keys() == expected
    assert bool(urlsplit(answer.headers["location"]).fragment) == bool(words & {"token", "id_token"})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.spec("OIDC Core §3.3.2.11")
async def test_the_id_token_is_bound_to_what_stands_beside_it(flow: Flow) -> None:
    await flow.client(LEGACY)

    given = answer_of(await flow.through(flow.browser(), LEGACY, response_type="code id_token token"))

    claims = parse(given["id_token"]).claims
    assert claims["at_hash"] == half(given["access_token"])
    assert claims["c_hash"] == half(given["code"])
    assert claims["s_hash"] == half(given["state"])
    assert (claims["nonce"], claims["aud"], claims["iss"]) == ("nonce-1", "web", ISSUER)
    later = (await flow.exchange(given["code"], LEGACY)).json()
    assert parse(later["id_token"]).claims["sub"] == claims["sub"]


@pytest.mark.spec("OIDC Core §5.4")
async def test_an_id_token_alone_says_what_userinfo_would(flow: Flow) -> None:
    await flow.client(LEGACY)
    browser = flow.browser()

    alone = answer_of(await flow.through(browser, LEGACY, response_type="id_token", scope="openid email"))
    beside = answer_of(await flow.through(browser, LEGACY, response_type="id_token token", scope="openid email"))

    assert parse(alone["id_token"]).claims["email"] == "ada@kronborg.example"
    assert "email" not in parse(beside["id_token"]).claims


@pytest.mark.spec("RFC 6749 §4.2.2")
async def test_a_token_from_the_front_channel_is_short_and_ends_with_the_session(flow: Flow) -> None:
    await flow.client(LEGACY)
    browser = flow.browser()

    given = answer_of(
        await flow.through(browser, LEGACY, response_type="token", scope="catalogue:read offline_access", nonce=None)
    )

    assert (given["token_type"], given["expires_in"], given["scope"]) == ("Bearer", "300", "catalogue:read")
    seen = await flow.introspect(given["access_token"])
    assert (seen["active"], seen["aud"]) == (True, CATALOGUE)
    flow.clock.pass_by(minutes=5)
    assert not (await flow.introspect(given["access_token"]))["active"]


async def test_a_replayed_code_takes_the_token_beside_it_along(flow: Flow) -> None:
    await flow.client(LEGACY)
    given = answer_of(await flow.through(flow.browser(), LEGACY, response_type="code token"))
    assert (await flow.exchange(given["code"], LEGACY)).status_code == 200
    assert (await flow.introspect(given["access_token"]))["active"]

    await flow.exchange(given["code"], LEGACY)

    assert not (await flow.introspect(given["access_token"]))["active"]


async def test_userinfo_takes_the_token_of_an_implicit_sign_in(flow: Flow) -> None:
    await flow.client(LEGACY)

    answer = await flow.through(flow.browser(), LEGACY, response_type="id_token token", scope="openid profile")

    told = await flow.userinfo(answer_of(answer)["access_token"])
    assert told.json()["preferred_username"] == "ada"


@pytest.mark.spec("RFC 9700 §2.1.2")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "code"])
@pytest.mark.parametrize("with_grant", [False, True], ids=["neither", "grant"])
async def test_whoever_did_not_register_it_gets_nothing(flow: Flow, kind: str, with_grant: bool) -> None:
    if with_grant:
        await flow.client(LEGACY, settings=ClientSettings())

    told = answer_of(await flow.authorize(flow.browser(), LEGACY, response_type=kind))

    assert (told["error"], told["state"], told["iss"]) == ("unauthorized_client", "state-1", ISSUER)
    assert not told.keys() & {"code", "access_token", "id_token"}


@pytest.mark.spec("OIDC Registration §2")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind not in ("code", "none")])
async def test_a_type_with_tokens_is_not_registered_without_the_grant(flow: Flow, kind: ResponseType) -> None:
    with pytest.raises(Invalid) as refused:
        await flow.client(WEB, settings=ClientSettings(response_types=(kind,)))

    assert {problem.where for problem in refused.value.problems} == {"settings.response_types[0]"}


@pytest.mark.spec("OIDC Core §3.2.2.1")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if "id_token" in kind])
@pytest.mark.parametrize("change", [{"nonce": None}, {"scope": "catalogue:read"}], ids=["nonce", "openid"])
async def test_an_id_token_through_the_browser_needs_nonce_and_openid(
    flow: Flow, kind: str, change: dict[str, Value]
) -> None:
    await flow.client(LEGACY)

    told = answer_of(await flow.authorize(flow.browser(), LEGACY, response_type=kind, **change))

    assert told["error"] == "invalid_request"


@pytest.mark.spec("OAuth 2.0 Multiple Response Types §3")
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind not in ("code", "none")])
@pytest.mark.parametrize("mode", ["query", "query.jwt"])
async def test_no_token_goes_into_the_query(flow: Flow, kind: str, mode: str) -> None:
    await flow.client(LEGACY)

    answer = await flow.through(flow.browser(), LEGACY, response_type=kind, response_mode=mode)

    assert answer.headers["location"].startswith(f"{WEB.redirect_uris[0]}#")
    told = unpacked(answer, mode) if mode.endswith("jwt") else answer_of(answer)
    assert told["error"] == "invalid_request"


async def test_a_token_for_several_apis_is_for_none(flow: Flow) -> None:
    await flow.client(LEGACY)

    told = answer_of(
        await flow.authorize(flow.browser(), LEGACY, response_type="token", scope="catalogue:read cart:read")
    )

    assert told["error"] == "invalid_target"


async def test_an_api_of_bound_tokens_gets_none_from_the_front_channel(flow: Flow) -> None:
    await flow.client(LEGACY)
    async with flow.database.write() as session:
        settings = ApiSettings(require_sender_constraint=True)
        draft = ApiDraft(CATALOGUE, "Catalogue", SCOPES, settings=settings)
        await save_api(session, draft, actor="test", now=flow.clock.now)

    told = answer_of(await flow.through(flow.browser(), LEGACY, response_type="code token", scope="catalogue:read"))

    assert "access_token" not in told
    assert (told["error"], told["state"]) == ("invalid_request", "state-1")


SCOPES = (Scope("catalogue:read", "Read"), Scope("catalogue:write", "Write"))


@pytest.mark.spec("OAuth 2.0 Form Post Response Mode §2")
@pytest.mark.parametrize("kind", ["code", "code id_token token", "none"])
async def test_the_answer_may_be_posted(flow: Flow, kind: str) -> None:
    await flow.client(LEGACY)

    page = await flow.through(flow.browser(), LEGACY, response_type=kind, response_mode="form_post")

    fields = posted(page)
    assert (fields["state"], fields["iss"]) == ("state-1", ISSUER)
    assert ("code" in fields) == ("code" in kind.split())
    policy = page.headers["content-security-policy"]
    assert "form-action 'self' https://web.example;" in policy
    assert "script-src 'self'" in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<button" in page.text


@pytest.mark.spec("OAuth 2.0 Form Post Response Mode §2")
async def test_what_is_posted_is_escaped(flow: Flow) -> None:
    state = '"><script>alert(1)</script>'

    page = await flow.authorize(flow.browser(), response_mode="form_post", scope="unknown", state=state)

    assert posted(page)["state"] == state
    assert "<script>alert" not in page.text


async def test_nothing_is_posted_to_an_app_without_a_server(flow: Flow) -> None:
    native = replace(WEB, redirect_uris=("com.example.app:/callback",))
    await flow.client(native)

    told = answer_of(await flow.authorize(flow.browser(), native, response_mode="form_post"))

    assert told["error"] == "invalid_request"


JARM = ClientSettings(authorization_signed_response_alg="ES256", response_types=TYPES)


def unpacked(answer: httpx.Response, mode: str) -> dict[str, Any]:
    """The claims of a signed answer, which is all there is."""
    carried = posted(answer) if mode.startswith("form_post") else answer_of(answer)
    assert carried.keys() == {"response"}
    return dict(parse(carried["response"]).claims)


@pytest.mark.spec("JARM §2.1")
@pytest.mark.parametrize("mode", ["jwt", "query.jwt", "fragment.jwt", "form_post.jwt"])
async def test_the_answer_may_be_signed(flow: Flow, mode: str) -> None:
    await flow.client(LEGACY, settings=JARM)

    answer = await flow.through(flow.browser(), LEGACY, response_mode=mode)

    claims = unpacked(answer, mode)
    assert claims.keys() == {"iss", "aud", "exp", "code", "state"}
    assert (claims["iss"], claims["aud"], claims["state"]) == (ISSUER, "web", "state-1")
    assert 0 < claims["exp"] - flow.clock.now.timestamp() <= 600
    assert (await flow.exchange(claims["code"], LEGACY)).status_code == 200
    if mode in ("jwt", "query.jwt"):
        assert "?response=" in answer.headers["location"]
    if mode == "fragment.jwt":
        assert "#response=" in answer.headers["location"]


@pytest.mark.spec("JARM §2.3.1")
async def test_a_signed_answer_with_tokens_goes_into_the_fragment(flow: Flow) -> None:
    await flow.client(LEGACY, settings=JARM)

    answer = await flow.through(flow.browser(), LEGACY, response_type="code id_token", response_mode="jwt")

    assert "#response=" in answer.headers["location"]
    assert {"code", "id_token"} <= unpacked(answer, "jwt").keys()


@pytest.mark.spec("JARM §2.2")
@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
async def test_a_signed_answer_may_be_for_the_client_alone(flow: Flow, alg: SigningAlgorithm) -> None:
    key = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
    settings = ClientSettings(
        authorization_signed_response_alg=alg,
        authorization_encrypted_response_alg="ECDH-ES",
        authorization_encrypted_response_enc="A256GCM",
    )
    jwks = {"keys": [key.as_dict(private=False), ec_key().as_dict(private=False)]}
    await flow.client(replace(WEB, jwks=jwks, settings=settings))

    carried = answer_of(await flow.through(flow.browser(), response_mode="jwt"))

    assert carried.keys() == {"response"}
    registry = jwe.JWERegistry(algorithms=["ECDH-ES", "A256GCM"])
    signed = jwe.decrypt_compact(carried["response"], key, registry=registry).plaintext
    assert signed is not None
    inside = parse(signed.decode())
    assert inside.header["alg"] == alg
    assert inside.claims["state"] == "state-1"


MODES = ["query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"]


@pytest.mark.spec("RFC 9207 §2")
@pytest.mark.spec("JARM §2.1")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"scope": "openid admin:write"}, "invalid_scope"),
        ({"resource": "https://shop.example/none"}, "invalid_target"),
        ({"authorization_details": "[{}]"}, "invalid_authorization_details"),
        ({"prompt": "none"}, "login_required"),
        ({"max_age": "x"}, "invalid_request"),
        ({"claims": "x"}, "invalid_request"),
        ({"response_type": "dance"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unauthorized_client"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://web.example/x"}, "request_uri_not_supported"),
    ],
    ids=str,
)
async def test_errors_travel_as_the_answer_would(flow: Flow, mode: str, change: dict[str, Value], error: str) -> None:
    await flow.client(LEGACY, settings=replace(JARM, response_types=("code",)))

    answer = await flow.authorize(flow.browser(), LEGACY, response_mode=mode, **change)

    told: dict[str, Any]
    if mode.endswith("jwt"):
        told = unpacked(answer, mode)
    else:
        told = posted(answer) if mode == "form_post" else answer_of(answer)
    assert (told["error"], told["state"], told["iss"]) == (error, "state-1", ISSUER)
    assert told["error_description"].isascii()
    assert not told.keys() & {"code", "access_token", "id_token"}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.spec("RFC 6749 §4.1.2.1")
@pytest.mark.parametrize("mode", MODES)
async def test_a_no_travels_as_the_answer_would(flow: Flow, mode: str) -> None:
    await flow.client(WISH_LIST, settings=ClientSettings(authorization_signed_response_alg="ES256"))
    browser = flow.browser()
    page = await browser.sign_in(await flow.authorize(browser, WISH_LIST, response_mode=mode))

    answer = await browser.press(page, "deny")

    if mode.startswith("form_post"):
        [form] = forms_of(answer)
        assert form.action == WISH_LIST.redirect_uris[0]
        told: dict[str, Any] = form.fields
    else:
        told = answer_of(answer)
    if "response" in told:
        told = dict(parse(told["response"]).claims)
    assert (told["error"], told["state"], told["iss"]) == ("access_denied", "state-1", ISSUER)


@pytest.mark.spec("FAPI 2.0 Message Signing §5.4.1")
async def test_a_client_may_be_held_to_its_response_modes(flow: Flow) -> None:
    await flow.client(LEGACY, settings=replace(JARM, response_modes=("jwt",)))
    browser = flow.browser()

    plain = answer_of(await flow.authorize(browser, LEGACY))
    signed = await flow.through(browser, LEGACY, response_mode="jwt")

    assert plain["error"] == "invalid_request"
    assert "code" in unpacked(signed, "jwt")


@pytest.mark.spec("OAuth 2.0 Multiple Response Types §4")
async def test_none_gives_nothing_and_still_asks(flow: Flow) -> None:
    third = replace(WISH_LIST, settings=ClientSettings(response_types=("none",)))
    await flow.client(third)
    browser = flow.browser()

    page = await flow.authorize(browser, third, response_type="none", code_challenge=None, code_challenge_method=None)
    consent = await browser.sign_in(page)
    answer = await browser.press(consent, "allow")

    assert is_sign_in(page)
    assert answer_of(answer).keys() == {"state", "iss"}


async def test_the_metadata_lists_types_and_modes(flow: Flow) -> None:
    await flow.client(LEGACY)
    metadata = (await flow.http.get("/.well-known/openid-configuration")).json()

    assert set(metadata["response_types_supported"]) == set(TYPES)
    assert set(metadata["response_modes_supported"]) == set(MODES)
    assert metadata["authorization_signing_alg_values_supported"]
    assert metadata["userinfo_endpoint"] == USERINFO
