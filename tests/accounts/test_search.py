"""The search for people: by username, address and name, page after page."""

from __future__ import annotations

from datetime import datetime

import pytest

from kronborg.accounts.store import list_users
from kronborg.accounts.users import NewUser, create_user
from kronborg.core.db import Database

pytestmark = pytest.mark.anyio

PEOPLE = (
    ("anna", "zoe@kronborg.example", "Ursula"),
    ("annika", None, "Anna Hansen"),
    ("bo", "anna@kronborg.example", "Anna Berg"),
    ("carl", "carl@kronborg.example", "ANNA Ågård"),
    ("dora", "dora@kronborg.example", "Anna Berg"),
    ("ægir", "annx@kronborg.example", ""),
)


async def _made(database: Database, now: datetime) -> None:
    async with database.write() as session:
        for username, email, name in PEOPLE:
            await create_user(session, NewUser(username, email, name), actor="test", now=now)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_everybody_is_found_once_page_by_page(database: Database, now: datetime, size: int) -> None:
    await _made(database, now)

    found: list[str] = []
    after = None
    async with database.read() as session:
        while page := await list_users(session, search="ANN", after=after, limit=size):
            found += [user.username for user in page]
            after = page[-1].id

    # By username first, then by address, then by name (and among equal names, who came first).
    assert found == ["anna", "annika", "bo", "ægir", "dora", "carl"]


async def test_signs_of_patterns_mean_themselves(database: Database, now: datetime) -> None:
    await _made(database, now)

    async with database.read() as session:
        for search in ("%", "_nna", "ann*", "\\", "\0", "anna hansen x"):
            assert await list_users(session, search=search) == []
        everyone = await list_users(session, search=" ")
        nobody = await list_users(session, after="no-such-id")

    assert len(everyone) == len(PEOPLE)
    assert nobody == []
