"""Groups: names, roles, and what happens to members."""

from __future__ import annotations

from datetime import datetime

import pytest

from kronborg.accounts.groups import create_group, delete_group, update_group
from kronborg.accounts.store import find_group_by_name, find_user, list_groups
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound

pytestmark = pytest.mark.anyio


async def test_a_group_is_renamed_and_its_roles_are_set(database: Database, now: datetime) -> None:
    async with database.write() as session:
        group = await create_group(session, "guard", roles=("watch",), actor="test", now=now)
        await update_group(session, group.id, name="Night guard", roles=("b", "a", "a"), actor="test", now=now)
        found = await find_group_by_name(session, "NIGHT GUARD")

    assert found is not None
    assert (found.id, found.roles) == (group.id, ("a", "b"))


async def test_a_name_in_use_and_a_name_that_is_none_are_refused(database: Database, now: datetime) -> None:
    async with database.write() as session:
        await create_group(session, "guard", actor="test", now=now)

    for name, refusal in (("GUARD", Conflict), ("", Invalid), ("a\0", Invalid)):
        with pytest.raises(refusal):
            async with database.write() as session:
                await create_group(session, name, actor="test", now=now)


async def test_members_lose_a_deleted_group(database: Database, now: datetime) -> None:
    async with database.write() as session:
        one = await create_group(session, "one", actor="test", now=now)
        await create_group(session, "two", actor="test", now=now)
        user = await create_user(session, NewUser("hamlet", groups=("one", "two")), actor="test", now=now)

    async with database.write() as session:
        await delete_group(session, one.id, actor="test", now=now)
        left = await find_user(session, user.id)
        none = await update_user(session, user.id, UserChange(groups=()), actor="test", now=now)
        with pytest.raises(NotFound):
            await update_group(session, one.id, name="x", actor="test", now=now)
        groups = await list_groups(session)

    assert left is not None
    assert left.groups == ("two",)
    assert none.groups == ()
    assert [group.name for group in groups] == ["two"]
