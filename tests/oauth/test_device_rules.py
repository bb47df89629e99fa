"""What holds around the device flow: consent, resources, what falls meanwhile, what is stored, metadata."""

from __future__ import annotations

import pytest

from kronborg.accounts.users import disable_user
from kronborg.clients.register import set_disabled
from kronborg.oauth.consent import withdraw
from kronborg.oauth.waiting import clean
from kronborg.oauth.waiting_store import find_waiting
from kronborg.sessions.life import end_all_sessions
from kronborg.tokens.revoke import revoke_client
from oauth.device_flow import GRANT, RADIO, TV, answered, begin, error_of, poll, type_in
from oauth.flow import CART, ISSUER, Flow
from token_site import claims_of

pytestmark = pytest.mark.anyio


async def test_the_consent_is_kept_and_withdrawing_it_ends_the_tokens(flow: Flow) -> None:
    begun = await begin(flow, scope="openid offline_access catalogue:read")
    browser = flow.browser()
    await answered(flow, begun, browser=browser)
    tokens = (await poll(flow, begun)).json()
    user_id = str(claims_of(tokens["id_token"])["sub"])

    listed = await browser.get("/account/apps")
    await withdraw(flow.database, user_id, "tv", now=flow.clock.now)

    assert "Telly" in listed.text
    assert await flow.introspect(tokens["access_token"]) == {"active": False}
    assert error_of(await flow.refresh(tokens["refresh_token"], TV)) == (400, "invalid_grant")


@pytest.mark.spec("RFC 8707 §2")
async def test_resources_choose_the_apis_and_are_checked(flow: Flow) -> None:
    begun = await begin(flow, scope="cart:read catalogue:read", resource=CART)
    await answered(flow, begun)

    tokens = await poll(flow, begun)
    refused = await flow.call("/oauth/device_authorization", TV, scope="cart:read", resource="https://x.example/")
    unknown = await flow.call("/oauth/device_authorization", TV, scope="admin:write")

    assert (tokens.json()["scope"], tokens.json()["access_token"][:7]) == ("cart:read", "kro_at_")
    assert error_of(refused) == (400, "invalid_target")
    assert error_of(unknown) == (400, "invalid_scope")


@pytest.mark.spec("RFC 8628 §3.1")
async def test_a_confidential_client_authenticates_at_both_endpoints(flow: Flow) -> None:
    begun = await begin(flow, RADIO, scope="catalogue:read")
    await answered(flow, begun)

    no_secret = await flow.http.post("/oauth/device_authorization", data={"client_id": "radio"})
    by_name = await flow.http.post(
        "/oauth/token", data={"client_id": "radio", "grant_type": GRANT, "device_code": begun["device_code"]}
    )
    tokens = await poll(flow, begun, RADIO)

    assert error_of(no_secret) == error_of(by_name) == (401, "invalid_client")
    assert tokens.status_code == 200
    assert {"refresh_token", "id_token"} & tokens.json().keys() == set()


async def _disable_user(flow: Flow, user_id: str) -> None:
    async with flow.database.write() as session:
        await disable_user(session, user_id, actor="test", now=flow.clock.now)


async def _sign_out(flow: Flow, user_id: str) -> None:
    async with flow.database.write() as session:
        await end_all_sessions(session, user_id, actor="test", now=flow.clock.now)


async def _withdraw(flow: Flow, user_id: str) -> None:
    await withdraw(flow.database, user_id, "tv", now=flow.clock.now)


async def _disable_client(flow: Flow, _user_id: str) -> None:
    async with flow.database.write() as session:
        await set_disabled(session, "tv", disabled=True, actor="test", now=flow.clock.now)


async def _revoke_client(flow: Flow, _user_id: str) -> None:
    await revoke_client(flow.engine, "tv", actor="test", now=flow.clock.now)


FALLS = {
    "user disabled": _disable_user,
    "signed out": _sign_out,
    "consent withdrawn": _withdraw,
    "client disabled": _disable_client,
    "client revoked": _revoke_client,
}


@pytest.mark.parametrize("what", FALLS)
async def test_what_falls_between_yes_and_collection_gives_nothing(flow: Flow, what: str) -> None:
    begun = await begin(flow)
    await answered(flow, begun)
    [(_, user_id)] = await flow.events("device.answered")

    await FALLS[what](flow, user_id)

    assert (await poll(flow, begun)).status_code in (400, 401)


async def test_a_client_that_was_disabled_meanwhile_is_not_shown(flow: Flow) -> None:
    begun = await begin(flow)

    await _disable_client(flow, "")

    assert (await type_in(flow.browser(), begun["user_code"])).status_code == 422


async def test_one_address_cannot_fill_the_table(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kronborg.oauth.device.MOST", 3)
    for _ in range(3):
        await begin(flow)

    answer = await flow.call("/oauth/device_authorization", TV, scope="openid")

    assert answer.status_code == 429


async def test_a_household_with_many_addresses_is_one_caller(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kronborg.oauth.device.MOST", 3)
    answers = []
    for number in range(5):
        await flow.client(TV)
        flow.http._transport.client = (f"2001:db8::{number}", 1234)  # type: ignore[attr-defined]  # ASGI transport
        answers.append((await flow.call("/oauth/device_authorization", TV, scope="openid")).status_code)

    assert answers == [200] * 3 + [429] * 2


async def test_requests_are_forgotten_when_their_time_is_long_over(flow: Flow) -> None:
    await begin(flow)

    early = await clean(flow.engine, now=flow.clock.now)
    late = await clean(flow.engine, now=flow.clock.now.replace(year=flow.clock.now.year + 1))

    assert (early, late) == (0, 1)


async def test_neither_code_can_be_read_in_the_database(flow: Flow) -> None:
    begun = await begin(flow)

    rows = await flow.database.lookup.all("SELECT * FROM oauth_waiting")

    plain = begun["user_code"].replace("-", "")
    assert not any(secret in repr(row) for row in rows for secret in (begun["device_code"], plain, begun["user_code"]))
    assert await find_waiting(flow.database.lookup, begun["device_code"].encode(), "device") is None


async def test_the_address_comes_as_a_picture_too(flow: Flow) -> None:
    begun = await begin(flow)

    picture = await flow.http.get("/device/qr", params={"user_code": begun["user_code"]})
    nothing = await flow.http.get("/device/qr", params={"user_code": "x"})

    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert picture.text.startswith("<svg")
    assert nothing.status_code == 404


@pytest.mark.spec("RFC 8628 §4")
async def test_the_metadata_names_endpoint_and_grant(flow: Flow) -> None:
    metadata = (await flow.http.get("/.well-known/openid-configuration")).json()

    assert metadata["device_authorization_endpoint"] == f"{ISSUER}/oauth/device_authorization"
    assert GRANT in metadata["grant_types_supported"]
