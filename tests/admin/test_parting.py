"""A directory or provider is removed: what becomes of the accounts that came from it."""

from __future__ import annotations

from typing import Any

import pytest

from admin.conftest import Admin
from kronborg.accounts.store import find_by_login
from kronborg.accounts.users import NewUser, create_user
from kronborg.core import clock

pytestmark = pytest.mark.anyio

PROVIDER = {"kind": "oidc", "name": "Okta", "settings": {"issuer": "https://okta.example", "client_id": "kronborg"}}
DIRECTORY = {"name": "Corp", "servers": ["ldaps://ldap.corp.example"], "base": "dc=corp,dc=example"}
SOURCES = [("/providers/corp", PROVIDER, "provider"), ("/directories/corp", DIRECTORY, "ldap")]


async def send(admin: Admin, method: str, path: str, body: object = None) -> Any:
    answer = await admin.http.request(method, f"/api{path}", json=body, headers=admin.write)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


async def person(admin: Admin, username: str, managed_by: str, *, disabled: bool = False) -> str:
    new = NewUser(username, f"{username}@corp.example", managed_by=managed_by, disabled=disabled)
    async with admin.database.write() as session:
        return (await create_user(session, new, actor="test", now=clock.now())).id


async def state(admin: Admin, username: str) -> tuple[str, bool]:
    async with admin.database.read() as session:
        user = await find_by_login(session, username)
    assert user is not None
    return user.managed_by, user.disabled


async def told(admin: Admin, name: str, subject: str) -> list[Any]:
    answer = await admin.http.get("/api/events", params={"name": name, "limit": 50}, headers=admin.read)
    return [one["detail"] for one in answer.json()["items"] if one["subject"] == subject]


@pytest.mark.parametrize(("path", "body", "kind"), SOURCES)
async def test_accounts_are_released_and_their_own_fields_are_free(
    admin: Admin, path: str, body: object, kind: str
) -> None:
    await send(admin, "PUT", path, body)
    hamlet = await person(admin, "hamlet", f"{kind}:corp")
    await person(admin, "ophelia", f"{kind}:other")

    await send(admin, "DELETE", path)

    assert await state(admin, "hamlet") == ("", False)
    assert await state(admin, "ophelia") == (f"{kind}:other", False)
    assert (await send(admin, "PATCH", f"/users/{hamlet}", {"name": "Hamlet"}))["name"] == "Hamlet"
    name = "provider.removed" if kind == "provider" else "directory.removed"
    assert await told(admin, name, "corp") == [{"accounts": "release", "count": 1}]
    assert {"changed": {"managed_by": [f"{kind}:corp", ""]}} in await told(admin, "user.updated", hamlet)


@pytest.mark.parametrize(("path", "body", "kind"), SOURCES)
async def test_accounts_are_disabled_and_told_so_one_by_one(admin: Admin, path: str, body: object, kind: str) -> None:
    await send(admin, "PUT", path, body)
    hamlet = await person(admin, "hamlet", f"{kind}:corp")
    yorick = await person(admin, "yorick", f"{kind}:corp", disabled=True)

    await send(admin, "DELETE", f"{path}?accounts=disable")

    assert [await state(admin, name) for name in ("hamlet", "yorick")] == [("", True)] * 2
    # The worker ends the sessions and tokens of those whom it hears of.
    assert len(await told(admin, "user.disabled", hamlet)) == 1
    assert await told(admin, "user.disabled", yorick) == []


@pytest.mark.parametrize(("path", "body", "kind"), SOURCES)
async def test_accounts_are_kept_for_a_source_that_is_made_again(
    admin: Admin, path: str, body: object, kind: str
) -> None:
    await send(admin, "PUT", path, body)
    hamlet = await person(admin, "hamlet", f"{kind}:corp")

    await send(admin, "DELETE", f"{path}?accounts=keep")
    locked = await admin.http.patch(f"/api/users/{hamlet}", json={"name": "X"}, headers=admin.write)

    assert await state(admin, "hamlet") == (f"{kind}:corp", False)
    assert locked.status_code == 422


async def test_nothing_else_can_be_chosen(admin: Admin) -> None:
    await send(admin, "PUT", "/providers/corp", PROVIDER)

    answer = await admin.http.delete("/api/providers/corp?accounts=delete", headers=admin.write)

    assert answer.status_code == 422
    assert (await send(admin, "GET", "/providers/corp"))["key"] == "corp"
