"""The letters that wait to be sent, and the SQL that touches them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, Integer, Table, Text, insert

from kronborg.core.db import Session, UtcDateTime, metadata

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


async def insert_letter(session: Session, letter_id: str, sealed: str, *, now: datetime) -> None:
    """One new letter, due at once."""
    values = {"id": letter_id, "sealed": sealed, "attempts": 0, "written_at": now, "next_at": now}
    await session.execute(insert(letters_table).values(**values))
