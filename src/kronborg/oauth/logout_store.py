"""The log of back-channel logouts: what each client has to be told, whether it was, and when it is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Column, Index, Integer, Table, Text, text

from kronborg.core.db import UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row

State = Literal["pending", "delivered", "failed"]

_PENDING = text("state = 'pending'")

logouts_table = Table(
    "oauth_logouts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("result", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    # A session ends once: however often that is told, a client has one row for it.
    Index("uq_oauth_logouts_session_client", "session_id", "client_id", unique=True),
    Index("ix_oauth_logouts_due", "next_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index("ix_oauth_logouts_settled_at", "settled_at"),
)

_COLUMNS = "id, client_id, session_id, user_id, state, attempts, result, created_at, next_at, settled_at"
_ADD = f"""
INSERT INTO oauth_logouts ({_COLUMNS}) VALUES (?, ?, ?, ?, 'pending', 0, '', ?, ?, NULL)
ON CONFLICT (session_id, client_id) DO NOTHING RETURNING id
"""  # noqa: S608  # our own columns
_CLAIM = f"""
UPDATE oauth_logouts SET attempts = attempts + 1, next_at = ? WHERE state = 'pending' AND next_at <= ? AND id IN
    (SELECT id FROM oauth_logouts WHERE state = 'pending' AND next_at <= ? ORDER BY next_at LIMIT ?)
RETURNING {_COLUMNS}
"""  # noqa: S608  # our own columns
_DUE = "SELECT 1 FROM oauth_logouts WHERE state = 'pending' AND next_at <= ? LIMIT 1"
_SETTLE = """
UPDATE oauth_logouts SET state = ?, result = ?, settled_at = ? WHERE id = ? AND state = 'pending' RETURNING id
"""
_LATER = "UPDATE oauth_logouts SET result = ?, next_at = ? WHERE id = ? AND state = 'pending'"
_PURGE = """
DELETE FROM oauth_logouts WHERE id IN (SELECT id FROM oauth_logouts WHERE settled_at < ? LIMIT ?) RETURNING id
"""
_LATEST = f"SELECT {_COLUMNS} FROM oauth_logouts ORDER BY id DESC LIMIT ?"  # noqa: S608  # our own columns


@dataclass(frozen=True, slots=True)
class Logout:
    """One notice to one client: this session of this person is over. `result` is a fixed word or two."""

    id: str
    client_id: str
    session_id: str
    user_id: str
    state: State
    attempts: int
    result: str
    created_at: datetime
    next_at: datetime
    settled_at: datetime | None


def add_logout(execute: Execute, *, id: str, client_id: str, session_id: str, user_id: str, now: datetime) -> bool:
    """Note what a client has to be told; False when that was noted before."""
    at = to_micros(now)
    return bool(execute(_ADD, (id, client_id, session_id, user_id, at, at)))


async def is_due(lookup: Lookup, *, now: datetime) -> bool:
    """Whether anybody has to be told now: so that an idle installation writes nothing."""
    return await lookup.first(_DUE, (to_micros(now),)) is not None


def claim_logouts(execute: Execute, *, until: datetime, limit: int, now: datetime) -> tuple[Logout, ...]:
    """Notices that are due; nobody else is given them before `until`."""
    at = to_micros(now)
    return tuple(_logout(row) for row in execute(_CLAIM, (to_micros(until), at, at, limit)))


def settle_logout(execute: Execute, logout_id: str, *, state: State, result: str, now: datetime) -> bool:
    """Note how it ended; False when that is known already."""
    return bool(execute(_SETTLE, (state, result, to_micros(now), logout_id)))


def postpone_logout(execute: Execute, logout_id: str, *, result: str, until: datetime) -> None:
    """Try again later."""
    execute(_LATER, (result, to_micros(until), logout_id))


def purge_logouts(execute: Execute, *, before: datetime, limit: int) -> int:
    """Forget notices that were settled before that moment; how many."""
    return len(execute(_PURGE, (to_micros(before), limit)))


async def latest_logouts(lookup: Lookup, *, limit: int) -> tuple[Logout, ...]:
    """The newest notices first."""
    return tuple(_logout(row) for row in await lookup.all(_LATEST, (limit,)))


def _logout(row: Row) -> Logout:
    settled_at = None if row[9] is None else from_micros(row[9])
    return Logout(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        from_micros(row[7]),
        from_micros(row[8]),
        settled_at,
    )
