"""Users: how names are told apart, what is refused, what is found."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.accounts.groups import create_group, delete_group
from kronborg.accounts.model import User, clean, folded
from kronborg.accounts.store import find_by_login, find_user, list_users, roles_of
from kronborg.accounts.users import NewUser, UserChange, create_user, delete_user, disable_user, update_user
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound
from kronborg.core.events import latest

pytestmark = pytest.mark.anyio


async def add(database: Database, new: NewUser, now: datetime) -> User:
    async with database.write() as session:
        return await create_user(session, new, actor="test", now=now)


async def test_a_user_is_found_by_id_username_and_email_in_any_case_and_composition(
    database: Database, now: datetime
) -> None:
    user = await add(database, NewUser("Zoë", "Zoë@Kronborg.example", "Zoë"), now)

    async with database.read() as session:
        found = [
            await find_user(session, user.id),
            await find_by_login(session, "ZOE\u0308"),
            await find_by_login(session, " zoë "),
            await find_by_login(session, "zoë@KRONBORG.example"),
        ]

    assert found == [user] * 4


@pytest.mark.parametrize("login", ["nobody", "", "a\0b", "a@b", "%", "'; --", "\ud7ff" * 5000])
async def test_looking_for_what_is_not_there_finds_nothing(database: Database, now: datetime, login: str) -> None:
    await add(database, NewUser("hamlet", "hamlet@kronborg.example"), now)

    async with database.read() as session:
        found = await find_by_login(session, login)

    assert found is None


@pytest.mark.parametrize(
    "second",
    [NewUser("HAMLET"), NewUser("hamlet "), NewUser("other", "Hamlet@Kronborg.Example")],
    ids=["case", "space", "email"],
)
async def test_a_name_in_use_is_refused(database: Database, now: datetime, second: NewUser) -> None:
    await add(database, NewUser("hamlet", "hamlet@kronborg.example"), now)

    with pytest.raises(Conflict):
        await add(database, second, now)


async def test_of_racing_writers_one_gets_the_name(database: Database, now: datetime) -> None:
    tries = [add(database, NewUser("hamlet", f"h{n}@kronborg.example"), now) for n in range(6)]

    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 5


async def test_everything_wrong_is_told_at_once(database: Database, now: datetime) -> None:
    wrong = NewUser("no spaces", "no-at-sign", "\u202etxt.exe", roles=("a b",), groups=("nowhere",))

    with pytest.raises(Invalid) as refusal:
        await add(database, wrong, now)

    assert {p.where for p in refusal.value.problems} == {"username", "email", "name", "roles", "groups"}


@pytest.mark.parametrize("username", ["", ".", "a@b", "a b", "a\tb", "a\0", "x" * 65, "a/b", "\u202eabc"])
async def test_usernames_that_are_none_are_refused(database: Database, now: datetime, username: str) -> None:
    with pytest.raises(Invalid):
        await add(database, NewUser(username), now)


async def test_roles_are_those_of_the_user_and_of_the_groups(database: Database, now: datetime) -> None:
    async with database.write() as session:
        guard = await create_group(session, "Guard", roles=("watch", "shared"), actor="test", now=now)
        new = NewUser("bernardo", roles=("shared", "own"), groups=("guard",))
        user = await create_user(session, new, actor="test", now=now)

    async with database.write() as session:
        before = await roles_of(session, user.id)
        await delete_group(session, guard.id, actor="test", now=now)
        after = await roles_of(session, user.id)

    assert user.groups == ("Guard",)
    assert before == ("own", "shared", "watch")
    assert after == ("own", "shared")


async def test_a_change_that_changes_nothing_leaves_no_trace(database: Database, now: datetime) -> None:
    user = await add(database, NewUser("hamlet", name="Hamlet"), now)

    async with database.write() as session:
        same = await update_user(
            session, user.id, UserChange(name=" Hamlet"), actor="test", now=now + timedelta(days=1)
        )
        events = [event.name for event in await latest(session)]

    assert same == user
    assert events == ["user.created"]


async def test_disabling_and_deleting_are_events(database: Database, now: datetime) -> None:
    user = await add(database, NewUser("hamlet", "hamlet@kronborg.example"), now)

    async with database.write() as session:
        disabled = await disable_user(session, user.id, actor="admin", now=now)
        await delete_user(session, user.id, actor="admin", now=now)
        events = [event.name for event in await latest(session)]
        with pytest.raises(NotFound):
            await delete_user(session, user.id, actor="admin", now=now)

    assert disabled.disabled
    assert events == ["user.deleted", "user.disabled", "user.updated", "user.created"]


async def test_an_email_can_be_taken_away(database: Database, now: datetime) -> None:
    user = await add(database, NewUser("hamlet", "hamlet@kronborg.example"), now)

    async with database.write() as session:
        changed = await update_user(session, user.id, UserChange(email=""), actor="test", now=now)
        found = await find_by_login(session, "hamlet@kronborg.example")

    assert changed.email is None
    assert found is None


async def test_the_list_is_paged_in_order_and_searched_by_prefix_without_wildcards(
    database: Database, now: datetime
) -> None:
    names = [f"user{n:02}" for n in range(7)] + ["100percent", "1_0"]
    for name in names:
        await add(database, NewUser(name), now)

    async with database.read() as session:
        first = await list_users(session, limit=4)
        rest = await list_users(session, after=first[-1].id, limit=1000)
        users = await list_users(session, search="USER")
        wild = [await list_users(session, search=pattern) for pattern in ("%", "1%", "__", "1_0", "\0")]

    assert len(first) == 4
    assert sorted(u.username for u in (*first, *rest)) == sorted(names)
    assert [u.username for u in users] == [f"user{n:02}" for n in range(7)]
    assert [[u.username for u in found] for found in wild] == [[], [], [], ["1_0"], []]


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert folded(clean(text)) == folded(text)
