"""CIBA as a client and its person go through it: the request, the page, and polling."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from forms import forms_of
from kronborg.accounts.users import disable_user
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import set_disabled
from kronborg.clients.settings import ClientSettings
from kronborg.core import events
from kronborg.core.errors import Invalid
from kronborg.oauth.consent import withdraw
from kronborg.sessions.life import end_all_sessions
from oauth.ciba_flow import BANK, GRANT, SCOPES, TILL, answered, ask, at_home, begin, error_of, poll
from oauth.flow import CART, CATALOGUE, ISSUER, WEB, Flow
from token_site import claims_of

pytestmark = pytest.mark.anyio


@pytest.mark.spec("CIBA §7.3")
async def test_a_request_is_acknowledged_and_recorded(flow: Flow) -> None:
    begun = await begin(flow)

    assert (begun["expires_in"], begun["interval"]) == (300, 5)
    assert len(begun["auth_req_id"]) > 40
    async with flow.database.read() as session:
        [event] = [e for e in await events.latest(session, limit=5) if e.name == "ciba.requested"]
    assert (event.actor, event.detail["client_id"]) == ("bank", "bank")
    assert begun["auth_req_id"] not in repr(event.detail)


@pytest.mark.spec("CIBA §10.1")
async def test_the_whole_way_by_polling(flow: Flow) -> None:
    begun = await begin(flow, scope="openid profile catalogue:read")
    before = await poll(flow, begun)

    done = await answered(flow)
    flow.clock.pass_by(seconds=5)
    tokens = await poll(flow, begun)

    assert error_of(before) == (400, "authorization_pending")
    assert "You allowed it" in done.text
    assert tokens.status_code == 200, tokens.text
    body = tokens.json()
    assert claims_of(body["id_token"])["aud"] == "bank"
    assert (await flow.introspect(body["access_token"]))["active"] is True
    assert (await flow.refresh(body["refresh_token"], BANK)).status_code == 200


@pytest.mark.spec("CIBA §7.1")
async def test_the_person_sees_who_asks_for_what_and_the_words_to_compare(flow: Flow) -> None:
    await begin(flow)
    browser = await at_home(flow)

    home = await browser.get("/account")
    listed = await browser.get("/account/requests")
    href = listed.text.split('href="/account/requests/')[1].split('"')[0]
    page = await browser.get(f"/account/requests/{href}")

    assert "Requests" in home.text
    for text in ("Bank of Elsinore", "Pay 12 DKK: W4SCT"):
        assert text in listed.text
        assert text in page.text
    assert "Read the catalogue" in page.text


async def test_requests_are_seen_and_answered_by_their_person_alone(flow: Flow) -> None:
    await flow.person("eve")
    begun = await begin(flow)
    ada, eve = await at_home(flow), await at_home(flow, "eve")
    listed = await ada.get("/account/requests")
    href = "/account/requests/" + listed.text.split('href="/account/requests/')[1].split('"')[0]
    page = await ada.get(href)
    [form] = [form for form in forms_of(page) if form.buttons]
    own_page = await eve.get("/device")
    [own_form] = forms_of(own_page)

    seen = await eve.get("/account/requests")
    opened = await eve.get(href)
    forced = await eve.post(href, {"csrf": own_form.fields["csrf"], "decision": "allow"})
    foreign = await ada.post(href, {**form.fields, "decision": "allow"}, site="cross-site")

    assert "Bank of Elsinore" not in seen.text + opened.text + forced.text
    assert foreign.status_code == 403
    assert error_of(await poll(flow, begun)) == (400, "authorization_pending")


@pytest.mark.spec("CIBA §11")
async def test_too_often_a_no_and_silence_are_told_apart(flow: Flow) -> None:
    hasty = await begin(flow)
    first, second = await poll(flow, hasty), await poll(flow, hasty)
    await answered(flow, "deny")
    denied = await poll(flow, hasty)
    silent = await begin(flow, requested_expiry="60")
    flow.clock.pass_by(seconds=60)
    expired = await poll(flow, silent)

    assert (error_of(first), error_of(second)) == ((400, "authorization_pending"), (400, "slow_down"))
    assert error_of(denied) == (400, "access_denied")
    assert (silent["expires_in"], error_of(expired)) == (60, (400, "expired_token"))


async def test_tokens_are_collected_once_by_one_and_by_this_client(flow: Flow) -> None:
    begun = await begin(flow)
    await flow.client(TILL)
    await answered(flow)

    stolen = await poll(flow, begun, TILL)
    answers = await asyncio.gather(*(poll(flow, begun) for _ in range(5)))
    again = await poll(flow, begun)

    assert error_of(stolen) == (400, "invalid_grant")
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]
    assert error_of(again) == (400, "invalid_grant")


async def test_a_device_code_is_no_auth_req_id(flow: Flow) -> None:
    begun = await begin(flow)
    await answered(flow)
    tv = ClientDraft("tv", "Tv", grants=("urn:ietf:params:oauth:grant-type:device_code", GRANT), scopes=SCOPES)
    await flow.client(tv)
    device = (await flow.call("/oauth/device_authorization", tv, scope="openid")).json()

    swapped = await flow.token(tv, grant_type=GRANT, auth_req_id=device["device_code"])
    other = await flow.token(
        tv, grant_type="urn:ietf:params:oauth:grant-type:device_code", device_code=begun["auth_req_id"]
    )

    assert error_of(swapped) == error_of(other) == (400, "invalid_grant")


BAD: dict[str, tuple[dict[str, str], str]] = {
    "no hint": ({"login_hint": ""}, "invalid_request"),
    "two hints": ({"id_token_hint": "x.y.z"}, "invalid_request"),
    "hint token": ({"login_hint": "", "login_hint_token": "x"}, "invalid_request"),
    "user code": ({"user_code": "1234"}, "invalid_request"),
    "unknown": ({"login_hint": "nobody"}, "unknown_user_id"),
    "disabled": ({"login_hint": "grace"}, "unknown_user_id"),
    "false hint": ({"login_hint": "", "id_token_hint": "x.y.z"}, "unknown_user_id"),
    "no openid": ({"scope": "catalogue:read"}, "invalid_scope"),
    "no scope": ({"scope": ""}, "invalid_scope"),
    "foreign scope": ({"scope": "openid admin:write"}, "invalid_scope"),
    "resource": ({"resource": "https://elsewhere.example/"}, "invalid_target"),
    "long words": ({"binding_message": "x" * 65}, "invalid_binding_message"),
    "blank words": ({"binding_message": "  "}, "invalid_binding_message"),
    "turned words": ({"binding_message": "ab\u202ecd"}, "invalid_binding_message"),
    "expiry": ({"requested_expiry": "-1"}, "invalid_request"),
    "expiry text": ({"requested_expiry": "soon"}, "invalid_request"),
}


@pytest.mark.spec("CIBA §13")
@pytest.mark.parametrize("what", BAD)
async def test_what_is_wrong_is_named(flow: Flow, what: str) -> None:
    await flow.person("grace", disabled=True)
    form, error = BAD[what]

    answer = await ask(flow, BANK, **form)

    assert error_of(answer) == (400, error)
    assert await flow.events("ciba.requested") == []


@pytest.mark.spec("CIBA §7.1")
async def test_the_person_can_be_named_by_an_id_token_of_this_client(flow: Flow) -> None:
    tokens = await flow.tokens(flow.browser())
    first = await begin(flow)
    await answered(flow)
    own = (await poll(flow, first)).json()["id_token"]

    again = await ask(flow, login_hint="", id_token_hint=own)
    foreign = await ask(flow, login_hint="", id_token_hint=tokens["id_token"])

    assert again.status_code == 200
    assert error_of(foreign) == (400, "unknown_user_id")


async def test_nobody_is_worn_down_by_asking(flow: Flow) -> None:
    answers = [await ask(flow) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]


async def test_only_confidential_clients_that_registered_it(flow: Flow) -> None:
    with pytest.raises(Invalid):
        await flow.client(replace(BANK, kind="public", auth_method="none"))
    await flow.client(BANK)

    no_secret = await flow.http.post(
        "/oauth/backchannel-authentication", data={"client_id": "bank", "scope": "openid", "login_hint": "ada"}
    )
    unregistered = await flow.call("/oauth/backchannel-authentication", WEB, scope="openid", login_hint="ada")

    assert error_of(no_secret) == (401, "invalid_client")
    assert unregistered.status_code == 401


@pytest.mark.spec("CIBA §4")
def test_what_tells_a_client_fits_together() -> None:
    from kronborg.clients.check import client_problems

    def problems(draft: ClientDraft) -> list[str]:
        return [p.where for p in client_problems(draft, scopes=SCOPES, audiences=(CATALOGUE, CART))]

    endpoint = "settings.backchannel_client_notification_endpoint"
    where = "https://bank.example/notice"
    assert problems(BANK) == []
    assert problems(replace(BANK, settings=ClientSettings(backchannel_token_delivery_mode="ping"))) == [endpoint]
    assert problems(replace(BANK, settings=ClientSettings(backchannel_client_notification_endpoint=where))) == [
        endpoint
    ]


async def _disable_user(flow: Flow, user_id: str) -> None:
    async with flow.database.write() as session:
        await disable_user(session, user_id, actor="test", now=flow.clock.now)


async def _sign_out(flow: Flow, user_id: str) -> None:
    async with flow.database.write() as session:
        await end_all_sessions(session, user_id, actor="test", now=flow.clock.now)


async def _withdraw(flow: Flow, user_id: str) -> None:
    await withdraw(flow.database, user_id, "bank", now=flow.clock.now)


async def _disable_client(flow: Flow, _user_id: str) -> None:
    async with flow.database.write() as session:
        await set_disabled(session, "bank", disabled=True, actor="test", now=flow.clock.now)


FALLS = {"user": _disable_user, "session": _sign_out, "consent": _withdraw, "client": _disable_client}


@pytest.mark.parametrize("what", FALLS)
async def test_what_falls_between_yes_and_collection_gives_nothing(flow: Flow, what: str) -> None:
    begun = await begin(flow)
    await answered(flow)
    [(_, user_id)] = await flow.events("ciba.answered")

    await FALLS[what](flow, user_id)

    assert (await poll(flow, begun)).status_code in (400, 401)


@pytest.mark.spec("CIBA §4")
async def test_the_metadata_tells_of_it(flow: Flow) -> None:
    metadata = (await flow.http.get("/.well-known/openid-configuration")).json()

    assert metadata["backchannel_authentication_endpoint"] == f"{ISSUER}/oauth/backchannel-authentication"
    assert metadata["backchannel_token_delivery_modes_supported"] == ["poll", "ping", "push"]
    assert metadata["backchannel_user_code_parameter_supported"] is False
    assert GRANT in metadata["grant_types_supported"]
