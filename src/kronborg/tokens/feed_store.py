"""The feed of revocations: its tables and every statement on them, the same on SQLite and PostgreSQL.

Numbers are taken from one row that stays locked until the commit: so they are without gaps, and whoever reads up to a
number has seen everything that was or will be committed below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from kronborg.core.db import UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup

Kind = Literal["token", "grant", "session", "client", "user", "key", "address"]

feed_table = Table(
    "tokens_feed",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("not_before", UtcDateTime),
    Column("until", UtcDateTime, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

head_table = Table(
    "tokens_feed_head",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
)

_TAKE = "UPDATE tokens_feed_head SET seq = seq + ? WHERE one = 1 RETURNING seq"
_ADD = "INSERT INTO tokens_feed (seq, kind, subject, not_before, until, at) VALUES (?, ?, ?, ?, ?, ?)"
_HOLD = "UPDATE tokens_feed_head SET seq = seq WHERE one = 1"
_HEAD = "SELECT seq, floor FROM tokens_feed_head WHERE one = 1"
_ENTRIES = "SELECT seq, kind, subject, not_before, until, at FROM tokens_feed WHERE seq > ? ORDER BY seq LIMIT ?"
_OVER = "SELECT seq, until FROM tokens_feed ORDER BY seq LIMIT ?"
_PURGE = "DELETE FROM tokens_feed WHERE seq <= ? RETURNING 1"
_RAISE = "UPDATE tokens_feed_head SET floor = ? WHERE one = 1 AND floor < ? RETURNING floor"


@dataclass(frozen=True, slots=True)
class Revocation:
    """One entry of the feed of revocations: what is not to be believed any more.

    `subject` is a `jti`, `gid`, `sid`, `client_id`, `sub` or `kid`, by `kind`; of an `address` the network whose
    requests gateways refuse. With `not_before`, a whole second, only
    tokens issued before it (`iat`) are meant. After `until` no token lives that it could concern.
    """

    seq: int
    kind: Kind
    subject: str
    not_before: datetime | None
    until: datetime
    at: datetime


def take_numbers(execute: Execute, count: int) -> int:
    """Reserve `count` numbers in a row; the first of them."""
    return int(execute(_TAKE, (count,))[0][0]) - count + 1


def hold_numbers(execute: Execute) -> None:
    """Let no other unit take numbers until this one is committed."""
    execute(_HOLD)


def add_entries(execute: Execute, entries: Sequence[Revocation]) -> None:
    """New entries under numbers that were taken in the same unit."""
    for entry in entries:
        not_before = None if entry.not_before is None else to_micros(entry.not_before)
        times = not_before, to_micros(entry.until), to_micros(entry.at)
        execute(_ADD, (entry.seq, entry.kind, entry.subject, *times))


async def read_head(lookup: Lookup) -> tuple[int, int]:
    """The last number given, and the last number whose entry is gone."""
    row = await lookup.first(_HEAD)
    if row is None:
        raise LookupError("the migration makes this row")
    return int(row[0]), int(row[1])


async def read_entries(lookup: Lookup, *, after: int, limit: int) -> tuple[Revocation, ...]:
    """Entries above a number, in their order."""
    return tuple(
        Revocation(row[0], row[1], row[2], None if row[3] is None else from_micros(row[3]), *map(from_micros, row[4:6]))
        for row in await lookup.all(_ENTRIES, (after, limit))
    )


def drop_entries(execute: Execute, *, before: datetime, limit: int) -> int:
    """Delete the oldest entries as far as all of them are over, at most so many; how many.

    Only from the bottom: an entry that is over waits for those below it, so that there is never a gap.
    """
    last = 0
    for seq, until in execute(_OVER, (limit,)):
        if until >= to_micros(before):
            break
        last = seq
    if not last:
        return 0
    execute(_RAISE, (last, last))
    return len(execute(_PURGE, (last,)))
