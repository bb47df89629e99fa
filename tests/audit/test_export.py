"""An export verifies alone, gives away every change, and takes the place of what is archived."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from audit.conftest import Log, seqs
from kronborg.audit import chain_store
from kronborg.audit.checkpoints import key_json, own_keys, read_keys
from kronborg.audit.export import archive, prune, verify_lines
from kronborg.audit.model import Search
from kronborg.audit.search_store import find_events
from kronborg.core.crypto import Vault
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.events import changes, latest, record
from kronborg.core.personal import forget_person, opened

pytestmark = pytest.mark.anyio


async def keys_of(log: Log) -> Any:
    found, _ = await own_keys(log.database, log.vault)
    return read_keys(json.loads(json.dumps({"keys": [key_json(kid, key) for kid, key in found.items()]})))


async def test_an_export_verifies_alone(full: Log) -> None:
    lines = await full.export()

    verified = verify_lines(lines, await keys_of(full))

    assert verified.finding is None
    assert (verified.last, verified.events, verified.checkpoints, seqs(lines)) == (40, 40, 3, 40)


async def test_it_verifies_with_the_keys_in_it_too(full: Log) -> None:
    assert verify_lines(await full.export()).finding is None


async def test_another_installation_did_not_write_it(full: Log) -> None:
    lines = await full.export()

    stranger = verify_lines(
        lines, read_keys({"keys": [{"kid": "x", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})
    )

    assert stranger.finding is not None
    assert stranger.finding.what == "checkpoint"


@pytest.mark.parametrize("index", [1, 9, 30])
async def test_a_changed_line_is_named(full: Log, index: int) -> None:
    lines = await full.export()
    events = [at for at, line in enumerate(lines) if b'"seq"' in line]
    value = json.loads(lines[events[index]])
    value["actor"] = "laertes"
    lines[events[index]] = json.dumps(value).encode()

    finding = verify_lines(lines, await keys_of(full)).finding

    assert finding is not None
    assert (finding.what, finding.n, finding.event_id) == ("altered", index + 1, value["id"])


async def test_a_removed_line_a_doubled_one_and_a_broken_one_are_named(full: Log) -> None:
    lines, keys = await full.export(), await keys_of(full)

    removed = verify_lines([*lines[:5], *lines[6:]], keys).finding
    doubled = verify_lines([*lines[:5], lines[4], *lines[5:]], keys).finding
    broken = verify_lines([*lines[:5], b"{", *lines[6:]], keys).finding

    assert removed is not None
    assert doubled is not None
    assert broken is not None
    assert (removed.what, removed.n) == ("removed", 5)
    assert (doubled.n, broken.what, broken.n) == (5, "altered", 5)


async def test_an_export_that_breaks_off_is_noticed(full: Log) -> None:
    lines = await full.export()

    finding = verify_lines(lines[:-1], await keys_of(full)).finding

    assert finding is not None
    assert finding.what == "cut"


async def test_it_is_held_against_a_checkpoint_that_is_kept_elsewhere(full: Log) -> None:
    kept = await chain_store.last_checkpoint(full.database.lookup)
    lines = [line for line in await full.export() if b'"checkpoint"' not in line][:31]

    finding = verify_lines([*lines, b'{"end": 30}'], await keys_of(full), kept).finding

    assert finding is not None
    assert (finding.what, finding.n) == ("cut", 31)


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b'{"kronborg_audit": 2}', b'{"kronborg_audit": 1, "partial": true}']
)
async def test_what_is_no_export_is_refused(line: bytes) -> None:
    with pytest.raises(Invalid):
        verify_lines([line])


async def test_what_is_archived_goes_and_the_chain_holds_from_there(full: Log) -> None:
    written: list[bytes] = []
    before = full.now + timedelta(seconds=12)  # the first ten, and some of the next batch

    done = await archive(full.database, full.vault, written.append, before=before, actor="test", now=full.now)
    count = await prune(full.database, done)
    await full.seal()

    rest = await full.verify()
    assert (done.first, done.last, count) == (1, 25, 25)
    assert (rest.finding, rest.first, rest.last) == (None, 26, 41)
    assert verify_lines(written, await keys_of(full)).finding is None
    again = await full.export()
    assert verify_lines(again, await keys_of(full)).finding is None
    async with full.database.read() as session:
        names = [event.name for event in await latest(session)]
    assert names == ["audit.archived", *["thing.happened"] * 15]


async def test_nothing_old_enough_is_nothing_to_archive(full: Log) -> None:
    with pytest.raises(NotFound):
        await archive(full.database, full.vault, print, before=full.now, actor="test", now=full.now)


async def test_an_anchor_that_no_checkpoint_vouches_for_is_noticed(full: Log) -> None:
    written: list[bytes] = []
    done = await archive(
        full.database, full.vault, written.append, before=full.now + timedelta(hours=1), actor="test", now=full.now
    )
    await prune(full.database, done)
    full.meddle(f"UPDATE audit_head SET floor_link = '{'0' * 64}'")

    finding = (await full.verify()).finding

    assert finding is not None
    assert finding.what == "checkpoint"


async def test_a_person_who_is_forgotten_leaves_a_chain_that_holds(log: Log) -> None:
    before = {"email": "ada@shop.example", "name": "Ada", "roles": ("a",), "password": "x"}
    async with log.database.write() as session:
        detail = changes(before, {**before, "email": "ada@new.example", "roles": ("a", "b"), "password": "y"})
        await record(session, "user.updated", actor="x", subject="u1", now=log.now, detail=detail)
    await log.seal()
    row = await log.database.lookup.first("SELECT detail FROM core_events")
    async with log.database.write() as session:
        [event] = await latest(session)
        [known] = await opened(session, log.vault, [event.detail])
        await forget_person(session, "u1")
        [forgotten] = await opened(session, log.vault, [event.detail])

    assert row is not None
    assert "shop.example" not in row[0]
    assert known == {"changed": {"email": ["ada@shop.example", "ada@new.example"], "roles": [["a"], ["a", "b"]]}}
    assert forgotten["changed"] == {"email": ["(erased)", "(erased)"], "roles": [["a"], ["a", "b"]]}
    assert (await log.verify()).finding is None


async def test_another_vault_reads_nothing(log: Log) -> None:
    async with log.database.write() as session:
        await record(session, "user.created", actor="x", subject="u1", now=log.now, detail={"username": "ada"})

    row = await log.database.lookup.first("SELECT detail FROM core_events")
    log.database.vault = Vault(bytes(32))

    assert row is not None
    assert "ada" not in row[0]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(), ["c.one", "b.two", "b.one", "a.one"]),
        (Search(name="b."), ["b.two", "b.one"]),
        (Search(name="b.one"), ["b.one"]),
        (Search(name="zzz"), []),
        (Search(actor="ada"), ["b.two", "a.one"]),
        (Search(actor="ada", name="a"), ["a.one"]),
        (Search(subject="s1"), ["b.one"]),
    ],
)
async def test_events_are_found(log: Log, search: Search, expected: list[str]) -> None:
    async with log.database.write() as session:
        for number, (name, actor) in enumerate(
            (("a.one", "ada"), ("b.one", "bob"), ("b.two", "ada"), ("c.one", "bob"))
        ):
            at = log.now + timedelta(minutes=number)
            await record(session, name, actor=actor, subject=f"s{number}", now=at)

    found = await find_events(log.database.lookup, search)
    paged = await find_events(log.database.lookup, search, limit=1)
    rest = await find_events(log.database.lookup, search, before=paged[-1].seq) if paged else []

    assert [event.name for event in found] == expected
    assert [event.name for event in [*paged, *rest]] == expected


async def test_events_of_a_time_are_found(log: Log) -> None:
    await log.happen(10)
    search = Search(after=log.now + timedelta(seconds=3), before=log.now + timedelta(seconds=5))

    found = await find_events(log.database.lookup, search)

    assert [event.subject for event in found] == ["s5", "s4", "s3"]


@pytest.mark.parametrize(
    "clause",
    [
        "actor = 'x' AND seq < 9",
        "subject = 'x' AND seq < 9",
        "name = 'x' AND seq < 9",
        "request_id = 'x' AND request_id <> ''",
        "at <= 9",
    ],
)
async def test_every_search_uses_an_index(log: Log, clause: str) -> None:
    if not log.url.startswith("sqlite"):
        pytest.skip("a small table is read as a whole by PostgreSQL whatever its indexes are")
    order = "" if clause.startswith("at") else "ORDER BY seq DESC"

    plan = await log.database.lookup.all(f"EXPLAIN QUERY PLAN SELECT * FROM core_events WHERE {clause} {order} LIMIT 5")

    told = " ".join(str(row[3]) for row in plan)
    assert "USING INDEX ix_core_events" in told
    assert "TEMP B-TREE" not in told or clause.startswith("request_id")
