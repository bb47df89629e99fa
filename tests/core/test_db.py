"""Sessions, the group writer and the schema, on both databases."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from kronborg.core import events
from kronborg.core.db import Database, from_micros, metadata, to_micros
from kronborg.core.errors import Overloaded, Refusal
from kronborg.core.group_writer import Execute
from kronborg.core.migrate import migrate, sync_url
from kronborg.core.sqlite import connect_sqlite

pytestmark = pytest.mark.anyio


async def count(database: Database) -> object:
    row = await database.lookup.first("SELECT count(*) FROM core_events")
    assert row is not None
    return row[0]


async def test_a_write_stands_after_the_block(database: Database, now: datetime) -> None:
    async with database.write() as session:
        await events.record(session, "user.created", actor="cli", subject="u1", now=now, detail={"title": "Ada"})

    async with database.read() as session:
        [event] = await events.latest(session)
    assert (event.name, event.subject, event.at, event.detail) == ("user.created", "u1", now, {"title": "Ada"})


async def test_a_refusal_commits_and_a_bug_rolls_back(database: Database, now: datetime) -> None:
    for error in (Refusal("no"), RuntimeError("bug")):
        with pytest.raises(type(error)):  # noqa: PT012  # the block is what is tested
            async with database.write() as session:
                await events.record(session, "tried", actor="a", subject="s", now=now)
                raise error

    assert await count(database) == 1


async def test_one_bad_unit_does_not_touch_the_others_of_its_batch(database: Database, now: datetime) -> None:
    def good(execute: Execute) -> str:
        events.record_in(execute, "good", actor="a", subject="s", now=now)
        return "done"

    def refused(execute: Execute) -> None:
        events.record_in(execute, "refused", actor="a", subject="s", now=now)
        raise Refusal("no")

    def bug(execute: Execute) -> None:
        events.record_in(execute, "bug", actor="a", subject="s", now=now)
        execute("INSERT INTO no_such_table VALUES (?)", (1,))

    results = await asyncio.gather(
        *(database.writer.run(unit) for unit in (good, bug, refused, good)), return_exceptions=True
    )

    assert results[0] == results[3] == "done"
    assert isinstance(results[2], Refusal)
    assert isinstance(results[1], Exception)
    assert not isinstance(results[1], Refusal)
    assert await count(database) == 3


async def test_of_racing_units_one_wins(database: Database, now: datetime) -> None:
    await database.writer.run(lambda execute: execute("INSERT INTO core_person_keys VALUES ('p', '', 0)"))

    def redeem(execute: Execute) -> bool:
        taken = "UPDATE core_person_keys SET sealed = 'taken' WHERE sealed = '' RETURNING person"
        return bool(execute(taken))

    won = await asyncio.gather(*(database.writer.run(redeem) for _ in range(300)))

    assert sum(won) == 1


async def test_group_writer_and_sessions_share_the_lock(database: Database, now: datetime) -> None:
    def unit(execute: Execute) -> None:
        events.record_in(execute, "hot", actor="a", subject="s", now=now)

    async def cold() -> None:
        async with database.write() as session:
            await events.record(session, "cold", actor="a", subject="s", now=now)
            await asyncio.sleep(0)

    await asyncio.gather(*(database.writer.run(unit) for _ in range(50)), *(cold() for _ in range(10)))

    assert await count(database) == 60


def test_the_migrations_make_what_the_stores_declare(database_url: str) -> None:
    import kronborg.tables  # noqa: F401  # registers every table

    engine = create_engine(sync_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        difference = compare_metadata(context, metadata)
    engine.dispose()

    assert difference == []


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    migrate(database_url)


def test_time_survives_the_round_trip(now: datetime) -> None:
    assert from_micros(to_micros(now)) == now


async def test_an_error_of_the_database_tells_no_values(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught:
        async with database.write() as session:
            await session.execute(text("INSERT INTO no_such_table VALUES (:value)").bindparams(value="a-secret"))

    assert "a-secret" not in str(caught.value)


@pytest.fixture
def busy_file(tmp_path: Path, sqlite_template: Path) -> Path:
    path = tmp_path / "busy.db"
    path.write_bytes(sqlite_template.read_bytes())
    return path


async def test_a_lock_that_stays_is_an_answer_not_a_bug(busy_file: Path) -> None:
    database = await Database.open(f"sqlite:///{busy_file}")
    async with database.write() as session:
        await session.execute(text("PRAGMA busy_timeout=1"))
    other = connect_sqlite(str(busy_file))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Overloaded):
        async with database.write():
            pass

    other.execute("ROLLBACK")
    other.close()
    async with database.write() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    await database.close()
