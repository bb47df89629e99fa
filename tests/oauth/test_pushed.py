"""Pushed authorization requests (RFC 9126): said by the client itself, named by a reference that is good once."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.oauth import kept_requests
from kronborg.oauth.pushed import PUSHES
from oauth.flow import (
    CATALOGUE,
    CHALLENGE,
    ISSUER,
    WEB,
    WISH_LIST,
    Browser,
    Flow,
    Value,
    answer_of,
    is_consent,
    is_sign_in,
)

pytestmark = pytest.mark.anyio


def parameters(client: ClientDraft = WEB, **changes: Value) -> dict[str, Value]:
    """What a client pushes."""
    return {
        "response_type": "code",
        "redirect_uri": client.redirect_uris[0],
        "scope": "openid catalogue:read",
        "state": "state-1",
        "nonce": "nonce-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }


async def push(flow: Flow, client: ClientDraft = WEB, **changes: Value) -> httpx.Response:
    return await flow.call("/oauth/par", client, **parameters(client, **changes))


async def reference(flow: Flow, client: ClientDraft = WEB, **changes: Value) -> str:
    answer = await push(flow, client, **changes)
    assert answer.status_code == 201, answer.text
    uri: str = answer.json()["request_uri"]
    return uri


async def begin(flow: Flow, browser: Browser, uri: str, client: ClientDraft = WEB, **more: str) -> httpx.Response:
    return await browser.get(
        str(httpx.URL("/oauth/authorize", params={"client_id": client.id, "request_uri": uri, **more}))
    )


@pytest.mark.spec("RFC 9126 §2.2")
async def test_a_pushed_request_is_answered_like_any_other(flow: Flow) -> None:
    browser = flow.browser()

    pushed = await push(flow)
    page = await begin(flow, browser, pushed.json()["request_uri"])
    answer = await browser.sign_in(page)

    assert pushed.status_code == 201
    assert pushed.headers["cache-control"] == "no-store"
    assert pushed.json()["expires_in"] == 60
    assert pushed.json()["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    given = answer_of(answer)
    assert (given["state"], given["iss"]) == ("state-1", ISSUER)
    assert (await flow.exchange(given["code"])).status_code == 200


@pytest.mark.spec("RFC 9126 §2.3")
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"redirect_uri": "https://attacker.example/"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unauthorized_client"),
        ({"response_type": "dance"}, "unsupported_response_type"),
        ({"scope": "openid admin:write"}, "invalid_scope"),
        ({"resource": "https://shop.example/none"}, "invalid_target"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"dpop_jkt": "x"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"id_token_hint": "a.b.c"}, "invalid_request"),
        ({"client_id": "wish-list"}, "invalid_client"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"request_uri": "https://web.example/request.jwt"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"state": "x" * 3000}, "invalid_request"),
        ({"state": ["a", "b"]}, "invalid_request"),
    ],
    ids=str,
)
async def test_what_is_wrong_the_client_is_told_at_once(flow: Flow, change: dict[str, Value], error: str) -> None:
    answer = await push(flow, WEB, **change)

    assert answer.status_code == (401 if error == "invalid_client" else 400)
    assert answer.json()["error"] == error
    assert answer.headers["cache-control"] == "no-store"
    assert "attacker" not in answer.text


@pytest.mark.spec("RFC 9126 §2.1")
async def test_a_confidential_client_has_to_prove_itself(flow: Flow) -> None:
    values = {name: str(value) for name, value in parameters(WISH_LIST).items()}

    nobody = await flow.http.post("/oauth/par", data={"client_id": "wish-list", **values})
    wrong = await flow.http.post("/oauth/par", data=values, auth=("wish-list", "wrong"))
    right = await push(flow, WISH_LIST)
    other = await push(flow, WISH_LIST, client_id="web")

    assert [a.status_code for a in (nobody, wrong, right, other)] == [401, 401, 201, 400]


@pytest.mark.spec("RFC 9126 §2")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_it_is_posted(flow: Flow, method: str) -> None:
    answer = await flow.http.request(method, "/oauth/par")

    assert answer.status_code == 405


@pytest.mark.spec("RFC 9126 §4")
async def test_a_reference_is_good_for_one_answer(flow: Flow) -> None:
    browser, uri = flow.browser(), await reference(flow)
    page = await begin(flow, browser, uri)
    reloaded = await begin(flow, browser, uri)

    first = await browser.sign_in(page)
    second = await begin(flow, browser, uri)

    assert is_sign_in(reloaded)
    assert "code" in answer_of(first)
    told = answer_of(second)
    assert (told["error"], told["state"], told["iss"]) == ("invalid_request_uri", "state-1", ISSUER)


@pytest.mark.spec("RFC 9126 §7.3")
async def test_of_two_answers_at_once_one_wins(flow: Flow) -> None:
    browser = flow.browser()
    await flow.code(browser)
    uri = await reference(flow)

    answers = await asyncio.gather(*(begin(flow, browser, uri) for _ in range(4)))

    told = [answer_of(answer) for answer in answers]
    assert sum("code" in each for each in told) == 1
    assert {each["error"] for each in told if "code" not in each} == {"invalid_request_uri"}


@pytest.mark.spec("RFC 9126 §4")
async def test_it_has_to_be_begun_in_time_but_signing_in_may_take_longer(flow: Flow) -> None:
    browser, uri = flow.browser(), await reference(flow)
    late = await reference(flow)
    page = await begin(flow, browser, uri)
    flow.clock.pass_by(minutes=20)

    answer = await browser.sign_in(page)
    too_late = await begin(flow, browser, late)

    assert "code" in answer_of(answer)
    assert answer_of(too_late)["error"] == "invalid_request_uri"


@pytest.mark.spec("RFC 9126 §4")
async def test_consent_and_reload_come_back_to_it(flow: Flow) -> None:
    browser, uri = flow.browser(), await reference(flow, WISH_LIST)
    page = await browser.sign_in(await begin(flow, browser, uri, WISH_LIST))
    reloaded = await browser.get(str(page.url))
    flow.clock.pass_by(minutes=10)

    answer = await browser.press(reloaded, "allow")

    assert is_consent(page)
    assert is_consent(reloaded)
    assert (await flow.exchange(answer_of(answer)["code"], WISH_LIST)).status_code == 200


async def test_a_no_uses_it_up_too(flow: Flow) -> None:
    browser, uri = flow.browser(), await reference(flow, WISH_LIST)
    page = await browser.sign_in(await begin(flow, browser, uri, WISH_LIST))

    denied = answer_of(await browser.press(page, "deny"))
    again = answer_of(await begin(flow, browser, uri, WISH_LIST))

    assert (denied["error"], denied["state"]) == ("access_denied", "state-1")
    assert again["error"] == "invalid_request_uri"


@pytest.mark.spec("OIDC Core §3.1.2.1")
@pytest.mark.parametrize("change", [{"prompt": "login"}, {"max_age": "0"}], ids=str)
async def test_a_pushed_wish_to_ask_again_is_fulfilled_once(flow: Flow, change: dict[str, Value]) -> None:
    browser = flow.browser()
    await flow.code(browser)
    flow.clock.pass_by(minutes=10)

    page = await begin(flow, browser, await reference(flow, WEB, **change))
    flow.clock.pass_by(minutes=2)
    answer = await browser.sign_in(page)

    assert is_sign_in(page)
    assert "code" in answer_of(answer)


@pytest.mark.spec("RFC 9126 §2.2")
@pytest.mark.parametrize(
    "uri", ["of-another-client", "urn:ietf:params:oauth:request_uri:" + "A" * 43, "urn:ietf:params:oauth:request_uri:"]
)
async def test_a_reference_that_leads_nowhere_ends_on_a_page(flow: Flow, uri: str) -> None:
    if uri == "of-another-client":
        uri = await reference(flow, WISH_LIST)

    # Whatever else stands there is not the request that was pushed, and its address is not to be trusted for it.
    page = await begin(flow, flow.browser(), uri, WEB, redirect_uri=WEB.redirect_uris[0], state="s")

    assert page.status_code == 400
    assert "location" not in page.headers
    assert "invalid_request_uri" in page.text


@pytest.mark.spec("RFC 9101 §6.3")
async def test_nothing_is_taken_from_beside_the_reference(flow: Flow) -> None:
    browser, uri = flow.browser(), await reference(flow, scope="openid", resource=None)
    await flow.code(browser)

    answer = answer_of(
        await begin(flow, browser, uri, state="other", scope="openid catalogue:write", response_mode="fragment")
    )

    assert answer["state"] == "state-1"
    tokens = (await flow.exchange(answer["code"])).json()
    assert tokens["scope"] == "openid"


@pytest.mark.spec("RFC 9126 §6")
async def test_a_client_that_has_to_push_does_so(flow: Flow) -> None:
    await flow.client(WEB, settings=ClientSettings(require_pushed_authorization_requests=True))
    browser = flow.browser()

    direct = answer_of(await flow.authorize(browser))
    pushed = await browser.sign_in(await begin(flow, browser, await reference(flow)))

    assert (direct["error"], direct["state"]) == ("invalid_request", "state-1")
    assert "code" in answer_of(pushed)


async def test_a_client_may_have_another_lifetime(flow: Flow) -> None:
    await flow.client(WEB, settings=ClientSettings(pushed_request_lifetime=300))
    browser = flow.browser()
    pushed = await push(flow)
    flow.clock.pass_by(seconds=299)

    page = await begin(flow, browser, pushed.json()["request_uri"])

    assert pushed.json()["expires_in"] == 300
    assert is_sign_in(page)


async def test_a_large_request_travels_by_reference(flow: Flow) -> None:
    browser = flow.browser()
    # More than a query of ours holds, and than an address to come back to does.
    resources = [CATALOGUE, *(f"https://shop.example/{number}/{'x' * 900}" for number in range(8))]
    refused = await push(flow, resource=resources)

    page = await begin(flow, browser, await reference(flow, state="s" * 2000, login_hint="h" * 1000, nonce="n" * 1000))

    assert refused.json()["error"] == "invalid_target"
    assert len(str(page.url)) < 1500 + 1000
    assert answer_of(await browser.sign_in(page))["state"] == "s" * 2000


async def test_nothing_in_the_database_leads_to_a_request(flow: Flow) -> None:
    uri = await reference(flow)

    rows = await flow.database.lookup.all("SELECT digest, parameters FROM oauth_requests", ())

    secret = uri.rpartition(":")[2]
    assert len(rows) == 1
    assert all(secret.encode() not in bytes(digest) and secret not in text for digest, text in rows)


async def test_what_nobody_comes_back_to_is_cleaned_away(flow: Flow) -> None:
    begun = await reference(flow)
    await reference(flow)
    await begin(flow, flow.browser(), begun)
    flow.clock.pass_by(seconds=59)
    in_time = await kept_requests.clean(flow.engine, now=flow.clock.now)
    flow.clock.pass_by(minutes=1)

    never_begun = await kept_requests.clean(flow.engine, now=flow.clock.now)
    flow.clock.pass_by(minutes=60)
    never_answered = await kept_requests.clean(flow.engine, now=flow.clock.now)

    assert (in_time, never_begun, never_answered) == (0, 1, 1)


@pytest.mark.spec("RFC 9126 §5")
async def test_the_metadata_names_the_endpoint(flow: Flow) -> None:
    metadata = (await flow.http.get("/.well-known/oauth-authorization-server")).json()

    assert metadata["pushed_authorization_request_endpoint"] == f"{ISSUER}/oauth/par"


async def test_what_clients_without_proof_push_from_one_address_is_bounded(flow: Flow) -> None:
    parameters = {"client_id": WEB.id, "request_uri": "urn:ietf:params:oauth:request_uri:other"}
    answers = [await flow.call("/oauth/par", WEB, **parameters) for _ in range(PUSHES)]

    one_more = await flow.call("/oauth/par", WEB, **parameters)

    assert {answer.status_code for answer in answers} == {400}
    assert one_more.status_code == 429
    assert int(one_more.headers["retry-after"]) > 0
