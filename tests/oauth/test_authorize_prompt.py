"""prompt, max_age and hints over HTTP: a person is really asked again, and nothing is shown silently."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from kronborg.accounts.users import UserChange, update_user
from kronborg.core.jose import parse
from kronborg.oauth.authorize_request import parse as read
from kronborg.oauth.parameters import MAX_QUERY
from oauth.flow import WEB, WISH_LIST, Flow, answer_of, is_consent, is_sign_in

pytestmark = [pytest.mark.anyio, pytest.mark.spec("OIDC Core §3.1.2.1")]


@pytest.mark.parametrize("change", [{"prompt": "login"}, {"prompt": "select_account"}, {"max_age": 0}], ids=str)
async def test_a_person_is_asked_again_and_once(flow: Flow, change: dict[str, str]) -> None:
    browser = flow.browser()
    earlier = await flow.tokens(browser)
    before = parse(earlier["id_token"]).claims
    flow.clock.pass_by(minutes=10)

    page = await flow.authorize(browser, WEB, **change)
    flow.clock.pass_by(seconds=20)
    answer = await browser.sign_in(page)

    assert is_sign_in(page)
    tokens = await flow.exchange(answer_of(answer)["code"])
    claims = parse(tokens.json()["id_token"]).claims
    assert claims["auth_time"] == int(flow.clock.now.timestamp())
    assert (claims["sub"], claims["sid"]) == (before["sub"], before["sid"])
    # Asking again ends nothing: what the session gave before goes on.
    assert (await flow.refresh(earlier["refresh_token"])).status_code == 200


@pytest.mark.parametrize("change", [{"prompt": "login"}, {"max_age": 0}], ids=str)
async def test_going_back_without_signing_in_asks_again(flow: Flow, change: dict[str, str]) -> None:
    browser = flow.browser()
    await flow.code(browser)
    flow.clock.pass_by(minutes=10)
    page = await flow.authorize(browser, WEB, **change)
    [back] = parse_qs(page.url.query.decode())["next"]

    again = await browser.get(back)

    assert is_sign_in(again)


async def test_the_mark_of_being_asked_is_bound_to_the_request_and_grows_old(flow: Flow) -> None:
    browser = flow.browser()
    page = await flow.authorize(browser, prompt="login")
    [back] = parse_qs(page.url.query.decode())["next"]
    flow.clock.pass_by(seconds=1)
    await browser.sign_in(page)

    other = await browser.get(back.replace("state-1", "state-2"))
    forged = await browser.get(f"{flow.url(prompt='login')}&{urlencode({'kronborg_asked': '1.' + 'A' * 43})}")
    now = await browser.get(back)
    flow.clock.pass_by(hours=1)
    old = await browser.get(back)

    assert [is_sign_in(answer) for answer in (other, forged, old)] == [True, True, True]
    assert "code" in answer_of(now)


async def test_max_age_lets_recent_sign_ins_pass(flow: Flow) -> None:
    browser = flow.browser()
    await flow.code(browser)
    flow.clock.pass_by(minutes=10)

    recent = await flow.authorize(browser, max_age=601)
    older = await flow.authorize(browser, max_age=599)

    assert "code" in answer_of(recent)
    assert is_sign_in(older)


async def test_silently_a_person_who_is_signed_in_is_enough(flow: Flow) -> None:
    browser = flow.browser()
    await flow.code(browser)

    answer = await flow.authorize(browser, prompt="none")

    assert "code" in answer_of(answer)


@pytest.mark.spec("OIDC Core §3.1.2.6")
async def test_silently_nothing_is_shown(flow: Flow) -> None:
    browser = flow.browser()
    nobody = await flow.authorize(browser, prompt="none")
    await flow.code(browser)
    flow.clock.pass_by(minutes=10)

    old = await flow.authorize(browser, prompt="none", max_age=60)
    unknown = await flow.authorize(browser, WISH_LIST, prompt="none")
    flow.clock.pass_by(hours=13)
    expired = await flow.authorize(browser, prompt="none")

    assert answer_of(nobody)["error"] == "login_required"
    assert answer_of(old)["error"] == "login_required"
    assert answer_of(unknown)["error"] == "consent_required"
    assert answer_of(expired)["error"] == "login_required"


async def test_somebody_else_than_hinted_at_is_asked_to_leave(flow: Flow) -> None:
    await flow.person("bob")
    hint = (await flow.tokens(flow.browser()))["id_token"]
    browser = flow.browser()
    await flow.code(browser, username="bob")

    silent = await flow.authorize(browser, id_token_hint=hint, prompt="none")
    flow.clock.pass_by(seconds=1)
    page = await flow.authorize(browser, id_token_hint=hint)
    flow.clock.pass_by(seconds=1)
    still_bob = await browser.sign_in(page, "bob")
    page = await flow.authorize(browser, id_token_hint=hint)
    ada = await browser.sign_in(page, "ada")

    assert answer_of(silent)["error"] == "login_required"
    assert is_sign_in(page)
    assert answer_of(still_bob)["error"] == "login_required"
    assert "code" in answer_of(ada)


async def test_a_hint_counts_after_it_expired_but_not_from_another_client(flow: Flow) -> None:
    browser = flow.browser()
    tokens = await flow.tokens(browser)
    flow.clock.pass_by(hours=2)

    later = await flow.authorize(browser, id_token_hint=tokens["id_token"])
    of_another = await flow.authorize(browser, WISH_LIST, id_token_hint=tokens["id_token"])
    no_id_token = await flow.authorize(browser, id_token_hint=tokens["access_token"])

    assert "code" in answer_of(later)
    assert answer_of(of_another)["error"] == "invalid_request"
    assert answer_of(no_id_token)["error"] == "invalid_request"


async def test_the_login_hint_is_filled_in_and_stays_text(flow: Flow) -> None:
    page = await flow.authorize(flow.browser(), login_hint='ada"><script>')

    assert is_sign_in(page)
    assert 'value="ada&#34;&gt;&lt;script&gt;"' in page.text
    assert "<script>" not in page.text


async def test_a_request_of_the_largest_size_survives_sign_in(flow: Flow) -> None:
    browser = flow.browser()
    # Every quote is three characters once encoded.
    room = MAX_QUERY - len(read(urlsplit(flow.url(state=None, nonce=None)).query).query()) - len("&state=&nonce=")
    state = '"' * ((room - 1000) // 3)

    page = await flow.authorize(browser, state=state, nonce="n" * (room - 3 * len(state)))
    answer = await browser.sign_in(page)

    assert answer_of(answer)["state"] == state


@pytest.mark.spec("RFC 9700 §4.12")
async def test_the_sign_in_page_may_lead_on_to_the_client_and_nowhere_else(flow: Flow) -> None:
    page = await flow.authorize(flow.browser())

    policy = page.headers["content-security-policy"]
    assert "form-action 'self' https://web.example;" in policy


async def test_somebody_disabled_meanwhile_is_nobody(flow: Flow) -> None:
    user = await flow.person("bob")
    browser = flow.browser()
    await flow.code(browser, username="bob")
    async with flow.database.write() as session:
        await update_user(session, user.id, UserChange(disabled=True), actor="test", now=flow.clock.now)

    silent = await flow.authorize(browser, prompt="none")
    page = await flow.authorize(browser)
    refused = await browser.sign_in(page, "bob")

    assert answer_of(silent)["error"] == "login_required"
    assert is_sign_in(page)
    assert refused.status_code == 422


async def test_a_client_disabled_during_sign_in_gets_nothing(flow: Flow) -> None:
    browser = flow.browser()
    page = await flow.authorize(browser)
    await flow.client(WEB, disabled=True)

    answer = await browser.sign_in(page)

    assert (answer.status_code, answer.is_redirect) == (400, False)
    assert not is_consent(answer)
