"""The tables of sign-in (passwords, sessions, throttle counters) and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

import orjson
from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row

from kronborg.core.db import Database, Json, ReadSession, Session, UtcDateTime, from_micros, metadata
from kronborg.signin.model import BrowserSession, Visit

passwords_table = Table(
    "signin_passwords",
    metadata,
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

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
    Index("ix_signin_sessions_user_id", "user_id"),
    Index("ix_signin_sessions_expires_at", "expires_at"),
    Index("ix_signin_sessions_last_seen_at", "last_seen_at"),
)

attempts_table = Table(
    "signin_attempts",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("blocked_until", UtcDateTime, nullable=False),
    Index("ix_signin_attempts_last_at", "last_at"),
)

_passwords, _sessions, _attempts = passwords_table.c, sessions_table.c, attempts_table.c

# One indexed read for each page and each authorize request, so it is plain SQL.
_FIND_VISIT = """
SELECT s.user_id, s.id, s.auth_time, s.amr, u.username, u.name, u.email, s.last_seen_at, s.expires_at, u.disabled,
       p.changed_at
FROM signin_sessions s JOIN accounts_users u ON u.id = s.user_id LEFT JOIN signin_passwords p ON p.user_id = u.id
WHERE s.digest = ?
"""


async def read_password(session: ReadSession, user_id: str) -> str | None:
    """The encoded hash of a user's password."""
    return cast("str | None", await session.scalar(select(_passwords.hash).where(_passwords.user_id == user_id)))


async def write_password(session: Session, user_id: str, encoded: str, *, now: datetime) -> None:
    """Set a user's hash, in place of an older one."""
    statement = insert(passwords_table).values(user_id=user_id, hash=encoded, changed_at=now)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["user_id"], set_={"hash": encoded, "changed_at": now})
    )


async def swap_hash(session: Session, user_id: str, *, old: str, new: str) -> None:
    """The same password under newer parameters; loses to a password changed meanwhile."""
    mine = (_passwords.user_id == user_id) & (_passwords.hash == old)
    await session.execute(update(passwords_table).where(mine).values(hash=new))


async def insert_session(session: Session, row: BrowserSession, digest: bytes) -> None:
    """One new session."""
    values = {name: getattr(row, name) for name in row.__slots__}
    await session.execute(insert(sessions_table).values(**values | {"amr": list(row.amr), "digest": digest}))


async def renew_session_row(session: Session, row: BrowserSession, digest: bytes) -> bool:
    """New secret and times for the session with this id and user; False when it is gone."""
    mine = (_sessions.id == row.id) & (_sessions.user_id == row.user_id)
    values = {name: getattr(row, name) for name in ("auth_time", "last_seen_at", "expires_at", "user_agent", "address")}
    changed = update(sessions_table).where(mine).values(**values, amr=list(row.amr), digest=digest)
    return await session.scalar(changed.returning(_sessions.id)) is not None


async def find_visit(
    database: Database, digest: bytes, *, now: datetime, idle: timedelta
) -> tuple[Visit, datetime] | None:
    """Who is signed in by the cookie with this digest, and when it was last seen; None if it is over or disabled."""
    row = await database.lookup.first(_FIND_VISIT, (digest,))
    if row is None:
        return None
    user_id, sid, auth_time, amr, username, name, email, seen, expires, disabled, changed = cast(
        "tuple[str, str, int, str, str, str, str | None, int, int, bool, int | None]", row
    )
    last_seen = from_micros(seen)
    if disabled or from_micros(expires) <= now or last_seen + idle <= now:
        return None
    password_changed = None if changed is None else from_micros(changed)
    visit = Visit(
        user_id, sid, from_micros(auth_time), tuple(orjson.loads(amr)), username, name, email, password_changed
    )
    return visit, last_seen


async def touch_session(session: Session, session_id: str, *, now: datetime, unless_since: datetime) -> None:
    """Note that a session is in use, unless that was noted since `unless_since`."""
    due = (_sessions.id == session_id) & (_sessions.last_seen_at < unless_since)
    await session.execute(update(sessions_table).where(due).values(last_seen_at=now))


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


async def lock_counter(session: Session, key: bytes, *, now: datetime) -> tuple[int, datetime, datetime]:
    """The failures, last time and end of the wait of one counter, made if absent and held until the commit."""
    fresh = insert(attempts_table).values(key=key, failures=0, last_at=now, blocked_until=now)
    await session.execute(fresh.on_conflict_do_nothing())
    row = await session.first(select(attempts_table).where(_attempts.key == key).with_for_update())
    if row is None:
        raise LookupError("a counter vanished inside a transaction")
    return cast("int", row.failures), cast("datetime", row.last_at), cast("datetime", row.blocked_until)


async def write_counter(
    session: Session, key: bytes, *, failures: int, last_at: datetime, blocked_until: datetime
) -> None:
    """The new state of one counter."""
    await session.execute(
        update(attempts_table)
        .where(_attempts.key == key)
        .values(failures=failures, last_at=last_at, blocked_until=blocked_until)
    )


async def read_wait(session: ReadSession, keys: Sequence[bytes], *, now: datetime) -> datetime | None:
    """The latest end of a wait among these counters, if it is still to come."""
    latest = await session.scalar(
        select(func.max(_attempts.blocked_until, type_=UtcDateTime)).where(_attempts.key.in_(keys))
    )
    until = cast("datetime | None", latest)
    return until if until is not None and until > now else None


async def delete_counter(session: Session, key: bytes) -> None:
    """Forget one counter."""
    await session.execute(delete(attempts_table).where(_attempts.key == key))


async def delete_old_counters(session: Session, *, before: datetime, keep: int) -> int:
    """Forget counters last used before `before`, and the oldest beyond `keep`; how many."""
    over = _attempts.last_at < before
    edge = await session.scalar(select(_attempts.last_at).order_by(_attempts.last_at.desc()).offset(keep).limit(1))
    if edge is not None:
        over |= _attempts.last_at <= cast("datetime", edge)
    return len(await session.execute(delete(attempts_table).where(over).returning(_attempts.last_at)))


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
    )
