"""Initial access tokens in the admin API: made, used at the registration endpoint, revoked."""

from __future__ import annotations

import pytest

from admin.conftest import Admin

pytestmark = pytest.mark.anyio

PATH = "/api/registration-tokens"
APP = {"client_name": "My app", "redirect_uris": ["https://my.example/callback"]}


async def test_a_token_is_shown_once_lets_clients_in_and_is_revoked(admin: Admin) -> None:
    wanted = {"name": "pipeline", "max_uses": 2, "lifetime": "2h", "policy": {"scopes": ["openid"], "unused": "7d"}}
    made = await admin.http.post(PATH, json=wanted, headers=admin.write)
    token = made.json()["token"]
    bearer = {"authorization": f"Bearer {token}"}
    first = await admin.http.post("/oauth/register", json=APP, headers=bearer)
    listed = await admin.http.get(PATH, headers=admin.read)
    gone = await admin.http.delete(f"{PATH}/{made.json()['id']}", headers=admin.write)
    missing = await admin.http.delete(f"{PATH}/{made.json()['id']}", headers=admin.write)
    second = await admin.http.post("/oauth/register", json=APP, headers=bearer)
    client = await admin.http.get(f"/api/clients/{first.json()['client_id']}", headers=admin.read)

    assert [a.status_code for a in (made, first, listed, gone, missing, second)] == [201, 201, 200, 204, 404, 401]
    [shown] = listed.json()["items"]
    assert (shown["uses"], shown["max_uses"], shown["policy"]["unused"]) == (1, 2, "7d")
    assert token not in listed.text
    assert first.json()["scope"] == "openid"
    assert client.json()["settings"]["unverified"] is True
    events = await admin.http.get("/api/events", headers=admin.read)
    assert {"registration_token.created", "registration_token.revoked"} <= {e["name"] for e in events.json()["items"]}
    assert token not in events.text


async def test_only_who_may_change_makes_tokens(admin: Admin) -> None:
    wanted = {"name": "pipeline"}

    viewer = await admin.http.post(PATH, json=wanted, headers=admin.read)
    nobody = await admin.http.post(PATH, json=wanted)

    assert (viewer.status_code, nobody.status_code) == (403, 401)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x", "max_uses": 0},
        {"name": "x", "lifetime": "5000d"},
        {"name": "x", "policy": {"grants": ["magic"]}},
        {"name": "x", "policy": {"unused": "1s"}},
        {"name": "x", "policy": {"nothing": 1}},
    ],
)
async def test_a_token_that_cannot_be_is_a_problem(admin: Admin, wrong: dict[str, object]) -> None:
    refused = await admin.http.post(PATH, json=wrong, headers=admin.write)

    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
