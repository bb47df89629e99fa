"""Which objects a file manages, what it last made of them, and the marks of the secrets it gave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Column, Table, Text, delete, insert, select

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.json import JsonValue

declared_table = Table(
    "gateway_declared",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("fields", Json, nullable=False),
    Column("mark", Text),
    Column("applied_at", UtcDateTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Declared:
    """One object that a file manages. `mark` recognises the secret the file gave it, and cannot be turned back."""

    kind: str
    key: str
    label: str
    fields: Mapping[str, JsonValue]
    mark: str | None


async def list_declared(session: ReadSession) -> tuple[Declared, ...]:
    """Everything that files manage."""
    table = declared_table
    columns = (table.c.kind, table.c.key, table.c.label, table.c.fields, table.c.mark)
    found = []
    for row in await session.execute(select(*columns).order_by(table.c.kind, table.c.key)):
        kind, key, label, fields, mark = tuple[object, ...](row)
        known = cast("Mapping[str, JsonValue]", fields)
        found.append(Declared(str(kind), str(key), str(label), known, None if mark is None else str(mark)))
    return tuple(found)


async def replace_declared(session: Session, all_of_them: tuple[Declared, ...], *, now: datetime) -> None:
    """Make these what files manage, and nothing else."""
    await session.execute(delete(declared_table))
    rows: list[dict[str, object]] = [
        {
            "kind": one.kind,
            "key": one.key,
            "label": one.label,
            "fields": one.fields,
            "mark": one.mark,
            "applied_at": now,
        }
        for one in all_of_them
    ]
    await session.execute_many(insert(declared_table), rows)
