"""The authorization endpoint over HTTP: what is checked, in which order, and who is told."""

from __future__ import annotations

import pytest

from kronborg.clients.model import ClientDraft
from kronborg.core.jose import parse
from oauth.flow import (
    CART,
    CATALOGUE,
    CHALLENGE,
    ISSUER,
    USERINFO,
    WEB,
    WISH_LIST,
    Flow,
    Value,
    answer_of,
    is_sign_in,
)

pytestmark = pytest.mark.anyio

OAUTH_CODES = {
    "invalid_request",
    "unauthorized_client",
    "access_denied",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "consent_required",
    "request_not_supported",
    "request_uri_not_supported",
    "invalid_authorization_details",
}


@pytest.mark.spec("RFC 6749 §4.1.2")
@pytest.mark.spec("RFC 9207 §2")
async def test_a_person_signs_in_and_the_client_gets_a_code(flow: Flow) -> None:
    browser = flow.browser()

    page = await flow.authorize(browser)
    answer = await browser.sign_in(page)

    assert is_sign_in(page)
    assert "Web shop" in page.text
    assert answer.headers["location"].startswith("https://web.example/callback?")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    given = answer_of(answer)
    assert given.keys() == {"code", "state", "iss"}
    assert (given["state"], given["iss"]) == ("state-1", ISSUER)
    assert (await flow.exchange(given["code"])).status_code == 200


@pytest.mark.spec("RFC 6749 §4.1.2.1")
@pytest.mark.parametrize(
    "change",
    [
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": ["web", "wish-list"]},
        {"client_id": "web\0"},
        {"redirect_uri": "https://attacker.example/"},
        {"redirect_uri": "https://web.example/callback/../x"},
        {"redirect_uri": ["https://web.example/callback", "https://attacker.example/"]},
        {"redirect_uri": "https://web.example/callback#fragment"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": None},
        {"state": "x" * 20_000},
    ],
    ids=lambda change: str(change)[:60],
)
async def test_while_the_address_is_in_doubt_the_answer_is_a_page(flow: Flow, change: dict[str, Value]) -> None:
    browser = flow.browser()

    page = await flow.authorize(browser, WEB, **change)

    assert page.status_code == 400
    assert "location" not in page.headers
    assert page.headers["content-type"].startswith("text/html")
    assert "attacker" not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


@pytest.mark.spec("RFC 6749 §4.1.2.1")
async def test_a_disabled_client_is_told_nothing(flow: Flow) -> None:
    await flow.client(WEB, disabled=True)

    page = await flow.authorize(flow.browser())

    assert page.status_code == 400
    assert "location" not in page.headers


@pytest.mark.spec("RFC 6749 §4.1.2.1")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "dance"}, "unsupported_response_type"),
        ({"response_type": "code code"}, "unsupported_response_type"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"response_type": "id_token code"}, "unauthorized_client"),
        ({"response_type": ["code", "code"]}, "invalid_request"),
        ({"response_mode": "dance"}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "="}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": [CHALLENGE, CHALLENGE]}, "invalid_request"),
        ({"scope": "openid unknown"}, "invalid_scope"),
        ({"scope": "openid  profile"}, "invalid_scope"),
        ({"scope": "openid admin:write"}, "invalid_scope"),
        ({"scope": ["openid", "profile"]}, "invalid_request"),
        ({"resource": "https://shop.example/unknown"}, "invalid_target"),
        ({"resource": f"{CATALOGUE}#part"}, "invalid_target"),
        ({"resource": "/catalogue"}, "invalid_target"),
        ({"resource": [CATALOGUE, "https://shop.example/unknown"]}, "invalid_target"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"display": "hologram"}, "invalid_request"),
        ({"nonce": ["a", "b"]}, "invalid_request"),
        ({"nonce": "a\nb"}, "invalid_request"),
        ({"id_token_hint": "a.b.c"}, "invalid_request"),
        ({"request": "e30.e30.", "response_type": None}, "request_not_supported"),
        ({"request": "e30.e30.", "request_uri": "https://web.example/request.jwt"}, "invalid_request"),
        ({"request_uri": "https://web.example/request.jwt"}, "request_uri_not_supported"),
        ({"prompt": "none"}, "login_required"),
    ],
    ids=str,
)
async def test_what_is_wrong_after_that_the_client_learns(flow: Flow, change: dict[str, Value], error: str) -> None:
    answer = await flow.authorize(flow.browser(), WEB, **change)

    told = answer_of(answer)
    assert answer.headers["location"].startswith(("https://web.example/callback?", "https://web.example/callback#"))
    assert (told["error"], told["state"], told["iss"]) == (error, "state-1", ISSUER)
    assert told["error_description"].isascii()
    assert error in OAUTH_CODES


@pytest.mark.spec("RFC 6749 §4.1.2.1")
@pytest.mark.parametrize("state", [["one", "two"], "x" * 8000, "a\nb"], ids=["repeated", "long", "control"])
async def test_a_state_that_is_in_doubt_is_not_echoed(flow: Flow, state: Value) -> None:
    told = answer_of(await flow.authorize(flow.browser(), state=state))

    assert told["error"] == "invalid_request"
    assert "state" not in told


async def test_a_client_without_the_grant_is_unauthorized(flow: Flow) -> None:
    machine = ClientDraft("machine", "Machine", grants=("client_credentials",), redirect_uris=("https://m.example/cb",))
    await flow.client(machine)

    told = answer_of(await flow.authorize(flow.browser(), machine, scope=None))

    assert told["error"] == "unauthorized_client"


@pytest.mark.spec("RFC 6749 §3.1")
async def test_the_unknown_is_ignored_and_the_empty_is_absent(flow: Flow) -> None:
    browser = flow.browser()

    words = {"display": "popup", "ui_locales": "da en", "acr_values": "phr"}
    page = await flow.authorize(browser, WEB, unknown=["1", "2"], prompt="", max_age="", resource="", **words)
    answer = await browser.sign_in(page)

    assert "code" in answer_of(answer)


@pytest.mark.spec("OIDC Core §3.1.2.1")
async def test_the_request_may_come_by_post_from_another_site(flow: Flow) -> None:
    browser = flow.browser()
    await flow.code(browser)
    path, _, query = flow.url().partition("?")
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "cross-site"}

    with_cookie = await browser.http.post(path, content=query, headers=form)
    stranger = await flow.browser().http.post(path, content=query, headers=form)

    assert with_cookie.status_code == 303
    assert "code" in answer_of(with_cookie)
    # A browser withholds the cookie here; it will not with the GET that follows.
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/oauth/authorize?")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b"client_id=web" * 2000, id="large"),
        pytest.param(b"client_id=web" * 20_000, id="endless"),
        pytest.param(b"a=1&" * 200, id="many"),
    ],
)
async def test_a_post_that_is_no_request_is_refused(flow: Flow, body: bytes) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    answers = [
        await flow.http.post("/oauth/authorize", content=body, headers=form),
        await flow.http.post("/oauth/authorize", content=body, headers={"content-type": "application/json"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400]


@pytest.mark.spec("OAuth 2.0 Multiple Response Types §2.1")
async def test_the_answer_comes_in_the_fragment_when_asked_for(flow: Flow) -> None:
    browser = flow.browser()

    good = await flow.through(browser, response_mode="fragment")
    bad = await flow.authorize(browser, response_mode="fragment", response_type="token")

    for answer in (good, bad):
        assert answer.headers["location"].startswith("https://web.example/callback#")
        assert answer_of(answer)["state"] == "state-1"


@pytest.mark.spec("RFC 6749 §3.1.2.3")
async def test_the_only_redirect_uri_may_be_left_out_without_openid(flow: Flow) -> None:
    browser = flow.browser()

    answer = await flow.through(browser, scope="catalogue:read", redirect_uri=None)
    tokens = await flow.exchange(answer_of(answer)["code"], redirect_uri=None)
    several = await flow.authorize(browser, WISH_LIST, scope="catalogue:read", redirect_uri=None)

    assert answer.headers["location"].startswith("https://web.example/callback?")
    assert tokens.status_code == 200
    assert several.status_code == 400


@pytest.mark.spec("RFC 8252 §7.3")
async def test_a_native_app_answers_on_any_port_of_the_loopback(flow: Flow) -> None:
    await flow.client(WEB, redirect_uris=("http://127.0.0.1/callback", "http://localhost:7000/callback"))
    browser, uri = flow.browser(), "http://127.0.0.1:49152/callback"

    answer = await flow.through(browser, redirect_uri=uri)
    tokens = await flow.exchange(answer_of(answer)["code"], redirect_uri=uri)
    by_name = await flow.authorize(browser, redirect_uri="http://localhost:49152/callback")

    assert answer.headers["location"].startswith(f"{uri}?")
    assert tokens.status_code == 200
    assert by_name.status_code == 400


@pytest.mark.spec("RFC 7636 §4.3")
async def test_a_confidential_client_may_do_without_a_challenge_but_not_with_plain(flow: Flow) -> None:
    await flow.client(WISH_LIST, first_party=True)
    browser = flow.browser()

    code = await flow.code(browser, WISH_LIST, code_challenge=None, code_challenge_method=None)
    tokens = await flow.exchange(code, WISH_LIST, code_verifier=None)
    plain = await flow.authorize(browser, WISH_LIST, code_challenge_method="plain")

    assert tokens.status_code == 200
    assert answer_of(plain)["error"] == "invalid_request"


@pytest.mark.spec("RFC 8707 §2.1")
async def test_several_resources_give_one_grant_with_several_audiences(flow: Flow) -> None:
    browser = flow.browser()
    code = await flow.code(browser, scope="openid catalogue:read cart:read", resource=[CATALOGUE, CART])

    first = (await flow.exchange(code, resource=CATALOGUE)).json()
    second = (await flow.refresh(first["refresh_token"], resource=CART)).json()
    third = (await flow.refresh(second["refresh_token"], resource=USERINFO)).json()

    assert (await flow.introspect(first["access_token"]))["aud"] == CATALOGUE
    assert (await flow.introspect(second["access_token"]))["aud"] == CART
    assert (await flow.userinfo(third["access_token"])).status_code == 200


@pytest.mark.spec("RFC 8707 §2")
async def test_the_grant_is_for_the_resource_named_and_no_other(flow: Flow) -> None:
    code = await flow.code(flow.browser(), scope="catalogue:read cart:read", resource=CART)

    elsewhere = await flow.exchange(code, resource=CATALOGUE)
    there = await flow.exchange(code, resource=CART)

    assert (elsewhere.status_code, elsewhere.json()["error"]) == (400, "invalid_target")
    assert there.json()["scope"] == "cart:read"


@pytest.mark.spec("RFC 6749 §3.3")
async def test_without_a_scope_the_client_gets_what_it_registered(flow: Flow) -> None:
    code = await flow.code(flow.browser(), scope=None, resource=CATALOGUE)

    tokens = await flow.exchange(code, resource=CATALOGUE)

    assert tokens.json()["scope"] == "catalogue:read catalogue:write"


@pytest.mark.spec("OIDC Core §2")
async def test_the_id_token_tells_what_the_request_said(flow: Flow) -> None:
    browser = flow.browser()
    signed_in = int(flow.clock.now.timestamp())
    await flow.code(browser)
    flow.clock.pass_by(minutes=5)

    tokens = await flow.tokens(browser, nonce="nonce-7")

    claims = parse(tokens["id_token"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ISSUER, "web", "nonce-7")
    assert (claims["auth_time"], claims["amr"]) == (signed_in, ["pwd"])


async def test_a_code_of_another_clients_request_is_worth_nothing(flow: Flow) -> None:
    await flow.client(WISH_LIST, first_party=True)
    code = await flow.code(flow.browser(), WISH_LIST)

    answer = await flow.exchange(code, WEB, redirect_uri=WISH_LIST.redirect_uris[0])

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_there_are_no_cross_origin_answers_and_no_frames(flow: Flow) -> None:
    answer = await flow.http.get(flow.url(), headers={"origin": "https://web.example"})

    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-frame-options"] == "DENY"
