"""Who may use the admin API, and how it says no (RFC 6750)."""

from __future__ import annotations

import pytest

from admin.conftest import ISSUER, Admin
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.core import clock
from kronborg.core.crypto import Vault

pytestmark = pytest.mark.anyio


@pytest.mark.spec("RFC 6750 §3.1")
async def test_rfc6750_3_1__without_a_token_the_challenge_carries_no_error(admin: Admin) -> None:
    answer = await admin.http.get("/api/users")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer realm="{ISSUER}/api"'
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.spec("RFC 6750 §3.1")
@pytest.mark.parametrize("token", ["x", "kro_at_" + "a" * 49, "eyJhbGciOiJub25lIn0.e30."])
async def test_rfc6750_3_1__a_token_that_is_not_valid_is_invalid_token(admin: Admin, token: str) -> None:
    answer = await admin.http.get("/api/users", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.spec("RFC 6750 §3.1")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/users"),
        ("PATCH", "/api/users/x"),
        ("DELETE", "/api/clients/x"),
        ("PUT", "/api/routes/x"),
        ("POST", "/api/keys/rotate"),
        ("POST", "/api/config/apply"),
        ("POST", "/api/no/such/path"),
    ],
)
async def test_rfc6750_3_1__reading_rights_change_nothing(admin: Admin, method: str, path: str) -> None:
    answer = await admin.http.request(method, path, headers=admin.read, json={})

    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert 'scope="admin:write"' in answer.headers["www-authenticate"]


async def test_reading_rights_may_read_and_plan(admin: Admin) -> None:
    listed = await admin.http.get("/api/clients", headers=admin.read)
    planned = await admin.http.post(
        "/api/config/plan", headers={**admin.read, "content-type": "application/yaml"}, content="version: 1"
    )

    assert (listed.status_code, planned.status_code) == (200, 200)


@pytest.mark.spec("RFC 9068 §4")
async def test_rfc9068_4__a_token_for_another_audience_opens_nothing(admin: Admin, vault: Vault) -> None:
    body = {"audience": "https://other.example/x", "name": "Other", "scopes": [{"name": "other:read"}]}
    await admin.http.post("/api/apis", headers=admin.write, json=body)
    draft = ClientDraft("other", "Other", grants=("client_credentials",), scopes=("other:read",))
    async with admin.database.write() as session:
        await save_client(session, draft, actor="test", now=clock.now())
        secret = await add_secret(session, vault, "other", actor="test", now=clock.now())
    form = {"grant_type": "client_credentials", "resource": "https://other.example/x"}
    token = (await admin.http.post("/oauth/token", data=form, auth=("other", secret.secret))).json()["access_token"]

    answer = await admin.http.get("/api/users", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 401


@pytest.mark.spec("RFC 6750 §2")
async def test_rfc6750_2__two_tokens_or_one_in_the_query_are_refused(admin: Admin) -> None:
    token = admin.read["authorization"].split(" ")[1]
    headers = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]

    twice = await admin.http.get("/api/users", headers=headers)
    in_query = await admin.http.get(f"/api/users?access_token={token}")

    assert (twice.status_code, in_query.status_code) == (400, 401)


async def test_the_description_is_open_and_complete(admin: Admin) -> None:
    answer = await admin.http.get("/api/openapi.json")

    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert {"/users", "/clients", "/apis", "/routes", "/services", "/keys", "/events", "/config/plan"} <= set(
        document["paths"]
    )
    assert all("security" in operation for path in document["paths"].values() for operation in path.values())
