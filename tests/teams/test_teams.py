"""Teams: owners, members, apps, and who pays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kronborg.accounts.users import NewUser, create_user
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import save_client
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound
from kronborg.teams.model import MOST_TEAMS, Customer, Role, Team
from kronborg.teams.store import find_app, find_team, list_members, list_teams, teams_of
from kronborg.teams.teams import (
    adopt_app,
    change_team,
    create_team,
    release_app,
    remove_member,
    remove_team,
    set_role,
)

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)


async def person(database: Database, name: str) -> str:
    async with database.write() as session:
        return (await create_user(session, NewUser(name), actor="test", now=NOW)).id


async def made(database: Database, owner: str, name: str = "Castle") -> Team:
    async with database.write() as session:
        return await create_team(session, name, owner=owner, actor=owner, now=NOW)


async def test_who_makes_a_team_owns_it(database: Database) -> None:
    ada = await person(database, "ada")
    team = await made(database, ada, "  The   Castle ")

    async with database.read() as session:
        mine = await teams_of(session, ada)
        found = await list_teams(session, search="the c")

    assert mine == [(team, "owner")]
    assert [each.name for each in found] == ["The Castle"]


async def test_a_team_keeps_its_last_owner(database: Database) -> None:
    ada, bob = await person(database, "ada"), await person(database, "bob")
    team = await made(database, ada)

    async with database.write() as session:
        await set_role(session, team.id, bob, "developer", actor=ada, now=NOW)
        with pytest.raises(Conflict):
            await set_role(session, team.id, ada, "viewer", actor=ada, now=NOW)
        with pytest.raises(Conflict):
            await remove_member(session, team.id, ada, actor=ada, now=NOW)
        await set_role(session, team.id, bob, "owner", actor=ada, now=NOW)
        await remove_member(session, team.id, ada, actor=ada, now=NOW)

    async with database.read() as session:
        left: list[tuple[str, Role]] = [(one.user_id, one.role) for one in await list_members(session, team.id)]
    assert left == [(bob, "owner")]


async def test_teams_of_one_person_are_bounded(database: Database) -> None:
    ada = await person(database, "ada")
    for number in range(MOST_TEAMS):
        await made(database, ada, f"Team {number}")

    with pytest.raises(Conflict):
        await made(database, ada)


async def test_an_app_belongs_to_one_team_and_holds_it(database: Database) -> None:
    ada = await person(database, "ada")
    first, second = await made(database, ada), await made(database, ada, "Harbour")
    async with database.write() as session:
        await save_client(session, ClientDraft("app", "App", grants=("client_credentials",)), actor=ada, now=NOW)
        await adopt_app(session, first.id, "app", actor=ada, now=NOW)

    with pytest.raises(Conflict):
        async with database.write() as session:
            await adopt_app(session, second.id, "app", actor=ada, now=NOW)
    with pytest.raises(Conflict):
        async with database.write() as session:
            await remove_team(session, first.id, actor=ada, now=NOW)
    async with database.write() as session:
        await release_app(session, "app", actor=ada, now=NOW)
        await remove_team(session, first.id, actor=ada, now=NOW)

    async with database.read() as session:
        assert await find_app(session, "app") is None
        assert await find_team(session, first.id) is None


async def test_who_pays_is_checked(database: Database) -> None:
    team = await made(database, await person(database, "ada"))
    wrong = Customer("x" * 200, ("a\x00",), "Denmark", "!", "nobody")

    async with database.write() as session:
        with pytest.raises(Invalid) as refused:
            await change_team(session, team.id, customer=wrong, actor="ada", now=NOW)
        after = await change_team(
            session, team.id, customer=Customer("Castle ApS", ("Slot 1",), "DK", "DK 12345678"), actor="ada", now=NOW
        )

    assert [one.where for one in refused.value.problems] == ["name", "address", "country", "tax_id", "email"]
    assert after.customer.name == "Castle ApS"


async def test_a_suspended_team_adopts_nothing(database: Database) -> None:
    team = await made(database, await person(database, "ada"))

    async with database.write() as session:
        await change_team(session, team.id, suspended=True, actor="op", now=NOW)
        with pytest.raises(Conflict):
            await adopt_app(session, team.id, "app", actor="ada", now=NOW)
        with pytest.raises(NotFound):
            await change_team(session, "nobody", name="x", actor="op", now=NOW)
