"""Status lists: their tables and every statement on them, the same on SQLite and PostgreSQL.

A list holds no bits: what a bit says is read from the revocations themselves, so that the two cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Index, Integer, Table, Text, bindparam, text

from kronborg.core.db import ReadSession, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup
from kronborg.tokens.model import Access

lists_table = Table(
    "tokens_status_lists",
    metadata,
    Column("id", Text, primary_key=True),
    Column("taken", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

statuses_table = Table(
    "tokens_statuses",
    metadata,
    Column("list_id", Text, primary_key=True),
    Column("idx", Integer, primary_key=True, autoincrement=False),
    Column("jti", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    # The client that the token speaks for, where another client got it by exchange.
    Column("subject_client", Text),
    Column("grant_id", Text),
    Column("issued_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_tokens_statuses_expires_at", "expires_at"),
)

_CLAIM = """
UPDATE tokens_status_lists SET taken = taken + ?
WHERE id = (SELECT id FROM tokens_status_lists WHERE taken + ? <= ? AND created_at > ? ORDER BY id LIMIT 1)
AND taken + ? <= ? RETURNING id, taken, created_at
"""
_ADD_LIST = "INSERT INTO tokens_status_lists (id, taken, created_at, expires_at) VALUES (?, ?, ?, ?)"
_LIST = "SELECT created_at, expires_at FROM tokens_status_lists WHERE id = ?"
_LISTS = "SELECT id FROM tokens_status_lists WHERE expires_at > ? ORDER BY id LIMIT 10000"
_ADD = """
INSERT INTO tokens_statuses (list_id, idx, jti, client_id, subject_client, grant_id, issued_at, expires_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_INVALID = text("""
SELECT s.idx FROM tokens_statuses s
LEFT JOIN tokens_revoked r ON r.jti = s.jti
LEFT JOIN tokens_cutoffs x ON x.client_id = s.client_id
LEFT JOIN tokens_cutoffs y ON y.client_id = s.subject_client
LEFT JOIN tokens_grants g ON g.id = s.grant_id
WHERE s.list_id = :list_id AND (
    r.jti IS NOT NULL OR s.issued_at < x.not_before OR s.issued_at < y.not_before OR g.revoked_at IS NOT NULL
    OR (s.grant_id IS NOT NULL AND g.id IS NULL)
)
""").bindparams(bindparam("list_id"))
_CLEAN_STATUSES = """
DELETE FROM tokens_statuses WHERE (list_id, idx) IN
    (SELECT list_id, idx FROM tokens_statuses WHERE expires_at < ? ORDER BY expires_at LIMIT ?) RETURNING 1
"""
_CLEAN_LISTS = """
DELETE FROM tokens_status_lists WHERE id IN (SELECT id FROM tokens_status_lists WHERE expires_at < ? LIMIT ?)
RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class Block:
    """Places of a list that belong to this process: `count` numbers from `first` on."""

    list_id: str
    first: int
    count: int
    opened_at: datetime


def claim_block(execute: Execute, *, size: int, capacity: int, opened_after: datetime) -> Block | None:
    """Take the next places of a list that has some left and is not too old; None when there is none such."""
    limits = (size, size, capacity, to_micros(opened_after), size, capacity)
    rows = execute(_CLAIM, limits)
    return Block(rows[0][0], rows[0][1] - size, size, from_micros(rows[0][2])) if rows else None


def open_list(execute: Execute, list_id: str, *, size: int, now: datetime, expires_at: datetime) -> Block:
    """A new list, and its first places."""
    execute(_ADD_LIST, (list_id, size, to_micros(now), to_micros(expires_at)))
    return Block(list_id, 0, size, now)


def add_status(execute: Execute, list_id: str, idx: int, access: Access) -> None:
    """Whose place it is."""
    times = to_micros(access.issued_at), to_micros(access.expires_at)
    traded = access.grant_id is None and access.subject != access.client_id
    subject_client = access.subject if traded else None
    execute(_ADD, (list_id, idx, access.jti, access.client_id, subject_client, access.grant_id, *times))


async def find_list(lookup: Lookup, list_id: str) -> tuple[datetime, datetime] | None:
    """When a list was opened, and when it is over; None when there is none such."""
    row = await lookup.first(_LIST, (list_id,))
    return None if row is None else (from_micros(row[0]), from_micros(row[1]))


async def live_lists(lookup: Lookup, *, now: datetime) -> tuple[str, ...]:
    """The lists that may concern a token that lives."""
    return tuple(str(row[0]) for row in await lookup.all(_LISTS, (to_micros(now),)))


async def read_invalid(session: ReadSession, list_id: str) -> list[int]:
    """The places of the tokens that were revoked, each themselves or by their grant or client."""
    return [int(str(row[0])) for row in await session.execute(_INVALID.bindparams(list_id=list_id))]


def clean_places(execute: Execute, *, before: datetime, limit: int) -> int:
    """Delete places of tokens that expired, at most so many, and then lists that are over; how many rows."""
    until = to_micros(before), limit
    return len(execute(_CLEAN_STATUSES, until)) or len(execute(_CLEAN_LISTS, until))
