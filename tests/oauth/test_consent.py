"""Consent of people to the apps of others: asked once, asked again for more, taken back at once."""

from __future__ import annotations

import asyncio
import re

import anyio
import pytest
from sqlalchemy import delete

from forms import forms_of
from kronborg.clients.register import remove_client
from kronborg.oauth.consent import remember, withdraw
from kronborg.oauth.model import Consent
from kronborg.oauth.store import consents_table, find_consent
from oauth.flow import CART, CATALOGUE, WISH_LIST, Browser, Flow, answer_of, is_consent, is_sign_in

pytestmark = pytest.mark.anyio


async def signed_in(flow: Flow, username: str = "ada") -> Browser:
    browser = flow.browser()
    await flow.code(browser, username=username)
    return browser


async def test_an_app_of_others_is_allowed_by_its_user(flow: Flow) -> None:
    browser = await signed_in(flow)

    page = await flow.authorize(browser, WISH_LIST, scope="openid profile catalogue:read")
    answer = await browser.press(page, "allow")

    assert is_consent(page)
    for words in (
        "Wish list",
        "wish.example",
        "Sign you in",
        "See your name",
        "Read the catalogue",
        "@ada",
        "Catalogue",
    ):
        assert words in page.text or words == "@ada"
    assert "https://wish.example;" in page.headers["content-security-policy"]
    tokens = await flow.exchange(answer_of(answer)["code"], WISH_LIST)
    assert tokens.status_code == 200


@pytest.mark.spec("RFC 6749 §4.1.2.1")
async def test_no_is_told_to_the_app_and_remembered_nowhere(flow: Flow) -> None:
    browser = await signed_in(flow)

    refused = await browser.press(await flow.authorize(browser, WISH_LIST), "deny")
    again = await flow.authorize(browser, WISH_LIST)

    told = answer_of(refused)
    assert (told["error"], told["state"]) == ("access_denied", "state-1")
    assert is_consent(again)


async def test_a_yes_is_remembered_until_the_app_asks_for_more(flow: Flow) -> None:
    browser = await signed_in(flow)
    await flow.code(browser, WISH_LIST, scope="openid catalogue:read")

    same = await flow.authorize(browser, WISH_LIST, scope="openid catalogue:read")
    less = await flow.authorize(browser, WISH_LIST, scope="catalogue:read")
    silent = await flow.authorize(browser, WISH_LIST, scope="openid catalogue:read", prompt="none")
    more = await flow.authorize(browser, WISH_LIST, scope="openid catalogue:read cart:read")
    wider = await flow.authorize(browser, WISH_LIST, scope="openid catalogue:read cart:read", prompt="none")

    assert all("code" in answer_of(answer) for answer in (same, less, silent))
    assert is_consent(more)
    assert answer_of(wider)["error"] == "consent_required"


async def test_what_was_allowed_adds_up(flow: Flow) -> None:
    browser = await signed_in(flow)
    await flow.code(browser, WISH_LIST, scope="catalogue:read")
    await flow.code(browser, WISH_LIST, scope="cart:read")

    answer = await flow.authorize(browser, WISH_LIST, scope="catalogue:read cart:read", resource=[CATALOGUE, CART])

    assert "code" in answer_of(answer)


async def test_one_yes_is_one_event_for_one_person(flow: Flow) -> None:
    bob = await flow.person("bob")
    browser = await signed_in(flow)

    await flow.code(browser, WISH_LIST)
    of_bob = await flow.authorize(await signed_in(flow, "bob"), WISH_LIST)

    [(actor, subject)] = await flow.events("consent.granted")
    assert actor == subject != bob.id
    assert is_consent(of_bob)


@pytest.mark.spec("OIDC Core §3.1.2.4")
@pytest.mark.parametrize("prompt", ["consent", "login consent"])
async def test_consent_is_asked_for_again_when_the_request_says_so(flow: Flow, prompt: str) -> None:
    browser = await signed_in(flow)
    await flow.code(browser, WISH_LIST)
    flow.clock.pass_by(minutes=1)

    page = await flow.authorize(browser, WISH_LIST, prompt=prompt)
    flow.clock.pass_by(minutes=1)
    if prompt == "login consent":
        assert is_sign_in(page)
        page = await browser.sign_in(page)
        flow.clock.pass_by(minutes=1)
    assert is_consent(page)
    answer = await browser.press(page, "allow")

    assert "code" in answer_of(answer)


async def test_only_what_the_page_showed_is_allowed(flow: Flow) -> None:
    browser = await signed_in(flow)
    page = await flow.authorize(browser, WISH_LIST, scope=None)
    await flow.client(WISH_LIST, scopes=(*WISH_LIST.scopes, "catalogue:write"))

    answer = await browser.press(page, "allow")

    assert is_consent(answer)
    assert "Write the catalogue" in answer.text


@pytest.mark.spec("RFC 6749 §10.12")
async def test_a_yes_from_another_site_or_session_is_refused(flow: Flow) -> None:
    browser, other = await signed_in(flow), await signed_in(flow)
    page = await flow.authorize(browser, WISH_LIST)
    [form] = [form for form in forms_of(page) if form.action == "/oauth/consent"]
    values = {**form.fields, "decision": "allow"}

    elsewhere = await browser.post("/oauth/consent", values, site="cross-site")
    stolen = await other.post("/oauth/consent", values)
    bare = await browser.post("/oauth/consent", {**values, "csrf": ""})
    nothing = await browser.post("/oauth/consent", {"csrf": values["csrf"]})

    assert [a.status_code for a in (elsewhere, stolen, bare)] == [403, 403, 403]
    assert nothing.status_code == 400
    assert await flow.events("consent.granted") == []


async def test_a_session_that_ended_meanwhile_has_to_sign_in_first(flow: Flow) -> None:
    browser = await signed_in(flow)
    page = await flow.authorize(browser, WISH_LIST)
    flow.clock.pass_by(hours=13)

    answer = await browser.press(page, "allow")

    assert is_sign_in(answer)
    assert is_consent(await browser.sign_in(answer))


async def test_a_form_that_names_another_address_leads_nowhere(flow: Flow) -> None:
    browser = await signed_in(flow)
    page = await flow.authorize(browser, WISH_LIST)
    [form] = [form for form in forms_of(page) if form.action == "/oauth/consent"]
    altered = re.sub(r"redirect_uri=[^&]*", "redirect_uri=https%3A%2F%2Fattacker.example%2F", form.fields["request"])

    answers = [
        await browser.post("/oauth/consent", {**form.fields, "request": request, "decision": decision})
        for request in (altered, "", "//attacker.example", "\r\nlocation: x")
        for decision in ("allow", "deny")
    ]

    assert [answer.status_code for answer in answers] == [400] * len(answers)


async def test_apps_are_listed_and_withdrawing_one_stops_it_at_once(flow: Flow) -> None:
    browser = await signed_in(flow)
    jwt = await flow.tokens(browser, WISH_LIST, scope="openid offline_access catalogue:read")
    reference = await flow.tokens(browser, WISH_LIST, scope="cart:read")
    waiting = await flow.code(browser, WISH_LIST)
    flow.clock.pass_by(minutes=5)

    page = await browser.get("/account/apps")
    [form] = [form for form in forms_of(page) if form.fields.get("client_id") == "wish-list"]
    done = await browser.submit(page, form, {})

    assert "Wish list" in page.text
    assert "Read the cart" in page.text
    assert "used 5 minutes ago" in page.text
    assert "no access any more" in done.text
    assert "Wish list" not in done.text
    assert await flow.introspect(jwt["access_token"]) == {"active": False}
    assert await flow.introspect(reference["access_token"]) == {"active": False}
    assert (await flow.refresh(jwt["refresh_token"], WISH_LIST)).json()["error"] == "invalid_grant"
    assert (await flow.exchange(waiting, WISH_LIST)).json()["error"] == "invalid_grant"
    assert is_consent(await flow.authorize(browser, WISH_LIST))
    assert len(await flow.events("consent.withdrawn")) == 1
    assert len(await flow.events("grant.revoked")) == 3


async def test_withdrawing_touches_nobody_elses_and_no_other_app(flow: Flow) -> None:
    await flow.person("bob")
    ada, bob = await signed_in(flow), await signed_in(flow, "bob")
    own = await flow.tokens(ada)
    bobs = await flow.tokens(bob, WISH_LIST, scope="catalogue:read")
    await flow.tokens(ada, WISH_LIST, scope="catalogue:read")
    page = await ada.get("/account/apps")
    [form] = [form for form in forms_of(page) if form.fields.get("client_id") == "wish-list"]

    await ada.submit(page, form, {})
    await ada.submit(page, form, {"client_id": "no-such-client"})

    assert (await flow.introspect(own["access_token"]))["active"]
    assert (await flow.introspect(bobs["access_token"]))["active"]
    assert "code" in answer_of(await flow.authorize(bob, WISH_LIST, scope="catalogue:read"))


async def test_an_app_of_ours_is_listed_once_it_outlives_the_session(flow: Flow) -> None:
    browser = await signed_in(flow)
    before = await browser.get("/account/apps")
    tokens = await flow.tokens(browser, scope="openid offline_access catalogue:read")

    page = await browser.get("/account/apps")
    [form] = [form for form in forms_of(page) if form.fields.get("client_id") == "web"]
    done = await browser.submit(page, form, {})

    assert "Web shop" not in before.text
    assert "Web shop" not in done.text
    assert (await flow.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_the_list_of_apps_is_for_people_who_are_signed_in(flow: Flow) -> None:
    browser = flow.browser()

    page = await browser.get("/account/apps")
    forged = await browser.post("/account/apps", {"client_id": "wish-list"})

    assert is_sign_in(page)
    assert forged.status_code == 403


async def test_consent_goes_with_the_client(flow: Flow) -> None:
    browser = await signed_in(flow)
    await flow.code(browser, WISH_LIST)
    async with flow.database.write() as session:
        await remove_client(session, "wish-list", actor="test", now=flow.clock.now)
    flow.secrets.clear()
    await flow.client(WISH_LIST)

    page = await flow.authorize(browser, WISH_LIST)

    assert is_consent(page)


async def test_no_yes_is_lost_in_a_race(flow: Flow) -> None:
    user = await flow.person("bob")
    scopes = [f"scope-{number}" for number in range(20)]

    async with anyio.create_task_group() as group:
        for scope in scopes:
            given = Consent(user.id, "wish-list", frozenset([scope]), frozenset(), flow.clock.now, flow.clock.now)
            group.start_soon(remember, flow.database, given)

    kept = await find_consent(flow.database.lookup, user.id, "wish-list")
    assert kept is not None
    assert kept.scopes == set(scopes)
    assert await withdraw(flow.database, user.id, "wish-list", now=flow.clock.now)
    assert not await withdraw(flow.database, user.id, "wish-list", now=flow.clock.now)


@pytest.mark.parametrize("prompt", [None, "none"])
async def test_a_withdrawal_between_the_decision_and_the_code_wins(flow: Flow, prompt: str | None) -> None:
    browser = await signed_in(flow)
    await flow.code(browser, WISH_LIST)

    async with flow.database.write() as session:
        await session.execute(delete(consents_table))
        # What is committed still says yes, so a code is decided on; the unit that makes it waits for this transaction.
        asking = asyncio.create_task(flow.authorize(browser, WISH_LIST, prompt=prompt))
        await asyncio.wait({asking}, timeout=0.5)
    answer = await asking

    if prompt is None:
        assert is_consent(answer)
    else:
        assert answer_of(answer)["error"] == "consent_required"
    assert len(await flow.events("grant.created")) == 2


async def test_a_nul_in_a_form_is_refused_cleanly(flow: Flow) -> None:
    browser = await signed_in(flow)
    await flow.code(browser, WISH_LIST)
    page = await browser.get("/account/apps")
    [form] = [form for form in forms_of(page) if "client_id" in form.fields]

    answer = await browser.submit(page, form, {"client_id": "wish\0list"})

    assert answer.status_code == 422
