"""The group writer when things go wrong: bugs of any kind, callers that leave, a database that is busy, shutdown."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from kronborg.core import events, sqlite
from kronborg.core.db import Database
from kronborg.core.errors import Overloaded
from kronborg.core.group_writer import Execute, Unit
from kronborg.core.log import bind_request_id

pytestmark = pytest.mark.anyio


def recording(name: str, now: datetime) -> Unit[str]:
    def unit(execute: Execute) -> str:
        events.record_in(execute, name, actor="a", subject="s", now=now)
        return name

    return unit


async def names(database: Database) -> list[str]:
    return [str(name) for (name,) in await database.lookup.all("SELECT name FROM core_events ORDER BY name")]


async def test_a_unit_that_raises_stop_iteration_leaves_nobody_waiting(database: Database, now: datetime) -> None:
    def bug(_execute: Execute) -> object:
        return next(iter(()))

    async with asyncio.timeout(10):
        results = await asyncio.gather(
            *(database.writer.run(unit) for unit in (bug, recording("good", now))), return_exceptions=True
        )
        after = await database.writer.run(recording("later", now))

    assert isinstance(results[0], RuntimeError)
    assert (results[1], after) == ("good", "later")
    assert await names(database) == ["good", "later"]


async def test_each_unit_records_the_request_it_belongs_to(database: Database, now: datetime) -> None:
    async def request(request_id: str) -> None:
        bind_request_id(request_id)
        await database.writer.run(recording(request_id, now))

    await asyncio.gather(*(asyncio.create_task(request(f"request-{number}")) for number in range(20)))

    rows = await database.lookup.all("SELECT name, request_id FROM core_events")
    assert len(rows) == 20
    assert all(name == request_id for name, request_id in rows)


async def test_a_caller_that_leaves_takes_nobody_along(database: Database, now: datetime) -> None:
    leaving = asyncio.create_task(database.writer.run(recording("left", now)))
    staying = asyncio.create_task(database.writer.run(recording("stayed", now)))
    await asyncio.sleep(0)

    leaving.cancel()

    assert await staying == "stayed"
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert "stayed" in await names(database)


async def test_closing_finishes_what_waits_and_takes_nothing_more(database_url: str, now: datetime) -> None:
    database = await Database.open(database_url)
    waiting = [asyncio.create_task(database.writer.run(recording("waiting", now))) for _ in range(600)]
    await asyncio.sleep(0)

    await database.close()

    assert await asyncio.gather(*waiting) == ["waiting"] * 600
    with pytest.raises(Overloaded):
        await database.writer.run(recording("late", now))


async def test_many_threads_share_few_connections(database: Database, now: datetime) -> None:
    for _ in range(20):
        async with asyncio.timeout(20):
            await asyncio.gather(*(database.writer.run(recording("one", now)) for _ in range(40)))

    assert len(await names(database)) == 800


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_server_that_started_anew_costs_no_caller_an_answer(
    database_url: str, database: Database, now: datetime
) -> None:
    await database.writer.run(recording("before", now))
    with psycopg.connect(database_url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )

    after = await asyncio.gather(*(database.writer.run(recording("after", now)) for _ in range(3)))

    assert after == ["after"] * 3
    assert await names(database) == ["after"] * 3 + ["before"]


@pytest.fixture
def file(tmp_path: Path, sqlite_template: Path) -> str:
    path = tmp_path / "busy.db"
    path.write_bytes(sqlite_template.read_bytes())
    return str(path)


async def test_a_bug_does_not_cost_the_others_when_the_lock_is_taken_meanwhile(file: str, now: datetime) -> None:
    database = await Database.open(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None, timeout=0)
    started = 0

    def bug(_execute: Execute) -> None:
        raise ValueError("bug")

    def greedy(execute: Execute) -> str:
        nonlocal started
        started += 1
        if started == 2:  # run again alone: the lock was free in between, and is held by somebody else after
            return recording("greedy", now)(execute)
        return "first"

    async def grab() -> None:
        # The turn after the batch failed: another process takes the lock for a while.
        while True:
            try:
                other.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError:
                await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        other.execute("COMMIT")

    grabbing = asyncio.create_task(grab())
    results = await asyncio.gather(
        *(database.writer.run(unit) for unit in (greedy, bug, recording("good", now))), return_exceptions=True
    )
    await grabbing

    assert isinstance(results[1], ValueError)
    assert (results[0], results[2]) == ("greedy", "good")
    other.close()
    await database.close()


async def test_a_lock_that_stays_sheds_all_at_once(file: str, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_PATIENCE", 0.2)
    database = await Database.open(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = asyncio.get_running_loop().time()

    results = await asyncio.gather(
        *(database.writer.run(recording("late", now)) for _ in range(1500)), return_exceptions=True
    )

    assert {type(result) for result in results} == {Overloaded}
    assert asyncio.get_running_loop().time() - started < 0.8  # one patience, not one for each batch of 256
    other.execute("COMMIT")
    assert await database.writer.run(recording("after", now)) == "after"
    other.close()
    await database.close()
