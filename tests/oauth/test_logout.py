"""Sign-out that begins at a client: never by a mere link, never to an address that is not registered."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from forms import forms_of
from oauth.flow import WEB, WISH_LIST, Browser, Flow, answer_of, is_sign_in

pytestmark = [pytest.mark.anyio, pytest.mark.spec("OIDC RP-Initiated Logout §2")]

BYE = WEB.post_logout_redirect_uris[0]


def url(**values: str | None) -> str:
    return f"/oauth/logout?{urlencode({name: value for name, value in values.items() if value is not None})}"


async def is_signed_in(browser: Browser) -> bool:
    return not is_sign_in(await browser.get("/account"))


async def test_the_id_token_of_the_person_signs_out_at_once(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser)

    answer = await browser.get(url(id_token_hint=tokens["id_token"], post_logout_redirect_uri=BYE, state="s 1&x"))

    assert answer.headers["location"].startswith(f"{BYE}?")
    assert answer_of(answer) == {"state": "s 1&x"}
    assert "kronborg_session" not in browser.http.cookies
    assert not await is_signed_in(browser)
    assert (await flow.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await flow.introspect(tokens["access_token"]) == {"active": False}
    assert len(await flow.events("session.ended")) == 1
    assert len(await flow.events("grant.revoked")) == 1


async def test_the_hint_counts_after_it_expired(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser)
    flow.clock.pass_by(hours=5)

    answer = await browser.get(url(id_token_hint=tokens["id_token"], client_id="web"))

    assert answer.url.path == "/signout"
    assert not await is_signed_in(browser)


async def test_offline_access_goes_on_until_it_is_withdrawn(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser, scope="openid offline_access catalogue:read")

    await browser.get(url(id_token_hint=tokens["id_token"]))

    assert (await flow.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("decision", ["sign_out", "stay"])
@pytest.mark.parametrize("hint", ["", "a.b.c"])
async def test_without_a_genuine_hint_the_person_is_asked(flow: Flow, decision: str, hint: str) -> None:
    browser = flow.browser()
    await flow.code(browser)

    page = await browser.get(
        url(client_id="web", id_token_hint=hint or None, post_logout_redirect_uri=BYE, state="state-1")
    )
    asked = await is_signed_in(browser)
    answer = await browser.press(page, decision)

    assert asked
    assert "Web shop" in page.text
    assert "https://web.example;" in page.headers["content-security-policy"]
    assert await is_signed_in(browser) == (decision == "stay")
    if decision == "sign_out":
        assert answer.headers["location"] == f"{BYE}?state=state-1"
    else:
        assert answer.url.path == "/account"


async def test_the_hint_of_another_person_signs_nobody_out(flow: Flow) -> None:
    await flow.person("bob")
    of_bob = (await flow.tokens(flow.browser(), username="bob"))["id_token"]
    browser = flow.browser()
    await flow.code(browser)

    page = await browser.get(url(id_token_hint=of_bob, post_logout_redirect_uri=BYE))

    assert "Sign out?" in page.text
    assert await is_signed_in(browser)


@pytest.mark.spec("OIDC RP-Initiated Logout §3")
@pytest.mark.parametrize(
    "values",
    [
        {"client_id": "web", "post_logout_redirect_uri": "https://web.example/bye/"},
        {"client_id": "web", "post_logout_redirect_uri": "https://attacker.example/"},
        {"client_id": "web", "post_logout_redirect_uri": "javascript:alert(1)"},
        {"client_id": "web", "post_logout_redirect_uri": WISH_LIST.post_logout_redirect_uris[0]},
        {"client_id": "nobody", "post_logout_redirect_uri": BYE},
        {"post_logout_redirect_uri": BYE},
        {"id_token_hint": "a.b.c", "post_logout_redirect_uri": BYE},
        {"client_id": "nobody"},
        {"client_id": "web", "state": "a\0b"},
        {"client_id": "web", "state": "x" * 20_000},
    ],
    ids=lambda values: "&".join(values),
)
async def test_a_faulty_request_is_a_page_and_signs_nobody_out(flow: Flow, values: dict[str, str]) -> None:
    browser = flow.browser()
    await flow.code(browser)

    page = await browser.get(url(**values))
    repeated = await browser.get(f"{url(client_id='web', post_logout_redirect_uri=BYE)}&client_id=web")

    assert (page.status_code, page.is_redirect) == (400, False)
    assert repeated.status_code == 400
    assert "attacker" not in page.text
    assert await is_signed_in(browser)


async def test_hint_and_client_must_agree_and_the_client_be_enabled(flow: Flow) -> None:
    browser = flow.browser()
    hint = (await flow.tokens(browser))["id_token"]

    other = await browser.get(url(id_token_hint=hint, client_id="wish-list"))
    await flow.client(WEB, disabled=True)
    disabled = await browser.get(url(id_token_hint=hint, post_logout_redirect_uri=BYE))

    assert (other.status_code, disabled.status_code) == (400, 400)
    assert await is_signed_in(browser)


async def test_who_is_not_signed_in_goes_on_at_once(flow: Flow) -> None:
    browser = flow.browser()

    known = await browser.get(url(client_id="web", post_logout_redirect_uri=BYE))
    bare = await browser.get("/oauth/logout")

    assert known.headers["location"] == BYE
    assert bare.url.path == "/signout"


async def test_the_request_may_come_by_post_from_another_site(flow: Flow) -> None:
    browser = flow.browser()
    hint = (await flow.tokens(browser))["id_token"]
    values = {"id_token_hint": hint, "post_logout_redirect_uri": BYE}

    stranger = await flow.browser().http.post("/oauth/logout", data=values)
    answer = await browser.post("/oauth/logout", values, site="cross-site")

    assert (stranger.status_code, stranger.headers["location"].partition("?")[0]) == (303, "/oauth/logout")
    assert answer.headers["location"] == BYE
    assert not await is_signed_in(browser)


@pytest.mark.spec("RFC 6749 §10.12")
async def test_the_answer_to_the_question_cannot_be_forged(flow: Flow) -> None:
    browser = flow.browser()
    await flow.code(browser)
    page = await browser.get("/oauth/logout")
    [form] = [form for form in forms_of(page) if form.action == "/oauth/logout/confirm"]

    elsewhere = await browser.post(form.action, {**form.fields, "decision": "sign_out"}, site="cross-site")
    bare = await browser.post(form.action, {"decision": "sign_out"})
    altered = await browser.post(
        form.action,
        {**form.fields, "decision": "sign_out", "request": url(post_logout_redirect_uri="https://attacker.example")},
    )

    assert (elsewhere.status_code, bare.status_code) == (403, 403)
    assert "attacker" not in altered.headers.get("location", "")


async def test_other_sessions_of_the_person_stay(flow: Flow) -> None:
    here, there = flow.browser(), flow.browser()
    hint = (await flow.tokens(here))["id_token"]
    elsewhere = await flow.tokens(there)

    await here.get(url(id_token_hint=hint))

    assert await is_signed_in(there)
    assert (await flow.introspect(elsewhere["access_token"]))["active"]


async def test_hints_are_taken_and_change_nothing_and_the_page_speaks_the_language_asked_for(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser)

    asked = await browser.get(url(client_id="web", logout_hint="ada", ui_locales="da en"))
    told = await browser.get(
        url(id_token_hint=tokens["id_token"], logout_hint="somebody", ui_locales="da", post_logout_redirect_uri=BYE)
    )

    assert "Log ud?" in asked.text
    assert told.headers["location"] == BYE
