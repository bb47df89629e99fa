"""Factors in the admin API and on the command line: looked at, and taken away."""

from __future__ import annotations

import pytest

from admin.conftest import Admin
from kronborg.accounts.users import NewUser, create_user
from kronborg.core import clock
from kronborg.factors.model import Factor
from kronborg.factors.store import insert_factor, list_factors, replace_recovery_codes

pytestmark = pytest.mark.anyio


async def with_factor(admin: Admin) -> str:
    now = clock.now()
    async with admin.database.write() as session:
        user = await create_user(session, NewUser("hamlet"), actor="test", now=now)
        await insert_factor(session, Factor("f1", user.id, "totp", "Phone", now, None), sealed="secret")
        await replace_recovery_codes(session, user.id, [b"one", b"two"], now=now)
    return user.id


async def test_factors_are_shown_without_their_secrets(admin: Admin) -> None:
    user_id = await with_factor(admin)

    answer = await admin.http.get(f"/api/users/{user_id}/factors", headers=admin.read)

    shown = answer.json()
    assert [(one["kind"], one["name"], one["last_used_at"]) for one in shown["factors"]] == [("totp", "Phone", None)]
    assert shown["recovery_codes_left"] == 2
    assert "secret" not in answer.text


async def test_factors_are_taken_away_by_who_may_write(admin: Admin) -> None:
    user_id = await with_factor(admin)

    refused = await admin.http.delete(f"/api/users/{user_id}/factors", headers=admin.read)
    done = await admin.http.delete(f"/api/users/{user_id}/factors", headers=admin.write)
    nobody = await admin.http.delete("/api/users/nobody/factors", headers=admin.write)

    assert (refused.status_code, done.status_code, nobody.status_code) == (403, 204, 404)
    async with admin.database.read() as session:
        assert not await list_factors(session, user_id)
