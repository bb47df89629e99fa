"""The letters that wait to be sent, how many each address was sent, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, case, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata

letters_table = Table(
    "core_letters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("written_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Index("ix_core_letters_next_at", "next_at"),
)

counts_table = Table(
    "core_letter_counts",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("since", UtcDateTime, nullable=False),
    Column("letters", Integer, nullable=False),
    Index("ix_core_letter_counts_since", "since"),
)

_letters, _counts = letters_table.c, counts_table.c


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter that waits, sealed."""

    id: str
    sealed: str
    attempts: int
    written_at: datetime


async def insert_letter(session: Session, letter_id: str, sealed: str, *, now: datetime) -> None:
    """One new letter, due at once."""
    values = {"id": letter_id, "sealed": sealed, "attempts": 0, "written_at": now, "next_at": now}
    await session.execute(insert(letters_table).values(**values))


async def due_letters(session: ReadSession, *, now: datetime, limit: int) -> Sequence[Waiting]:
    """The letters whose turn it is, those that wait longest first."""
    query = select(letters_table).where(_letters.next_at <= now).order_by(_letters.next_at).limit(limit)
    return [Waiting(row.id, row.sealed, row.attempts, row.written_at) for row in await session.execute(query)]


async def claim_letter(session: Session, letter: Waiting, *, until: datetime) -> bool:
    """Count one more attempt; False when another worker has this letter, or had it meanwhile."""
    same = (_letters.id == letter.id) & (_letters.attempts == letter.attempts)
    claimed = update(letters_table).where(same).values(attempts=letter.attempts + 1, next_at=until)
    return await session.scalar(claimed.returning(_letters.id)) is not None


async def put_off_letter(session: Session, letter_id: str, *, until: datetime) -> None:
    """Try again at `until`."""
    await session.execute(update(letters_table).where(_letters.id == letter_id).values(next_at=until))


async def delete_letter(session: Session, letter_id: str) -> None:
    """Forget a letter."""
    await session.execute(delete(letters_table).where(_letters.id == letter_id))


async def count_letter(session: Session, key: bytes, *, since: datetime, now: datetime) -> int:
    """Count one more letter under this key; how many there are in its window, which begins anew if older than that."""
    statement = upsert(counts_table).values(key=key, since=now, letters=1)
    over = _counts.since <= since
    changed = {
        "letters": case((over, 1), else_=_counts.letters + 1),
        "since": case((over, statement.excluded.since), else_=_counts.since),
    }
    counted = statement.on_conflict_do_update(index_elements=["key"], set_=changed).returning(_counts.letters)
    return cast("int", await session.scalar(counted))


async def delete_old_counts(session: Session, *, before: datetime, limit: int) -> int:
    """Forget windows that began before then, at most `limit`; how many."""
    some = select(_counts.key).where(_counts.since < before).limit(limit)
    return len(await session.execute(delete(counts_table).where(_counts.key.in_(some)).returning(_counts.since)))
