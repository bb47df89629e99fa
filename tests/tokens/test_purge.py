"""What expired goes, in bounded batches; what lives stays; and the room is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database, to_micros
from kronborg.core.group_writer import Execute
from kronborg.core.sqlite import FREE_PAGES
from kronborg.tokens import store
from kronborg.tokens.engine import Engine, open_engine
from kronborg.tokens.feed import Notice, tell
from kronborg.tokens.model import Access, Code, Grant
from kronborg.tokens.purge import BATCH_TAKES, LARGEST, SMALLEST, BatchSize, batches, purge

pytestmark = pytest.mark.anyio

KINDS = ("access", "refresh", "codes", "grants", "revoked", "assertions", "feed", "statuses", "status_lists")
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def engine(database: Database, vault: Vault, now: datetime) -> Engine:
    return await open_engine(database, vault, issuer="http://localhost:8081", session_idle=timedelta(hours=1), now=now)


def fill(execute: Execute, name: str, *, until: datetime) -> None:
    """One row of each kind that ends at that moment."""
    digest, grant_id = name.encode(), f"grant-{name}"
    grant = Grant(grant_id, "client", "user", "session", (), (), until, (), until, until, None)
    store.add_grant(execute, grant)
    store.add_code(execute, Code(digest, grant, None, None, None, until, until))
    store.add_refresh(execute, digest, grant_id, expires_at=until)
    access = Access(name, "client", "client", None, None, "https://a.example", (), (), until, until)
    store.add_access(execute, digest, access)
    store.revoke_jti(execute, name, expires_at=until)
    store.use_assertion(execute, digest, expires_at=until)
    at = to_micros(until)
    execute("INSERT INTO tokens_status_lists (id, taken, created_at, expires_at) VALUES (?, 1, ?, ?)", (name, at, at))
    execute(
        "INSERT INTO tokens_statuses (list_id, idx, jti, client_id, grant_id, issued_at, expires_at)"
        " VALUES (?, 1, ?, 'client', NULL, ?, ?)",
        (name, name, at, at),
    )
    tell(execute, (Notice("token", name, until=until),), now=until)


async def counts(database: Database) -> dict[str, int]:
    return {kind: (await database.lookup.all(f"SELECT count(*) FROM tokens_{kind}"))[0][0] for kind in KINDS}


async def test_of_every_kind_what_expired_goes_and_what_lives_stays(engine: Engine, now: datetime) -> None:
    run = engine.database.writer.run
    for number in range(3):
        await run(partial(fill, name=f"old-{number}", until=now - MINUTE))
    await run(partial(fill, name="living", until=now + MINUTE))

    await purge(engine, now=now)

    assert await counts(engine.database) == dict.fromkeys(KINDS, 1)


async def test_a_batch_is_bounded(engine: Engine, now: datetime) -> None:
    for number in range(5):
        await engine.database.writer.run(partial(fill, name=str(number), until=now - MINUTE))

    for batch in batches(before=now):
        deleted = await engine.database.writer.run(lambda execute, batch=batch: batch(execute, 2))  # type: ignore[misc]

        assert deleted <= 2
    assert (await counts(engine.database))["access"] == 3


def sizes(size: BatchSize, rows_per_second: Sequence[int]) -> list[int]:
    seen = []
    for speed in rows_per_second:
        size.took(size.rows, size.rows / speed)
        seen.append(size.rows)
    return seen


def test_the_size_of_a_batch_follows_the_time_it_takes() -> None:
    fast, slow = 200_000, 10_000

    found = sizes(BatchSize(500), [fast] * 5 + [slow] * 12)

    assert found[:3] == [750, 1125, 1688]
    assert found[4] == fast * BATCH_TAKES
    assert found[-1] == slow * BATCH_TAKES
    assert sizes(BatchSize(LARGEST), [10_000_000])[-1] == LARGEST
    assert sizes(BatchSize(SMALLEST), [1])[-1] == SMALLEST


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_file_shrinks_by_what_was_deleted(engine: Engine, now: datetime) -> None:
    def many(execute: Execute) -> None:
        for number in range(3000):
            claims = {"note": "x" * 6000}
            access = Access(str(number), "c", "c", None, None, "https://a.example", (), (), now, now, claims=claims)
            store.add_access(execute, str(number).encode(), access)

    await engine.database.writer.run(many)
    full = await pages(engine.database)

    await purge(engine, now=now + MINUTE)

    assert full > 4000
    assert await pages(engine.database) < FREE_PAGES + full // 4


async def pages(database: Database) -> int:
    return int((await database.lookup.all("PRAGMA page_count"))[0][0])


async def test_others_write_while_it_goes_on(engine: Engine, now: datetime) -> None:
    run = engine.database.writer.run
    for number in range(20):
        await run(partial(fill, name=str(number), until=now - MINUTE))

    purging = asyncio.ensure_future(purge(engine, now=now))
    for number in range(20):
        await run(partial(fill, name=f"new-{number}", until=now + MINUTE))
    await purging

    assert (await counts(engine.database))["access"] == 20
