"""The rows of the event table, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Row

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata, to_micros
from kronborg.core.group_writer import Execute, Value
from kronborg.core.json import JsonObject

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
    Index("ix_core_events_subject", "subject", "seq"),
    Index("ix_core_events_name", "name", "seq"),
    Index("ix_core_events_actor", "actor", "seq"),
    Index("ix_core_events_at", "at"),
    Index(
        "ix_core_events_request_id",
        "request_id",
        sqlite_where=text("request_id <> ''"),
        postgresql_where=text("request_id <> ''"),
    ),
)
"""What happened. Triggers of the database refuse to change a row, or to delete one above the floor of the chain."""

unsealed_table = Table(
    "core_unsealed",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("news", Integer, nullable=False),
)
"""Events without a place in the chain: a trigger adds them. `news` is 0 for those handed on before there was one."""

person_keys_table = Table(
    "core_person_keys",
    metadata,
    Column("person", Text, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""The key that personal values about somebody are sealed with; without its row they are erased."""

last_settings_table = Table(
    "core_last_settings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("told", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""One row: the settings that the installation started with last, without secrets."""

_INSERT = "INSERT INTO core_events (id, name, actor, subject, at, detail, request_id) VALUES (?, ?, ?, ?, ?, ?, ?)"
_KEEP_KEY = text(
    "INSERT INTO core_person_keys (person, sealed, created_at) VALUES (:person, :sealed, :at) ON CONFLICT DO NOTHING"
)

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


async def insert_events(session: Session, rows: Sequence[dict[str, object]]) -> None:
    """New rows."""
    await session.execute_many(insert(events_table), rows)


def insert_event_in(execute: Execute, values: Sequence[Value]) -> None:
    """One new row from a unit of the group writer: id, name, actor, subject, at, detail, request_id."""
    execute(_INSERT, values)


async def read_events(session: ReadSession, *, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Newest first."""
    query = select(*_columns).order_by(events_table.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(events_table.c.seq < before)
    return await session.execute(query)


async def read_person_key(session: ReadSession, person: str) -> str | None:
    """The sealed key of a person, if there is one."""
    found = await session.scalar(select(person_keys_table.c.sealed).where(person_keys_table.c.person == person))
    return None if found is None else str(found)


async def read_person_keys(session: ReadSession, persons: Collection[str]) -> dict[str, str]:
    """The sealed keys of those among these people who have one."""
    columns = person_keys_table.c
    rows = await session.execute(select(columns.person, columns.sealed).where(columns.person.in_(sorted(persons))))
    return {row.person: row.sealed for row in rows}


async def add_person_key(session: Session, person: str, sealed: str, *, now: datetime) -> None:
    """Keep a key, unless this person has one by now."""
    await session.execute(_KEEP_KEY.bindparams(person=person, sealed=sealed, at=to_micros(now)))


async def delete_person_key(session: Session, person: str) -> None:
    """Destroy the key of a person."""
    await session.execute(delete(person_keys_table).where(person_keys_table.c.person == person))


async def swap_settings(session: Session, told: JsonObject, *, now: datetime) -> JsonObject | None:
    """Keep these settings in place of those of the last start, which are given back; None at the first."""
    columns = last_settings_table.c
    # The row is there before it is read: of two processes that start at once one waits for the other.
    made = upsert(last_settings_table).values(id=1, told={}, at=now)
    first = await session.scalar(made.on_conflict_do_nothing().returning(columns.id)) is not None
    before = await session.scalar(select(columns.told).where(columns.id == 1).with_for_update())
    if before != told:
        await session.execute(update(last_settings_table).where(columns.id == 1).values(told=told, at=now))
    return None if first else cast("JsonObject", before)
