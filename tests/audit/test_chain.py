"""Whoever changes, removes, inserts or reorders rows of the log is found out, at the very row."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from audit.conftest import Log
from kronborg.audit import chain_store
from kronborg.audit.chain import link_of, seal_waiting
from kronborg.audit.checkpoints import make_checkpoint
from kronborg.audit.model import AuditSettings, Finding, Sealed
from kronborg.core import events
from kronborg.core.migrate import sync_url

pytestmark = pytest.mark.anyio


async def found(log: Log) -> Finding:
    finding = (await log.verify()).finding
    assert finding is not None
    return finding


async def test_a_chain_that_nobody_touched_holds(full: Log) -> None:
    verified = await full.verify()

    assert verified.finding is None
    assert (verified.first, verified.last, verified.events, verified.checkpoints) == (1, 40, 40, 3)


async def test_an_empty_chain_holds(log: Log) -> None:
    assert (await log.verify()).finding is None


async def test_events_that_wait_for_their_place_are_not_missed(full: Log) -> None:
    await full.happen(3)

    verified = await full.verify()

    assert verified.finding is None
    assert await full.seal() == 3


async def test_places_have_no_gaps_whatever_the_numbers_are(log: Log) -> None:
    async def undone() -> None:
        async with log.database.write() as session:
            await events.record(session, "undone", actor="a", subject="s", now=log.now)
            raise RuntimeError("bug")

    for _ in range(3):
        await log.happen(2)
        with pytest.raises(RuntimeError):
            await undone()
        await log.seal()

    rows = await log.database.lookup.all("SELECT n FROM audit_chain ORDER BY n")
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6]


async def test_an_event_that_commits_late_gets_the_next_place(log: Log) -> None:
    engine = create_engine(sync_url(log.url))
    if engine.dialect.name != "postgresql":
        pytest.skip("on SQLite a writer is alone")
    late = engine.connect()
    insert = "INSERT INTO core_events (id, name, actor, subject, at, detail, request_id)"
    late.execute(text(f"{insert} VALUES ('late', 'late', 'a', 's', 0, '{{}}', '')"))
    await log.happen(2)
    await log.seal()
    late.commit()
    late.close()
    engine.dispose()

    await log.seal()

    rows = await log.database.lookup.all("SELECT c.n, c.seq FROM audit_chain c ORDER BY c.n")
    assert [row[0] for row in rows] == [1, 2, 3]
    assert rows[2][1] < rows[0][1]
    assert (await log.verify()).finding is None


async def test_several_workers_seal_one_chain(log: Log) -> None:
    await log.happen(300)

    turns = await asyncio.gather(*(seal_waiting(log.database, {}, now=log.now, limit=40) for _ in range(8)))

    assert sum(turn.events for turn in turns) == 300
    assert (await log.verify()).last == 300


@pytest.mark.parametrize(
    "column", ["name = 'other'", "actor = 'x'", "subject = 'x'", "at = at + 1", "detail = '{}'", "request_id = 'x'"]
)
async def test_an_altered_event_is_named(full: Log, column: str) -> None:
    seq, event_id = await row_at(full, 17)
    full.meddle(f"UPDATE core_events SET {column} WHERE seq = {seq}")

    finding = await found(full)

    assert (finding.what, finding.n, finding.seq, finding.event_id) == ("altered", 17, seq, event_id)


async def test_an_altered_link_is_named(full: Log) -> None:
    seq, _ = await row_at(full, 12)
    full.meddle(f"UPDATE audit_chain SET link = '{'f' * 64}' WHERE n = 12")

    finding = await found(full)

    assert (finding.what, finding.n, finding.seq) == ("altered", 12, seq)
    assert "link" in finding.told


async def test_a_removed_event_is_named(full: Log) -> None:
    seq, _ = await row_at(full, 5)
    full.meddle(f"DELETE FROM core_events WHERE seq = {seq}")

    finding = await found(full)

    assert (finding.what, finding.n, finding.seq) == ("removed", 5, seq)


async def test_a_removed_link_is_named_with_the_event_it_was_of(full: Log) -> None:
    seq, event_id = await row_at(full, 5)
    full.meddle("DELETE FROM audit_chain WHERE n = 5")

    finding = await found(full)

    assert (finding.what, finding.n, finding.seq, finding.event_id) == ("removed", 5, seq, event_id)


async def test_removed_with_its_link_and_renumbered_it_is_named_all_the_same(full: Log) -> None:
    seq, _ = await row_at(full, 5)
    full.meddle(
        f"DELETE FROM core_events WHERE seq = {seq}",
        "DELETE FROM audit_chain WHERE n = 5",
        "UPDATE audit_chain SET n = -(n - 1) WHERE n > 5",
        "UPDATE audit_chain SET n = -n WHERE n < 0",
    )

    finding = await found(full)

    assert (finding.what, finding.n) == ("removed", 5)


async def test_an_event_inserted_into_the_chain_is_named(full: Log) -> None:
    full.meddle(
        "INSERT INTO core_events (seq, id, name, actor, subject, at, detail, request_id)"
        " VALUES (9000, 'forged', 'thing.happened', 'a', 's', 0, '{}', '')",
        "UPDATE audit_chain SET n = -(n + 1) WHERE n >= 8",
        "UPDATE audit_chain SET n = -n WHERE n < 0",
        f"INSERT INTO audit_chain (n, seq, link) VALUES (8, 9000, '{'a' * 64}')",
    )

    finding = await found(full)

    assert (finding.what, finding.n, finding.seq, finding.event_id) == ("inserted", 8, 9000, "forged")


async def test_an_event_inserted_beside_the_chain_is_named(full: Log) -> None:
    full.meddle(
        "INSERT INTO core_events (seq, id, name, actor, subject, at, detail, request_id)"
        " VALUES (9000, 'forged', 'thing.happened', 'a', 's', 0, '{}', '')"
    )

    finding = await found(full)

    assert (finding.what, finding.seq, finding.event_id) == ("inserted", 9000, "forged")


async def test_events_that_changed_places_are_named(full: Log) -> None:
    first, _ = await row_at(full, 20)
    second, _ = await row_at(full, 22)
    full.meddle(
        "UPDATE audit_chain SET seq = -1 WHERE n = 20",
        f"UPDATE audit_chain SET seq = {first} WHERE n = 22",
        f"UPDATE audit_chain SET seq = {second} WHERE n = 20",
    )

    finding = await found(full)

    assert (finding.what, finding.n, finding.seq) == ("altered", 20, second)


async def test_a_chain_made_anew_is_given_away_by_its_checkpoints(full: Log) -> None:
    seq, _ = await row_at(full, 17)
    full.meddle(f"UPDATE core_events SET actor = 'laertes' WHERE seq = {seq}")
    await make_links_anew(full, since=17)

    finding = await found(full)

    assert (finding.what, finding.n) == ("rewritten", 11)


@pytest.mark.parametrize("count", [1, 3, 15])
async def test_a_tail_that_was_cut_off_is_noticed(full: Log, count: int) -> None:
    last = 40 - count
    cut(full, last)

    finding = await found(full)

    assert (finding.what, finding.n) == ("cut", last + 1)


async def test_a_tail_cut_off_with_the_head_is_noticed_by_a_checkpoint_beyond_the_end(full: Log) -> None:
    cut(full, 30)
    full.meddle(f"UPDATE audit_head SET n = 30, link = '{await link(full, 30)}'")

    finding = await found(full)

    assert (finding.what, finding.n) == ("cut", 31)


async def test_a_tail_cut_off_with_its_checkpoints_is_noticed_by_one_that_is_kept_elsewhere(full: Log) -> None:
    kept = await chain_store.last_checkpoint(full.database.lookup)
    assert kept is not None
    cut(full, 30)
    full.meddle(
        "DELETE FROM audit_checkpoints WHERE k = 3",
        f"UPDATE audit_head SET n = 30, link = '{await link(full, 30)}'",
    )

    alone, against = await full.verify(), await full.verify(kept)

    assert alone.finding is None
    assert against.finding is not None
    assert (against.finding.what, against.finding.n) == ("cut", 31)


async def test_a_whole_log_made_anew_differs_from_the_checkpoint_that_is_kept_elsewhere(full: Log) -> None:
    kept = await chain_store.last_checkpoint(full.database.lookup)
    assert kept is not None
    seq, _ = await row_at(full, 30)
    full.meddle(f"UPDATE core_events SET actor = 'x' WHERE seq = {seq}", "DELETE FROM audit_checkpoints WHERE k = 3")
    await make_links_anew(full, since=30)

    against = await full.verify(kept)

    assert against.finding is not None
    assert (against.finding.what, against.finding.n) == ("rewritten", 26)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE audit_checkpoints SET n = 24 WHERE k = 2", 24),
        (f"UPDATE audit_checkpoints SET link = '{'0' * 64}' WHERE k = 2", 25),
        ("UPDATE audit_checkpoints SET at = at + 1 WHERE k = 2", 25),
        ("UPDATE audit_checkpoints SET signature = 'AAAA' WHERE k = 2", 25),
        ("DELETE FROM audit_checkpoints WHERE k = 2", 38),
        ("DELETE FROM audit_checkpoints WHERE k = 1", 25),
    ],
)
async def test_a_checkpoint_that_was_touched_is_named(full: Log, statement: str, place: int) -> None:
    full.meddle(statement)

    finding = await found(full)

    assert (finding.what, finding.n) == ("checkpoint", place)


async def test_a_key_that_the_vault_did_not_seal_is_not_believed(full: Log) -> None:
    full.meddle("INSERT INTO audit_keys (id, public, sealed, created_at) VALUES ('mine', 'AAAA', 'k1.AAAA', 99)")

    assert (await found(full)).what == "key"


async def test_the_database_refuses_to_change_what_happened(full: Log) -> None:
    engine = create_engine(sync_url(full.url))
    for statement in (
        "UPDATE core_events SET actor = 'x'",
        "DELETE FROM core_events",
        "UPDATE audit_chain SET link = ''",
        "DELETE FROM audit_chain",
        "UPDATE audit_checkpoints SET n = 1",
        "DELETE FROM audit_checkpoints",
    ):
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


async def test_a_checkpoint_is_made_when_it_is_time(log: Log) -> None:
    settings = AuditSettings(checkpoint_events=5, checkpoint_every=timedelta(minutes=10))
    made = []
    for minutes, count in ((0, 1), (1, 1), (2, 3), (3, 0), (20, 1), (21, 0)):
        await log.happen(count)
        await log.seal()
        one = await make_checkpoint(
            log.database, log.vault, now=log.now + timedelta(minutes=minutes), settings=settings
        )
        made.append(None if one is None else one.n)

    assert made == [1, None, 6, None, 7, None]


async def row_at(log: Log, n: int) -> tuple[int, str]:
    row = await log.database.lookup.first(
        "SELECT e.seq, e.id FROM audit_chain c JOIN core_events e ON e.seq = c.seq WHERE c.n = ?", (n,)
    )
    assert row is not None
    return int(row[0]), str(row[1])


async def link(log: Log, n: int) -> str:
    found = await chain_store.link_at(log.database.lookup, n)
    assert found is not None
    return found


def cut(log: Log, last: int) -> None:
    """Remove the end of the log."""
    log.meddle(
        f"DELETE FROM core_events WHERE seq IN (SELECT seq FROM audit_chain WHERE n > {last})",
        f"DELETE FROM audit_chain WHERE n > {last}",
    )


async def make_links_anew(log: Log, *, since: int) -> None:
    """What somebody would do who knows how links are made."""
    before, statements = await link(log, since - 1), []
    for row in await chain_store.read_links(log.database.lookup, after=since - 1, until=1000, limit=1000):
        before = link_of(before, replace(Sealed(*row), link=""))
        statements.append(f"UPDATE audit_chain SET link = '{before}' WHERE n = {row[0]}")
    log.meddle(*statements, f"UPDATE audit_head SET link = '{before}'")
