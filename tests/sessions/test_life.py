"""Sessions: what a provider vouched for, what ends them, and that nothing of one is left."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from kronborg.accounts.users import NewUser, create_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.core.group_writer import Execute
from kronborg.sessions.life import Beginning, Begun, begin_in, end_in, end_sessions_told, purge_sessions, recognise
from kronborg.sessions.model import Origin
from kronborg.sessions.store import find_session, list_sessions

pytestmark = pytest.mark.anyio

IDLE, DAY = timedelta(hours=12), timedelta(days=1)


async def person(database: Database, name: str, now: datetime) -> str:
    async with database.write() as session:
        return (await create_user(session, NewUser(name), actor="test", now=now)).id


async def begun(database: Database, vault: Vault, beginning: Beginning, now: datetime) -> Begun:
    def unit(execute: Execute) -> Begun:
        return begin_in(execute, vault, beginning, now=now)

    return await database.writer.run(unit)


def at(user_id: str, *, by: str = "", told: str = "", continues: str | None = None) -> Beginning:
    agent = "Firefox\x00/140 " + "x" * 1000
    return Beginning(user_id, ("pwd",), Origin("192.0.2.1", agent), DAY, continues, by, told, new_device=True)


async def test_a_provider_ends_the_session_it_vouched_for_and_no_other(
    database: Database, vault: Vault, now: datetime
) -> None:
    hamlet, ophelia = await person(database, "hamlet", now), await person(database, "ophelia", now)
    theirs = await begun(database, vault, at(hamlet, by="provider:okta", told="sid-1"), now)
    others = [
        await begun(database, vault, at(hamlet), now),
        await begun(database, vault, at(hamlet, by="provider:okta", told="sid-2"), now),
        await begun(database, vault, at(ophelia, by="provider:corp", told="sid-1"), now),
    ]

    async with database.write() as session:
        ended = await end_sessions_told(session, "provider:okta", told="sid-1", now=now)
    async with database.write() as session:
        all_of_hamlet = await end_sessions_told(session, "provider:okta", user_id=hamlet, now=now)

    left = [await recognise(database, vault, one.secret, idle=IDLE, now=now) for one in (theirs, *others)]
    async with database.read() as session:
        events = [event for event in await latest(session) if event.name == "session.ended"]
    assert ended == [theirs.session.id]
    assert all_of_hamlet == [others[1].session.id]
    assert [one is not None for one in left] == [False, True, False, True]
    assert {event.actor for event in events} == {"provider:okta"}


async def test_a_session_says_who_vouched_for_it_where_it_began_and_whether_the_browser_is_new(
    database: Database, vault: Vault, now: datetime
) -> None:
    hamlet = await person(database, "hamlet", now)

    one = await begun(database, vault, at(hamlet, by="ldap:corp", told="t"), now)
    renewed = await begun(database, vault, at(hamlet, continues=one.session.id), now + timedelta(hours=1))

    async with database.read() as session:
        kept = await find_session(session, one.session.id)
        names = [(e.name, e.detail.get("new_device")) for e in await latest(session) if e.name.startswith("session")]
    assert (one.session.vouched_by, one.session.told) == ("ldap:corp", "t")
    assert renewed.session.id == one.session.id
    assert kept is not None
    assert (kept.vouched_by, kept.auth_time) == ("", now + timedelta(hours=1))
    assert len(kept.user_agent) == 300
    assert names == [("session.renewed", True), ("session.begun", True)]


async def test_idle_and_absolute_limits_end_a_session_and_last_use_moves_the_first(
    database: Database, vault: Vault, now: datetime
) -> None:
    hamlet = await person(database, "hamlet", now)
    one = await begun(database, vault, at(hamlet), now)
    idle = timedelta(hours=8)

    used = await recognise(database, vault, one.secret, idle=idle, now=now + timedelta(hours=7))
    still = await recognise(database, vault, one.secret, idle=idle, now=now + timedelta(hours=14))
    late = await recognise(database, vault, one.secret, idle=idle, now=now + timedelta(hours=25))

    async with database.read() as session:
        shown = await list_sessions(session, hamlet, now=now + timedelta(hours=14), idle=idle)
        over = await list_sessions(session, hamlet, now=now + timedelta(hours=25), idle=idle)
    async with database.write() as session:
        purged = await purge_sessions(session, idle=idle, now=now + timedelta(hours=25))
    assert [one is not None for one in (used, still, late)] == [True, True, False]
    assert [row.last_seen_at for row in shown] == [now + timedelta(hours=14)]
    assert (over, purged) == ([], 1)


async def test_only_ones_own_session_ends_in_a_unit(database: Database, vault: Vault, now: datetime) -> None:
    hamlet, ophelia = await person(database, "hamlet", now), await person(database, "ophelia", now)
    one = await begun(database, vault, at(hamlet), now)

    async def ends(owner: str) -> bool:
        return await database.writer.run(
            lambda execute: end_in(execute, one.session.id, user_id=owner, actor=owner, now=now)
        )

    answers = [await ends(owner) for owner in (ophelia, hamlet, hamlet)]

    assert answers == [False, True, False]
