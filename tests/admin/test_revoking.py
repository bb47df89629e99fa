"""Taking tokens back by the admin API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from admin.conftest import Admin
from kronborg.accounts.users import NewUser, create_user
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.tokens import store
from kronborg.tokens.model import Grant

pytestmark = pytest.mark.anyio


async def signed_in(admin: Admin, vault: Vault) -> tuple[str, str]:
    """A user and a session of theirs, in which two grants were given, one for offline access."""
    now = clock.now()
    async with admin.database.write() as session:
        user = await create_user(session, NewUser("ada", name="Ada"), actor="test", now=now)
        origin, day = Origin("203.0.113.7", "test"), timedelta(days=1)
        begun = await begin_session(session, vault, user.id, amr=("pwd",), origin=origin, lifetime=day, now=now)
    for grant_id, scopes in (("g1", ("openid",)), ("g2", ("openid", "offline_access"))):
        grant = Grant(grant_id, "operator", user.id, begun.session.id, scopes, (), now, ("pwd",), now, now + day, None)
        await admin.database.writer.run(lambda execute, grant=grant: store.add_grant(execute, grant))  # type: ignore[misc]
    return user.id, begun.session.id


async def standing(admin: Admin) -> list[str]:
    rows = await admin.database.lookup.all("SELECT id FROM tokens_grants WHERE revoked_at IS NULL ORDER BY id")
    return [str(row[0]) for row in rows]


async def feed(admin: Admin) -> list[tuple[str, str]]:
    answer = await admin.http.get("/api/revocations", headers=admin.read)
    return [(entry["kind"], entry["subject"]) for entry in answer.json()["entries"]]


async def test_one_grant(admin: Admin, vault: Vault) -> None:
    await signed_in(admin, vault)

    answer = await admin.http.post("/api/tokens/revoke", json={"grant": "g1"}, headers=admin.write)

    assert answer.json() == {"kind": "grant", "grants": 1}
    assert await standing(admin) == ["g2"]
    assert await feed(admin) == [("grant", "g1")]


async def test_a_session_ends_with_all_that_was_granted_in_it(admin: Admin, vault: Vault) -> None:
    _, session_id = await signed_in(admin, vault)

    answer = await admin.http.post("/api/tokens/revoke", json={"session": session_id}, headers=admin.write)

    assert answer.json() == {"kind": "session", "grants": 2}
    assert await standing(admin) == []
    assert await admin.database.lookup.all("SELECT id FROM signin_sessions") == []
    assert await feed(admin) == [("session", session_id)]


@pytest.mark.parametrize("kind", ["user", "client"])
async def test_everything_of_a_user_or_a_client(admin: Admin, vault: Vault, kind: str) -> None:
    user_id, _ = await signed_in(admin, vault)
    subject = {"user": user_id, "client": "operator"}[kind]

    answer = await admin.http.post("/api/tokens/revoke", json={kind: subject}, headers=admin.write)

    assert answer.json() == {"kind": kind, "grants": 2}
    assert await standing(admin) == []
    rows = await admin.database.lookup.all("SELECT kind, subject FROM tokens_feed ORDER BY seq")
    # A user's grants are told one by one too: the tokens of a pairwise client do not say the user id.
    assert rows == [(kind, subject), *((("grant", "g1"), ("grant", "g2")) if kind == "user" else ())]


async def test_one_token_by_its_text(admin: Admin) -> None:
    token = admin.read["authorization"].removeprefix("Bearer ")

    answer = await admin.http.post("/api/tokens/revoke", json={"token": token}, headers=admin.write)

    assert answer.json() == {"kind": "token", "grants": 0}
    assert (await admin.http.get("/api/keys", headers=admin.read)).status_code == 401


async def test_what_is_not_there_is_not_found(admin: Admin) -> None:
    for kind in ("token", "grant", "session", "client", "user"):
        answer = await admin.http.post("/api/tokens/revoke", json={kind: "nothing"}, headers=admin.write)

        assert answer.status_code == 404, kind


@pytest.mark.parametrize("body", [{}, {"grant": "a", "user": "b"}, {"grant": None}, {"jti": "a"}])
async def test_exactly_one_is_named(admin: Admin, body: dict[str, str]) -> None:
    answer = await admin.http.post("/api/tokens/revoke", json=body, headers=admin.write)

    assert answer.status_code == 422


async def test_who_may_only_look_may_not_revoke(admin: Admin) -> None:
    answer = await admin.http.post("/api/tokens/revoke", json={"client": "operator"}, headers=admin.read)

    assert answer.status_code == 403
