"""The table of sessions, and the SQL that touches it.

Who a session belongs to is read in the same statement, from the table of accounts: it happens at every page.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

import orjson
from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table, Text, delete, insert, select, text, update
from sqlalchemy.engine import Row

from kronborg.core.db import Database, Json, ReadSession, Session, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Value
from kronborg.sessions.model import BrowserSession, Visit

sessions_table = Table(
    "signin_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), nullable=False),
    Column("amr", Json, nullable=False),
    Column("auth_time", UtcDateTime, nullable=False),
    Column("last_seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("vouched_by", Text, nullable=False, server_default=""),
    Column("told", Text, nullable=False, server_default=""),
    Index(
        "ix_signin_sessions_told",
        "vouched_by",
        "told",
        sqlite_where=text("vouched_by <> ''"),
        postgresql_where=text("vouched_by <> ''"),
    ),
    Index("ix_signin_sessions_user_id", "user_id"),
    Index("ix_signin_sessions_expires_at", "expires_at"),
    Index("ix_signin_sessions_last_seen_at", "last_seen_at"),
)

_sessions = sessions_table.c

# One indexed read for each page and each authorize request, so it is plain SQL.
_FIND_VISIT = """
SELECT s.user_id, s.id, s.auth_time, s.amr, u.username, u.name, u.email, u.locale, s.last_seen_at, s.expires_at,
       u.disabled
FROM signin_sessions s JOIN accounts_users u ON u.id = s.user_id
WHERE s.digest = ?
"""
_ADD = """
INSERT INTO signin_sessions
(id, digest, user_id, amr, auth_time, last_seen_at, expires_at, user_agent, address, vouched_by, told)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_RENEW = """
UPDATE signin_sessions SET digest = ?, amr = ?, auth_time = ?, last_seen_at = ?, expires_at = ?, user_agent = ?,
       address = ?, vouched_by = ?, told = ?
WHERE id = ? AND user_id = ? RETURNING id
"""
_TOUCH = "UPDATE signin_sessions SET last_seen_at = ? WHERE id = ? AND last_seen_at < ?"
_DROP = "DELETE FROM signin_sessions WHERE id = ? AND user_id = ? RETURNING id"


def add_session(execute: Execute, row: BrowserSession, digest: bytes) -> None:
    """One new session, in a unit."""
    execute(_ADD, (row.id, digest, row.user_id, *_values(row)))


def renew_session(execute: Execute, row: BrowserSession, digest: bytes) -> bool:
    """New secret, times and proofs for the session with this id and user, in a unit; False when it is gone."""
    return bool(execute(_RENEW, (digest, *_values(row), row.id, row.user_id)))


def touch_session(execute: Execute, session_id: str, *, now: datetime, unless_since: datetime) -> None:
    """Note that a session is in use, unless that was noted since `unless_since`; in a unit."""
    execute(_TOUCH, (to_micros(now), session_id, to_micros(unless_since)))


def drop_session(execute: Execute, session_id: str, *, user_id: str) -> bool:
    """End one session of this user, in a unit; False when there is none."""
    return bool(execute(_DROP, (session_id, user_id)))


def _values(row: BrowserSession) -> tuple[Value, ...]:
    times = to_micros(row.auth_time), to_micros(row.last_seen_at), to_micros(row.expires_at)
    return orjson.dumps(row.amr).decode(), *times, row.user_agent, row.address, row.vouched_by, row.told


async def insert_session(session: Session, row: BrowserSession, digest: bytes) -> None:
    """One new session."""
    values = {name: getattr(row, name) for name in row.__slots__}
    await session.execute(insert(sessions_table).values(**values | {"amr": list(row.amr), "digest": digest}))


async def renew_session_row(session: Session, row: BrowserSession, digest: bytes) -> bool:
    """New secret and times for the session with this id and user; False when it is gone."""
    mine = (_sessions.id == row.id) & (_sessions.user_id == row.user_id)
    values = {name: getattr(row, name) for name in row.__slots__ if name not in ("id", "user_id", "amr")}
    changed = update(sessions_table).where(mine).values(**values, amr=list(row.amr), digest=digest)
    return await session.scalar(changed.returning(_sessions.id)) is not None


async def replace_digest(session: Session, session_id: str, *, user_id: str, digest: bytes) -> bool:
    """Another secret for the session with this id and user, and nothing else; False when it is gone."""
    mine = (_sessions.id == session_id) & (_sessions.user_id == user_id)
    changed = update(sessions_table).where(mine).values(digest=digest)
    return await session.scalar(changed.returning(_sessions.id)) is not None


async def find_visit(
    database: Database, digest: bytes, *, now: datetime, idle: timedelta
) -> tuple[Visit, datetime] | None:
    """Who is signed in by the cookie with this digest, and when it was last seen; None if it is over or disabled."""
    row = await database.lookup.first(_FIND_VISIT, (digest,))
    if row is None:
        return None
    user_id, sid, auth_time, amr, username, name, email, locale, seen, expires, disabled = cast(
        "tuple[str, str, int, str, str, str, str | None, str, int, int, bool]", row
    )
    last_seen = from_micros(seen)
    if disabled or from_micros(expires) <= now or last_seen + idle <= now:
        return None
    visit = Visit(user_id, sid, from_micros(auth_time), tuple(orjson.loads(amr)), username, name, email, locale)
    return visit, last_seen


async def list_sessions(
    session: ReadSession, user_id: str, *, now: datetime, idle: timedelta, limit: int = 100
) -> Sequence[BrowserSession]:
    """The live sessions of a user, the one used last first."""
    query = (
        select(sessions_table)
        .where(_sessions.user_id == user_id, _sessions.expires_at > now, _sessions.last_seen_at > now - idle)
        .order_by(_sessions.last_seen_at.desc())
        .limit(limit)
    )
    return [_session(row) for row in await session.execute(query)]


async def find_session(session: ReadSession, session_id: str) -> BrowserSession | None:
    """The session with this `sid`, live or not yet purged."""
    row = await session.first(select(sessions_table).where(_sessions.id == session_id))
    return None if row is None else _session(row)


async def delete_session(session: Session, session_id: str, *, user_id: str) -> bool:
    """End one session of this user; False when there is none."""
    mine = (_sessions.id == session_id) & (_sessions.user_id == user_id)
    return await session.scalar(delete(sessions_table).where(mine).returning(_sessions.id)) is not None


async def delete_sessions_of(session: Session, user_id: str, *, but: str | None = None) -> Sequence[str]:
    """End every session of a user except `but`; the ids of those that ended."""
    mine = _sessions.user_id == user_id
    if but is not None:
        mine &= _sessions.id != but
    rows = await session.execute(delete(sessions_table).where(mine).returning(_sessions.id))
    return [str(row.id) for row in rows]


async def delete_sessions_told(
    session: Session, vouched_by: str, *, told: str | None = None, user_id: str | None = None
) -> Sequence[tuple[str, str]]:
    """End the sessions that this provider vouched for: the one it calls `told`, or those of a user; (session, user)."""
    if told is None and user_id is None:
        raise ValueError("name a session or a user")
    theirs = _sessions.vouched_by == vouched_by
    if told is not None:
        theirs &= _sessions.told == told
    if user_id is not None:
        theirs &= _sessions.user_id == user_id
    rows = await session.execute(delete(sessions_table).where(theirs).returning(_sessions.id, _sessions.user_id))
    return [(str(row.id), str(row.user_id)) for row in rows]


async def delete_expired_sessions(
    session: Session, *, now: datetime, idle: timedelta, limit: int
) -> Sequence[tuple[str, str]]:
    """Forget sessions that are over, at most `limit`; (session, user) of each."""
    over = (_sessions.expires_at <= now) | (_sessions.last_seen_at <= now - idle)
    some = select(_sessions.id).where(over).limit(limit)
    rows = await session.execute(
        delete(sessions_table).where(_sessions.id.in_(some)).returning(_sessions.id, _sessions.user_id)
    )
    return [(str(row.id), str(row.user_id)) for row in rows]


def _session(row: Row[tuple[object, ...]]) -> BrowserSession:
    return BrowserSession(
        row.id,
        row.user_id,
        tuple(row.amr),
        row.auth_time,
        row.last_seen_at,
        row.expires_at,
        row.user_agent,
        row.address,
        row.vouched_by,
        row.told,
    )
