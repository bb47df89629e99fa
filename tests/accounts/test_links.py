"""Single-use links on each database: hashed, bound to a purpose, spent once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from kronborg.accounts.links import find_link, make_link, purge_links, spend_link, void_links
from kronborg.accounts.links_store import list_link_rows
from kronborg.accounts.users import NewUser, create_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database

pytestmark = pytest.mark.anyio


async def made(database: Database, vault: Vault, now: datetime) -> tuple[str, str]:
    async with database.write() as session:
        user = await create_user(session, NewUser("hamlet", "h@kronborg.example"), actor="test", now=now)
        return user.id, await make_link(session, vault, "reset", user.id, {"email": "h@kronborg.example"}, now=now)


async def test_of_many_who_spend_a_link_at_once_one_gets_it(database: Database, vault: Vault, now: datetime) -> None:
    _, token = await made(database, vault, now)

    async def spend() -> bool:
        async with database.write() as session:
            return await spend_link(session, vault, "reset", token, now=now) is not None

    assert sum(await asyncio.gather(*(spend() for _ in range(8)))) == 1


async def test_neither_token_nor_what_it_holds_can_be_read_from_the_row(
    database: Database, vault: Vault, now: datetime
) -> None:
    user_id, token = await made(database, vault, now)

    async with database.read() as session:
        [row] = await list_link_rows(session, user_id, now=now)

    assert len(token) == 43
    assert token.encode() not in row.digest
    assert token not in row.held
    assert "kronborg.example" not in row.held


async def test_purpose_time_and_looking(database: Database, vault: Vault, now: datetime) -> None:
    _, token = await made(database, vault, now)

    async with database.write() as session:
        other = await spend_link(session, vault, "lockdown", token, now=now)
        late = await spend_link(session, vault, "reset", token, now=now + timedelta(hours=1))
        seen = [await find_link(session, vault, "reset", token, now=now) for _ in range(2)]
        spent = await spend_link(session, vault, "reset", token, now=now)
        after = await find_link(session, vault, "reset", token, now=now)

    assert (other, late, after) == (None, None, None)
    assert None not in seen
    assert spent is not None
    assert spent.text("email") == "h@kronborg.example"


async def test_links_are_voided_by_purpose_and_forgotten_in_time(
    database: Database, vault: Vault, now: datetime
) -> None:
    user_id, reset = await made(database, vault, now)

    async with database.write() as session:
        brake = await make_link(session, vault, "lockdown", user_id, {}, now=now)
        await void_links(session, user_id, "reset", "verify")
        left = [await find_link(session, vault, "reset", reset, now=now)]
        left.append(await find_link(session, vault, "lockdown", brake, now=now))
        forgotten = [await purge_links(session, now=now + timedelta(days=day)) for day in (1, 4)]

    assert left[0] is None
    assert left[1] is not None
    assert forgotten == [0, 1]
