"""The tables of sign-in (passwords, throttle counters) and the SQL that touches them.

What every sign-in does is plain SQL: one lookup of who it is, and parts of units of the group writer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, delete, select
from sqlalchemy.dialects.postgresql import insert

from kronborg.core.db import ReadSession, Session, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup
from kronborg.signin.model import Account

passwords_table = Table(
    "signin_passwords",
    metadata,
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

former_table = Table(
    "signin_former_passwords",
    metadata,
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("changed_at", UtcDateTime, primary_key=True),
    Column("hash", Text, nullable=False),
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

_passwords, _attempts = passwords_table.c, attempts_table.c

# --- who signs in --------------------------------------------------------------------------------------------------

_ACCOUNT = """
SELECT u.id, u.username, u.disabled, u.kind, u.managed_by, p.hash
FROM accounts_users u LEFT JOIN signin_passwords p ON p.user_id = u.id
WHERE """
_BY_USERNAME, _BY_EMAIL = _ACCOUNT + "u.username_key = ?", _ACCOUNT + "u.email_key = ?"
_STANDING = """
SELECT (u.disabled OR u.kind <> 'person'), p.hash
FROM accounts_users u LEFT JOIN signin_passwords p ON p.user_id = u.id WHERE u.id = ?
"""
_SWAP = "UPDATE signin_passwords SET hash = ? WHERE user_id = ? AND hash = ?"


async def find_account(lookup: Lookup, key: str) -> Account | None:
    """Who has this folded username, or this folded e-mail address if there is an `@` in it (usernames have none)."""
    row = await lookup.first(_BY_EMAIL if "@" in key else _BY_USERNAME, (key,))
    return None if row is None else Account(row[0], row[1], bool(row[2]), row[3], row[4], row[5])


def standing_of(execute: Execute, user_id: str) -> tuple[bool, str | None] | None:
    """Whether somebody may not sign in by now, and the hash of now; None when the account is gone."""
    rows = execute(_STANDING, (user_id,))
    return (bool(rows[0][0]), rows[0][1]) if rows else None


def swap_hash(execute: Execute, user_id: str, *, old: str, new: str) -> None:
    """The same password under newer parameters; loses to a password changed meanwhile."""
    execute(_SWAP, (new, user_id, old))


# --- passwords -----------------------------------------------------------------------------------------------------


async def read_password(session: ReadSession, user_id: str) -> str | None:
    """The encoded hash of a user's password."""
    return cast("str | None", await session.scalar(select(_passwords.hash).where(_passwords.user_id == user_id)))


async def password_changed_at(session: ReadSession, user_id: str) -> datetime | None:
    """When a user's password was last set; None without one."""
    return cast(
        "datetime | None", await session.scalar(select(_passwords.changed_at).where(_passwords.user_id == user_id))
    )


async def write_password(session: Session, user_id: str, encoded: str, *, now: datetime) -> None:
    """Set a user's hash, in place of an older one."""
    statement = insert(passwords_table).values(user_id=user_id, hash=encoded, changed_at=now)
    await session.execute(
        statement.on_conflict_do_update(index_elements=["user_id"], set_={"hash": encoded, "changed_at": now})
    )


_FORMER = """
SELECT hash, changed_at FROM signin_passwords WHERE user_id = ?
UNION ALL SELECT hash, changed_at FROM signin_former_passwords WHERE user_id = ?
ORDER BY changed_at DESC LIMIT ?
"""


async def former_hashes(lookup: Lookup, user_id: str, *, most: int) -> tuple[str, ...]:
    """The hashes of the passwords a user has and had, the newest first."""
    return tuple(str(row[0]) for row in await lookup.all(_FORMER, (user_id, user_id, most)))


async def remember_former(session: Session, user_id: str, *, most: int, now: datetime) -> None:
    """Keep the present hash among the former ones, of which `most` less the present are kept; before it is replaced."""
    former = former_table.c
    present = await session.first(select(passwords_table).where(_passwords.user_id == user_id))
    if present is not None and most > 1:
        kept = insert(former_table).values(user_id=user_id, changed_at=present.changed_at, hash=present.hash)
        await session.execute(kept.on_conflict_do_nothing())
    mine = select(former.changed_at).where(former.user_id == user_id).order_by(former.changed_at.desc())
    oldest = mine.limit(max(most - 1, 0)).subquery()
    too_old = (former.user_id == user_id) & former.changed_at.not_in(select(oldest.c.changed_at))
    await session.execute(delete(former_table).where(too_old))


# --- counters ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """The failures, last time and end of the wait of one counter."""

    failures: int
    last_at: datetime
    blocked_until: datetime


_INSERT_COUNTERS = "INSERT INTO signin_attempts (key, failures, last_at, blocked_until) VALUES "
# Rows that are there already are written as they were: that locks them where a reader would not (PostgreSQL).
_LOCK = """ ON CONFLICT (key) DO UPDATE SET failures = signin_attempts.failures
RETURNING key, failures, last_at, blocked_until"""
_SET = """ ON CONFLICT (key) DO UPDATE
SET failures = excluded.failures, last_at = excluded.last_at, blocked_until = excluded.blocked_until"""


async def longest_wait(lookup: Lookup, keys: Sequence[bytes]) -> datetime | None:
    """The latest end of a wait among these counters; it may be over."""
    sql = f"SELECT MAX(blocked_until) FROM signin_attempts WHERE key IN ({_marks(len(keys))})"  # noqa: S608  # marks only
    row = await lookup.first(sql, keys)
    return None if row is None or row[0] is None else from_micros(row[0])


def lock_counters(execute: Execute, keys: Sequence[bytes], *, now: datetime) -> Mapping[bytes, Counted]:
    """The state of these counters, made if absent and held until the commit, taken in the order of keys."""
    at = to_micros(now)
    values = [value for key in sorted(keys) for value in (key, 0, at, 0)]
    rows = execute(_INSERT_COUNTERS + ", ".join(["(?, ?, ?, ?)"] * len(keys)) + _LOCK, values)
    return {bytes(key): Counted(failures, from_micros(last), from_micros(until)) for key, failures, last, until in rows}


def write_counters(execute: Execute, states: Mapping[bytes, Counted]) -> None:
    """The new states of counters that are held."""
    values: list[bytes | int] = []
    for key, state in sorted(states.items()):
        values += (key, state.failures, to_micros(state.last_at), to_micros(state.blocked_until))
    execute(_INSERT_COUNTERS + ", ".join(["(?, ?, ?, ?)"] * len(states)) + _SET, values)


def drop_counters(execute: Execute, keys: Sequence[bytes]) -> None:
    """Forget counters that are held."""
    execute(f"DELETE FROM signin_attempts WHERE key IN ({_marks(len(keys))})", keys)  # noqa: S608  # marks only


async def delete_old_counters(session: Session, *, before: datetime, keep: int) -> int:
    """Forget counters last used before `before`, and the oldest beyond `keep`; how many."""
    over = _attempts.last_at < before
    edge = await session.scalar(select(_attempts.last_at).order_by(_attempts.last_at.desc()).offset(keep).limit(1))
    if edge is not None:
        over |= _attempts.last_at <= cast("datetime", edge)
    return len(await session.execute(delete(attempts_table).where(over).returning(_attempts.last_at)))


def _marks(count: int) -> str:
    return ", ".join("?" * count)
