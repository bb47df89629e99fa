"""The tables of sign-in (passwords, throttle counters) and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata

passwords_table = Table(
    "signin_passwords",
    metadata,
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
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


async def swap_hash(session: Session, user_id: str, *, old: str, new: str) -> None:
    """The same password under newer parameters; loses to a password changed meanwhile."""
    mine = (_passwords.user_id == user_id) & (_passwords.hash == old)
    await session.execute(update(passwords_table).where(mine).values(hash=new))


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
