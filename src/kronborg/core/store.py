"""The rows of the event table, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, insert, select, text, update
from sqlalchemy.engine import Row

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.group_writer import Execute, Value

events_table = Table(
    "core_events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("detail", Json, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("handled_at", UtcDateTime),
    Index(
        "ix_core_events_waiting",
        "seq",
        sqlite_where=text("handled_at IS NULL"),
        postgresql_where=text("handled_at IS NULL"),
    ),
    Index("ix_core_events_subject", "subject", "seq"),
)

_INSERT = "INSERT INTO core_events (id, name, actor, subject, at, detail, request_id) VALUES (?, ?, ?, ?, ?, ?, ?)"

_columns = (
    events_table.c.seq,
    events_table.c.id,
    events_table.c.name,
    events_table.c.actor,
    events_table.c.subject,
    events_table.c.at,
    events_table.c.detail,
    events_table.c.request_id,
)


async def insert_event(session: Session, **values: object) -> None:
    """One new row."""
    await session.execute(insert(events_table).values(**values))


def insert_event_in(execute: Execute, values: Sequence[Value]) -> None:
    """One new row from a unit of the group writer: id, name, actor, subject, at, detail, request_id."""
    execute(_INSERT, values)


async def read_unhandled(session: ReadSession, *, limit: int) -> Sequence[Row[Any]]:
    """Rows without `handled_at`, oldest first."""
    query = select(*_columns).where(events_table.c.handled_at.is_(None)).order_by(events_table.c.seq).limit(limit)
    return await session.execute(query)


async def mark_handled(session: Session, event_id: str, *, now: datetime) -> None:
    """Set `handled_at`."""
    await session.execute(update(events_table).where(events_table.c.id == event_id).values(handled_at=now))


async def read_events(session: ReadSession, *, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Newest first."""
    query = select(*_columns).order_by(events_table.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(events_table.c.seq < before)
    return await session.execute(query)
