"""The password grant: opted in, through the throttle of the sign-in page, and never for more than the page would do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from kronborg.clients.model import ClientDraft
from kronborg.clients.settings import ClientSettings
from kronborg.core.errors import Invalid
from kronborg.sessions.life import end_all_sessions
from oauth.flow import WEB, Flow
from people_site import PASSWORD
from token_site import claims_of

pytestmark = pytest.mark.anyio

OLD = ClientDraft(
    "old",
    "Old till",
    grants=("password", "refresh_token"),
    scopes=("openid", "profile", "offline_access", "catalogue:read", "cart:read"),
)


async def knock(flow: Flow, password: str = PASSWORD, client: ClientDraft = OLD, **form: str) -> httpx.Response:
    if client.id not in flow.secrets:
        await flow.client(client)
    usual = {"grant_type": "password", "username": "ada", "password": password, "scope": "openid catalogue:read"}
    return await flow.token(client, **{**usual, **form})


def error_of(response: httpx.Response) -> tuple[int, Any]:
    return response.status_code, response.json().get("error")


@pytest.mark.spec("RFC 6749 §4.3.3")
async def test_a_name_and_a_password_give_tokens_bound_to_a_session(flow: Flow) -> None:
    body = (await knock(flow)).json()

    identity = claims_of(body["id_token"])
    assert (identity["amr"], identity["aud"]) == (["pwd"], "old")
    assert (await flow.introspect(body["access_token"]))["sid"] == identity["sid"]
    assert (await flow.refresh(body["refresh_token"], OLD)).status_code == 200


async def test_ending_the_session_ends_the_tokens(flow: Flow) -> None:
    body = (await knock(flow)).json()
    async with flow.database.write() as session:
        await end_all_sessions(session, str(claims_of(body["id_token"])["sub"]), actor="test", now=flow.clock.now)

    assert await flow.introspect(body["access_token"]) == {"active": False}
    assert error_of(await flow.refresh(body["refresh_token"], OLD)) == (400, "invalid_grant")


@pytest.mark.spec("RFC 6749 §5.2")
async def test_unknown_wrong_and_disabled_are_one_answer(flow: Flow) -> None:
    await flow.person("grace", disabled=True)

    answers = [
        await knock(flow, "not the password at all"),
        await knock(flow, username="nobody"),
        await knock(flow, username="grace"),
        await knock(flow, "x" * 5000),
    ]

    assert {error_of(answer) for answer in answers} == {(400, "invalid_grant")}
    assert len({answer.text for answer in answers}) == 1
    assert len(await flow.events("signin.refused")) == 4


@pytest.mark.spec("RFC 6749 §4.3.2")
async def test_guessing_waits_here_as_on_the_page(flow: Flow) -> None:
    statuses = [(await knock(flow, "not the password at all")).status_code for _ in range(7)]

    right = await knock(flow)
    page = await flow.browser().get("/signin")
    on_page = await flow.browser().sign_in(page)

    assert statuses[:5] == [400] * 5
    assert (statuses[-1], right.status_code) == (429, 429)
    assert "retry-after" in right.headers
    assert on_page.status_code in (403, 429)


@pytest.mark.spec("RFC 9700 §2.4")
async def test_only_clients_that_opted_in(flow: Flow) -> None:
    answer = await flow.token(WEB, grant_type="password", username="ada", password=PASSWORD)

    with pytest.raises(Invalid):
        await flow.client(replace(OLD, settings=ClientSettings(profile="oauth21")))

    assert error_of(answer) == (400, "unauthorized_client")


async def test_a_confidential_client_proves_itself_first(flow: Flow) -> None:
    await flow.client(OLD)

    answer = await flow.http.post(
        "/oauth/token", data={"client_id": "old", "grant_type": "password", "username": "ada", "password": PASSWORD}
    )

    assert error_of(answer) == (401, "invalid_client")
    assert await flow.events("session.begun") == []


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"username": ""}, "invalid_request"),
        ({"password": ""}, "invalid_request"),
        ({"scope": "catalogue:write"}, "invalid_scope"),
        ({"scope": "catalogue:read cart:read"}, "invalid_target"),
        ({"resource": "https://elsewhere.example/"}, "invalid_target"),
    ],
    ids=str,
)
async def test_a_request_that_is_not_right_begins_no_session(flow: Flow, form: dict[str, str], error: str) -> None:
    others = {name: value for name, value in form.items() if name != "password"}

    answer = await knock(flow, form.get("password", PASSWORD), OLD, **others)

    assert error_of(answer) == (400, error)
    assert await flow.events("session.begun") == []
