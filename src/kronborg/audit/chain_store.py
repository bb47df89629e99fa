"""The chain over events: its tables and every statement on them, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from kronborg.audit.model import AuditKey, Checkpoint, Head, Sealed
from kronborg.core.db import UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row, Value

chain_table = Table(
    "audit_chain",
    metadata,
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("link", Text, nullable=False),
    Index("uq_audit_chain_seq", "seq", unique=True),
)
head_table = Table(
    "audit_head",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
    Column("link", Text, nullable=False),
    Column("floor", BigInteger, nullable=False),
    Column("floor_link", Text, nullable=False),
    Column("verified", BigInteger, nullable=False),
    Column("verified_at", UtcDateTime),
    Column("finding", Text, nullable=False),
)
checkpoints_table = Table(
    "audit_checkpoints",
    metadata,
    Column("k", BigInteger, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
    Column("link", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kid", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
keys_table = Table(
    "audit_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("public", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
)

_HOLD = "UPDATE audit_head SET n = n WHERE one = 1 RETURNING n, link"
_WAITING = "SELECT 1 FROM core_unsealed LIMIT 1"
_EVENT = "e.seq, e.id, e.name, e.actor, e.subject, e.at, e.detail, e.request_id"
_UNSEALED = f"""
SELECT {_EVENT}, u.news FROM core_unsealed u JOIN core_events e ON e.seq = u.seq ORDER BY u.seq LIMIT ?
"""  # noqa: S608  # our own columns
_MOVE = "UPDATE audit_head SET n = ?, link = ? WHERE one = 1"
_HEAD = "SELECT n, link, floor, floor_link, verified, verified_at, finding FROM audit_head WHERE one = 1"
_LINKS = """
SELECT c.n, c.link, c.seq, e.id, e.name, e.actor, e.subject, e.at, e.detail, e.request_id
FROM audit_chain c LEFT JOIN core_events e ON e.seq = c.seq WHERE c.n > ? AND c.n <= ? ORDER BY c.n LIMIT ?
"""
_BESIDE = """
SELECT e.seq, e.id FROM core_events e LEFT JOIN audit_chain c ON c.seq = e.seq
WHERE e.seq > ? AND e.seq <= ? AND c.seq IS NULL AND NOT EXISTS (SELECT 1 FROM core_unsealed u WHERE u.seq = e.seq)
ORDER BY e.seq LIMIT 1
"""
_LAST_SEQ = "SELECT COALESCE(MAX(seq), 0) FROM core_events"
_FIRST_SEQ = "SELECT COALESCE(MIN(seq), 0) FROM core_events"
_LINK_AT = "SELECT link FROM audit_chain WHERE n = ?"
_PLACE = "SELECT n, link FROM audit_chain WHERE seq = ?"
_NOTE = "UPDATE audit_head SET verified = ?, verified_at = ?, finding = ? WHERE one = 1"
_CHECKPOINT = "k, n, link, previous, at, kid, signature"
_CHECKPOINTS = f"SELECT {_CHECKPOINT} FROM audit_checkpoints WHERE k > ? ORDER BY k LIMIT ?"  # noqa: S608
_LAST_CHECKPOINT = f"SELECT {_CHECKPOINT} FROM audit_checkpoints ORDER BY k DESC LIMIT 1"  # noqa: S608
_NEXT_CHECKPOINT = f"SELECT {_CHECKPOINT} FROM audit_checkpoints WHERE n >= ? ORDER BY k LIMIT 1"  # noqa: S608
_CHECKPOINT_BELOW = f"SELECT {_CHECKPOINT} FROM audit_checkpoints WHERE n <= ? ORDER BY k DESC LIMIT 1"  # noqa: S608
_ADD_CHECKPOINT = f"INSERT INTO audit_checkpoints ({_CHECKPOINT}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_KEYS = "SELECT id, public, sealed, created_at, retired_at FROM audit_keys ORDER BY created_at, id"
_ADD_KEY = "INSERT INTO audit_keys (id, public, sealed, created_at) VALUES (?, ?, ?, ?)"
_RETIRE_KEYS = "UPDATE audit_keys SET retired_at = ? WHERE retired_at IS NULL"
_RAISE_FLOOR = "UPDATE audit_head SET floor = ?, floor_link = ? WHERE one = 1 AND floor < ? RETURNING floor"
_PLACE_BEFORE = """
SELECT c.n, c.link FROM core_events e JOIN audit_chain c ON c.seq = e.seq
WHERE e.at < ? ORDER BY e.at DESC, e.seq DESC LIMIT 1
"""
_OLD_EVENTS = """
DELETE FROM core_events WHERE seq IN (SELECT seq FROM audit_chain WHERE n <= ? ORDER BY n LIMIT ?) RETURNING seq
"""
_OLD_LINKS = """
DELETE FROM audit_chain WHERE n IN
    (SELECT c.n FROM audit_chain c WHERE c.n <= ? ORDER BY c.n LIMIT ?)
AND NOT EXISTS (SELECT 1 FROM core_events e WHERE e.seq = audit_chain.seq) RETURNING n
"""


async def is_waiting(lookup: Lookup) -> bool:
    """Whether an event has no place in the chain yet: all that an idle installation asks."""
    return await lookup.first(_WAITING) is not None


def hold_head(execute: Execute) -> tuple[int, str]:
    """The last place and its link; nobody else adds to the chain until this unit is committed."""
    row = execute(_HOLD)[0]
    return int(row[0]), str(row[1])


def unsealed(execute: Execute, *, limit: int) -> list[tuple[Sealed, bool]]:
    """Events without a place, in the order of their numbers, and whether they are news."""
    return [(Sealed(0, "", *row[:8]), bool(row[8])) for row in execute(_UNSEALED, (limit,))]


def add_links(execute: Execute, links: Sequence[Sealed]) -> None:
    """Give events their places: the chain grows by these, and they wait no more."""
    values: list[Value] = []
    for one in links:
        values += (one.n, one.seq, one.link)
    execute(f"INSERT INTO audit_chain (n, seq, link) VALUES {_rows(len(links), 3)}", values)  # noqa: S608  # placeholders
    marks = ", ".join("?" * len(links))
    execute(f"DELETE FROM core_unsealed WHERE seq IN ({marks})", [one.seq for one in links])  # noqa: S608
    execute(_MOVE, (links[-1].n, links[-1].link))


def _rows(count: int, columns: int) -> str:
    return ", ".join(["(" + ", ".join("?" * columns) + ")"] * count)


async def read_head(lookup: Lookup) -> Head:
    """Both ends of the chain."""
    row = await lookup.first(_HEAD)
    if row is None:
        raise LookupError("the migration makes this row")
    return Head(row[0], row[1], row[2], row[3], row[4], None if row[5] is None else from_micros(row[5]), row[6])


async def read_links(lookup: Lookup, *, after: int, until: int, limit: int) -> list[Row]:
    """Rows of the chain with their events, in its order: place, link, number; then the event, or nulls."""
    return await lookup.all(_LINKS, (after, until, limit))


async def event_beside(lookup: Lookup, *, after: int, until: int) -> tuple[int, str] | None:
    """The first event in this range of numbers that has no place and does not wait for one."""
    row = await lookup.first(_BESIDE, (after, until))
    return None if row is None else (int(row[0]), str(row[1]))


async def number_range(lookup: Lookup) -> tuple[int, int]:
    """The lowest and the highest number of an event."""
    first, last = await lookup.first(_FIRST_SEQ), await lookup.first(_LAST_SEQ)
    return (0 if first is None else int(first[0])), (0 if last is None else int(last[0]))


async def link_at(lookup: Lookup, n: int) -> str | None:
    """The link at a place."""
    row = await lookup.first(_LINK_AT, (n,))
    return None if row is None else str(row[0])


async def place_of(lookup: Lookup, seq: int) -> tuple[int, str] | None:
    """Place and link of an event."""
    row = await lookup.first(_PLACE, (seq,))
    return None if row is None else (int(row[0]), str(row[1]))


def note_verified(execute: Execute, n: int, finding: str, *, now: datetime) -> None:
    """Remember how far the chain was verified, and what was found."""
    execute(_NOTE, (n, to_micros(now), finding))


async def read_checkpoints(lookup: Lookup, *, after: int, limit: int) -> list[Checkpoint]:
    """Checkpoints in their order, above a number."""
    return [Checkpoint(*row) for row in await lookup.all(_CHECKPOINTS, (after, limit))]


async def last_checkpoint(lookup: Lookup) -> Checkpoint | None:
    """The newest checkpoint."""
    row = await lookup.first(_LAST_CHECKPOINT)
    return None if row is None else Checkpoint(*row)


async def checkpoint_covering(lookup: Lookup, n: int) -> Checkpoint | None:
    """The first checkpoint that covers a place."""
    row = await lookup.first(_NEXT_CHECKPOINT, (n,))
    return None if row is None else Checkpoint(*row)


async def checkpoint_below(lookup: Lookup, n: int) -> Checkpoint | None:
    """The last checkpoint that covers no place above this one."""
    row = await lookup.first(_CHECKPOINT_BELOW, (n,))
    return None if row is None else Checkpoint(*row)


def last_checkpoint_in(execute: Execute) -> Checkpoint | None:
    """The newest checkpoint, inside a unit that holds the head."""
    rows = execute(_LAST_CHECKPOINT)
    return Checkpoint(*rows[0]) if rows else None


def add_checkpoint(execute: Execute, one: Checkpoint) -> None:
    """One more checkpoint."""
    execute(_ADD_CHECKPOINT, (one.k, one.n, one.link, one.previous, one.at, one.kid, one.signature))


async def read_audit_keys(lookup: Lookup) -> tuple[AuditKey, ...]:
    """Every key that signs or signed checkpoints, oldest first."""
    return tuple(
        AuditKey(row[0], row[1], row[2], from_micros(row[3]), None if row[4] is None else from_micros(row[4]))
        for row in await lookup.all(_KEYS)
    )


def add_audit_key(execute: Execute, key: AuditKey) -> None:
    """A new key; those before it sign no more."""
    execute(_RETIRE_KEYS, (to_micros(key.created_at),))
    execute(_ADD_KEY, (key.id, key.public, key.sealed, to_micros(key.created_at)))


async def place_before(lookup: Lookup, moment: datetime) -> tuple[int, str] | None:
    """Place and link of the newest event before a moment."""
    row = await lookup.first(_PLACE_BEFORE, (to_micros(moment),))
    return None if row is None else (int(row[0]), str(row[1]))


def raise_floor(execute: Execute, n: int, link: str) -> bool:
    """From now on the chain begins above place `n`; False when it does already."""
    return bool(execute(_RAISE_FLOOR, (n, link, n)))


def drop_below(execute: Execute, floor: int, *, limit: int) -> int:
    """Delete events and links up to the floor, the oldest first, at most so many; how many."""
    execute(_OLD_EVENTS, (floor, limit))
    return len(execute(_OLD_LINKS, (floor, limit)))
