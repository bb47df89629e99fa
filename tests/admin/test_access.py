"""Who may use the admin API, and how it says no (RFC 6750)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from admin.conftest import ISSUER, Admin
from kronborg.accounts.groups import create_group
from kronborg.accounts.store import find_by_login, roles_of
from kronborg.accounts.users import NewUser, create_user
from kronborg.app import compose
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.parts import Parts
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.tokens.codes import create_code
from kronborg.tokens.engine import open_engine
from kronborg.tokens.model import Authorization

pytestmark = pytest.mark.anyio

SCOPES = ("admin:read", "admin:write")


@pytest.mark.spec("RFC 6750 §3.1")
async def test_rfc6750_3_1__without_a_token_the_challenge_carries_no_error(admin: Admin) -> None:
    answer = await admin.http.get("/api/users")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].split(", DPoP ")[0] == f'Bearer realm="{ISSUER}/api"'
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


@pytest.mark.parametrize(
    ("roles", "read", "changed"),
    [
        ((), 403, 403),
        (("shopkeeper",), 403, 403),
        (("kronborg:auditor",), 200, 403),
        (("kronborg:support",), 200, 403),
        (("kronborg:admin",), 200, 204),
    ],
)
async def test_what_a_person_may_do_is_said_by_the_policies_besides_the_scope(
    admin: Admin, vault: Vault, roles: tuple[str, ...], read: int, changed: int
) -> None:
    headers = {"authorization": f"Bearer {await token_of_a_person(admin, vault, roles=roles)}"}
    async with admin.database.write() as session:
        victim = await create_user(session, NewUser("victim"), actor="test", now=clock.now())

    listed = await admin.http.get("/api/clients", headers=headers)
    planned = await admin.http.post(
        "/api/config/plan", headers={**headers, "content-type": "application/yaml"}, content="version: 1"
    )
    removed = await admin.http.delete(f"/api/users/{victim.id}", headers=headers)

    assert (listed.status_code, planned.status_code, removed.status_code) == (read, read, changed)


@pytest.mark.parametrize("role", ["kronborg:support", "kronborg:auditor"])
async def test_nobody_gives_themselves_a_role_through_the_api(admin: Admin, vault: Vault, role: str) -> None:
    headers = {"authorization": f"Bearer {await token_of_a_person(admin, vault, roles=(role,))}"}
    async with admin.database.read() as session:
        me = await find_by_login(session, "ophelia")
    assert me is not None

    answer = await admin.http.patch(f"/api/users/{me.id}", headers=headers, json={"roles": ["kronborg:admin"]})

    assert answer.status_code == 403
    async with admin.database.read() as session:
        assert await roles_of(session, me.id) == (role,)


@pytest.mark.parametrize("given", [{"roles": ["kronborg:admin"]}, {"groups": ["admins"]}])
async def test_who_may_write_people_gives_no_rights_by_any_way(
    admin: Admin, vault: Vault, tmp_path: Path, given: dict[str, list[str]]
) -> None:
    text = 'permit (principal in Role::"help-desk", action == Action::"users:write", resource);'
    (tmp_path / "help-desk.cedar").write_text(text, encoding="utf-8")
    now, parts = clock.now(), Parts(admin.database, vault, ISSUER)
    async with admin.database.write() as session:
        await create_group(session, "admins", roles=("kronborg:admin",), actor="test", now=now)
        victim = await create_user(session, NewUser("victim"), actor="test", now=now)
    engine = await open_engine(admin.database, vault, issuer=ISSUER, session_idle=parts.session_idle, now=now)
    app = compose(parts, engine, settings=Settings(policies=tmp_path))
    headers = {"authorization": f"Bearer {await token_of_a_person(admin, vault, roles=('help-desk',))}"}
    ways = (
        ("POST", "/api/users", {"username": "eve", **given}),
        ("PATCH", f"/api/users/{victim.id}", given),
        ("POST", "/api/users/import", {"users": [{"username": "eve", **given}]}),
        ("POST", "/api/invitations", {"email": "eve@evil.example", **given}),
    )

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ISSUER, trust_env=False) as http:
        plain = await http.post("/api/users", headers=headers, json={"username": "plain"})
        refused = [await http.request(method, path, headers=headers, json=body) for method, path, body in ways]

    assert plain.status_code == 201
    assert [answer.status_code for answer in refused] == [403] * len(ways)


async def token_of_a_person(admin: Admin, vault: Vault, *, roles: tuple[str, ...]) -> str:
    """What an app with administrative scopes gets for somebody with these roles who signed in to it."""
    now, audience = clock.now(), f"{ISSUER}/api"
    draft = ClientDraft("panel", "Panel", redirect_uris=("https://panel.example/",), grants=("authorization_code",))
    async with admin.database.write() as session:
        client = await save_client(session, replace(draft, scopes=SCOPES), actor="test", now=now)
        secret = await add_secret(session, vault, client.id, actor="test", now=now)
        person = await create_user(session, NewUser("ophelia", roles=roles), actor="test", now=now)
        origin, day = Origin("127.0.0.1", "test"), timedelta(days=1)
        begun = await begin_session(session, vault, person.id, amr=("pwd",), origin=origin, lifetime=day, now=now)
    engine = await open_engine(admin.database, vault, issuer=ISSUER, session_idle=day, now=now)
    allowed = Authorization(
        client.id, person.id, begun.session.id, SCOPES, (audience,), draft.redirect_uris[0], None, None, now
    )
    form = {"grant_type": "authorization_code", "redirect_uri": draft.redirect_uris[0]}
    form["code"] = await create_code(engine, allowed, now=now)
    answer = await admin.http.post("/oauth/token", data=form, auth=(client.id, secret.secret))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])
