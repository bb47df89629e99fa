"""The device flow as a device and its person go through it: the code, the page, the polling, and the tokens."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

import pytest

from forms import forms_of
from kronborg.clients.model import ClientDraft
from kronborg.oauth.device_code import ALPHABET, new_user_code, shown, typed
from oauth.device_flow import GRANT, RADIO, TV, answered, begin, error_of, poll, type_in
from oauth.flow import ISSUER, Browser, Flow, is_sign_in
from token_site import claims_of

pytestmark = pytest.mark.anyio


@pytest.mark.spec("RFC 8628 §3.2")
async def test_a_device_gets_a_code_for_itself_and_one_to_show(flow: Flow) -> None:
    begun = await begin(flow)

    assert begun["verification_uri"] == f"{ISSUER}/device"
    assert begun["verification_uri_complete"] == f"{ISSUER}/device?user_code={begun['user_code']}"
    assert (begun["expires_in"], begun["interval"]) == (600, 5)
    assert len(begun["user_code"]) == 9
    assert set(begun["user_code"]) <= {*ALPHABET, "-"}


@pytest.mark.spec("RFC 8628 §3.5")
async def test_the_whole_way_gives_the_tokens_of_a_code(flow: Flow) -> None:
    begun = await begin(flow, scope="openid profile catalogue:read")
    before = await poll(flow, begun)

    done = await answered(flow, begun)
    flow.clock.pass_by(seconds=5)
    tokens = await poll(flow, begun)

    assert error_of(before) == (400, "authorization_pending")
    assert "Go back to your device" in done.text
    assert tokens.status_code == 200, tokens.text
    body = tokens.json()
    assert (body["scope"], body["token_type"]) == ("catalogue:read", "Bearer")
    assert claims_of(body["id_token"])["aud"] == "tv"
    assert (await flow.introspect(body["access_token"]))["active"] is True
    assert (await flow.refresh(body["refresh_token"], TV)).status_code == 200


@pytest.mark.spec("RFC 8628 §3.3.1")
async def test_a_link_with_the_code_fills_in_the_field_and_needs_every_step(flow: Flow) -> None:
    begun = await begin(flow)
    browser = flow.browser()
    await browser.sign_in(await browser.get("/signin"))

    page = await browser.get(begun["verification_uri_complete"].removeprefix(ISSUER))
    forged = await browser.get(f"/device?{urlencode({'user_code': begun['user_code'], 'typed': 'x' * 43})}")

    [form] = forms_of(page)
    assert (form.action, form.buttons) == ("/device", [])
    assert begun["user_code"] in page.text
    assert "Telly" not in page.text + forged.text
    assert error_of(await poll(flow, begun)) == (400, "authorization_pending")


@pytest.mark.spec("RFC 8628 §3.3")
async def test_the_confirmation_shows_who_asks_from_where_for_what(flow: Flow) -> None:
    begun = await begin(flow)

    page = await type_in(flow.browser(), begun["user_code"].lower().replace("-", " "))

    assert page.status_code == 200
    for text in ("Telly", begun["user_code"], "203.0.113.7", "Read the catalogue", "in front of you", "just now"):
        assert text in page.text
    assert "another network" not in page.text


@pytest.mark.spec("RFC 8628 §5.4")
async def test_a_device_on_another_network_is_pointed_out(flow: Flow) -> None:
    begun = await begin(flow)

    page = await type_in(Browser(flow.site.visitor(address="198.51.100.9").http), begun["user_code"])

    assert "another network" in page.text


@pytest.mark.spec("RFC 8628 §3.5")
async def test_a_device_that_asks_too_often_has_to_slow_down_and_stay_so(flow: Flow) -> None:
    begun = await begin(flow)
    errors = []

    for wait in (0, 4, 9, 11, 14, 15):
        flow.clock.pass_by(seconds=wait)
        errors.append(error_of(await poll(flow, begun))[1])

    # After the first question: 4 s is too soon (the pause is 10 s now), 9 s too (15 s), 11 s too (20 s), …
    assert errors == ["authorization_pending", "slow_down", "slow_down", "slow_down", "slow_down", "slow_down"]
    flow.clock.pass_by(seconds=30)
    assert error_of(await poll(flow, begun))[1] == "authorization_pending"


@pytest.mark.spec("RFC 8628 §3.5")
async def test_a_no_and_silence_are_told_apart(flow: Flow) -> None:
    denied, silent = await begin(flow), await begin(flow)

    page = await answered(flow, denied, "deny")
    no = await poll(flow, denied)
    flow.clock.pass_by(minutes=10)
    late = await poll(flow, silent)
    too_late = await type_in(flow.browser(), silent["user_code"])

    assert "Nothing was connected" in page.text
    assert error_of(no) == (400, "access_denied")
    assert error_of(late) == (400, "expired_token")
    assert too_late.status_code == 422


@pytest.mark.spec("RFC 8628 §3.5")
async def test_an_allowed_request_that_nobody_collects_expires(flow: Flow) -> None:
    begun = await begin(flow)
    await answered(flow, begun)

    flow.clock.pass_by(minutes=10)

    assert error_of(await poll(flow, begun)) == (400, "expired_token")


async def test_the_tokens_are_collected_once_and_a_second_time_ends_them(flow: Flow) -> None:
    begun = await begin(flow)
    await answered(flow, begun)

    first = (await poll(flow, begun)).json()
    second = await poll(flow, begun)

    assert error_of(second) == (400, "invalid_grant")
    assert await flow.introspect(first["access_token"]) == {"active": False}
    assert error_of(await flow.refresh(first["refresh_token"], TV)) == (400, "invalid_grant")


async def test_of_two_collectors_at_once_one_wins(flow: Flow) -> None:
    begun = await begin(flow)
    await answered(flow, begun)

    answers = await asyncio.gather(*(poll(flow, begun) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400, 400]


async def test_of_a_yes_and_a_no_at_once_one_counts(flow: Flow) -> None:
    begun = await begin(flow)
    yes, no = flow.browser(), flow.browser()
    pages = [await type_in(each, begun["user_code"]) for each in (yes, no)]

    await asyncio.gather(yes.press(pages[0], "allow"), no.press(pages[1], "deny"))

    assert len(await flow.events("device.answered")) == 1
    assert (await poll(flow, begun)).status_code in (200, 400)


async def test_a_request_is_answered_once(flow: Flow) -> None:
    begun = await begin(flow)
    browser = flow.browser()
    page = await type_in(browser, begun["user_code"])
    await browser.press(page, "allow")

    again = await browser.press(page, "deny")

    assert again.status_code == 422
    assert (await poll(flow, begun)).status_code == 200


async def test_what_is_allowed_is_the_request_that_was_shown(flow: Flow) -> None:
    shown_one, other = await begin(flow), await begin(flow)
    browser = flow.browser()
    page = await type_in(browser, shown_one["user_code"])
    [form] = [form for form in forms_of(page) if form.buttons]

    answer = await browser.submit(page, form, {"user_code": other["user_code"], "decision": "allow"})

    assert answer.status_code == 422
    assert error_of(await poll(flow, other)) == (400, "authorization_pending")


@pytest.mark.spec("RFC 8628 §3.4")
async def test_codes_of_another_client_and_of_another_kind_are_refused(flow: Flow) -> None:
    begun, radio = await begin(flow), await begin(flow, RADIO, scope="catalogue:read")
    await answered(flow, begun)

    stolen = await poll(flow, begun, RADIO)
    as_code = await flow.exchange(begun["device_code"])
    as_user_code = await flow.token(TV, grant_type=GRANT, device_code=begun["user_code"])
    unregistered = await flow.token((await _web(flow)), grant_type=GRANT, device_code=radio["device_code"])

    assert error_of(stolen) == error_of(as_code) == error_of(as_user_code) == (400, "invalid_grant")
    assert error_of(unregistered) == (400, "unauthorized_client")
    assert (await poll(flow, begun)).status_code == 200


async def _web(flow: Flow) -> ClientDraft:
    plain = ClientDraft("plain", "Plain", kind="public", auth_method="none", scopes=("openid",), grants=())
    await flow.client(plain)
    return plain


@pytest.mark.spec("RFC 8628 §5.1")
async def test_guessing_has_to_wait_after_five_tries_whatever_the_session(flow: Flow) -> None:
    begun = await begin(flow)
    browser = flow.browser()
    statuses = []

    for _ in range(5):
        statuses.append((await type_in(browser, shown(new_user_code()))).status_code)
    sixth = await type_in(browser, begun["user_code"])
    elsewhere = await type_in(Browser(flow.site.visitor(address="198.51.100.9").http), begun["user_code"])
    flow.clock.pass_by(seconds=6)
    after = await type_in(browser, begun["user_code"])

    assert statuses == [422] * 5
    assert (sixth.status_code, elsewhere.status_code) == (429, 429)
    assert "retry-after" in sixth.headers
    assert after.status_code == 200


async def test_nothing_is_looked_up_for_a_stranger(flow: Flow) -> None:
    browser = flow.browser()
    page = await browser.get("/device")
    [form] = forms_of(page)

    known = await browser.submit(page, form, {"user_code": (await begin(flow))["user_code"]})
    unknown = await browser.submit(page, form, {"user_code": shown(new_user_code())})

    assert is_sign_in(known)
    assert is_sign_in(unknown)


@pytest.mark.spec("RFC 6749 §10.12")
async def test_the_forms_of_another_site_do_nothing(flow: Flow) -> None:
    begun = await begin(flow)
    browser = flow.browser()
    page = await type_in(browser, begun["user_code"])
    [form] = [form for form in forms_of(page) if form.buttons]

    foreign = await browser.post("/device/decision", {**form.fields, "decision": "allow"}, site="cross-site")
    forged = await browser.post("/device/decision", {**form.fields, "csrf": "x.y", "decision": "allow"})

    assert (foreign.status_code, forged.status_code) == (403, 403)
    assert error_of(await poll(flow, begun)) == (400, "authorization_pending")


@pytest.mark.parametrize("text", ["", "BCDF", "AEIO-UAEI", "BCDF-GHJK-L", "x" * 5000, "<script>"])
async def test_what_is_no_code_is_told_so(flow: Flow, text: str) -> None:
    browser = flow.browser()
    page = await browser.get("/device")
    [form] = forms_of(page)

    answer = await browser.submit(page, form, {"user_code": text})

    assert answer.status_code == 422
    assert "<script>" not in answer.text


def test_a_code_is_read_whatever_stands_between() -> None:
    code = new_user_code()

    assert typed(shown(code)) == typed(f" {code[:2].lower()} {code[2:]} ") == code
    assert [typed(text) for text in ("", code[:7], code + "B", "A" + code[1:], "B" * 100)] == [None] * 5
