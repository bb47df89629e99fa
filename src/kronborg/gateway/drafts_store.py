"""Rows of drafts: named sets of changes that nobody is served by yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Column, Integer, Table, Text, delete, func, insert, select, update

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.model import Route, Service
from kronborg.gateway.snapshot import decode_policy, decode_route, decode_service, encode

drafts_table = Table(
    "gateway_drafts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("comment", Text, nullable=False),
    Column("base", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
changes_table = Table(
    "gateway_draft_changes",
    metadata,
    Column("draft", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("content", Text),
    Column("before", Text),
    Column("author", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

Kind = Literal["service", "route", "policy"]
Thing = Service | Route | NamedPolicy


@dataclass(frozen=True, slots=True)
class Draft:
    """A named set of changes. `base` is the version that was published when it was made or last brought up to date."""

    name: str
    comment: str
    base: int
    author: str
    created_at: datetime
    updated_at: datetime
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One object as the draft wants it, None to remove it; `before` is what it was when somebody decided that."""

    kind: Kind
    name: str
    after: Thing | None
    before: Thing | None
    author: str
    at: datetime


async def list_drafts(session: ReadSession) -> tuple[Draft, ...]:
    """All drafts, by name; there are never many."""
    counted = (
        select(changes_table.c.draft, func.count().label("many")).group_by(changes_table.c.draft).subquery("counted")
    )
    joined = drafts_table.outerjoin(counted, counted.c.draft == drafts_table.c.name)
    wanted = select(drafts_table, func.coalesce(counted.c.many, 0)).select_from(joined).order_by(drafts_table.c.name)
    return tuple(_draft(tuple(row)) for row in await session.execute(wanted))


async def find_draft(session: ReadSession, name: str) -> Draft | None:
    """One draft."""
    row = await session.first(select(drafts_table).where(drafts_table.c.name == name))
    if row is None:
        return None
    many = await session.scalar(select(func.count()).select_from(changes_table).where(changes_table.c.draft == name))
    return _draft((*tuple(row), many))


async def insert_draft(session: Session, draft: Draft) -> None:
    """A new draft."""
    await session.execute(
        insert(drafts_table).values(
            name=draft.name,
            comment=draft.comment,
            base=draft.base,
            author=draft.author,
            created_at=draft.created_at,
            updated_at=draft.updated_at,
        )
    )


async def touch_draft(
    session: Session, name: str, *, now: datetime, base: int | None = None, comment: str | None = None
) -> None:
    """Note that a draft was worked on."""
    values: dict[str, object] = {"updated_at": now}
    if base is not None:
        values["base"] = base
    if comment is not None:
        values["comment"] = comment
    await session.execute(update(drafts_table).where(drafts_table.c.name == name).values(**values))


async def delete_draft(session: Session, name: str) -> None:
    """Remove a draft and what it holds."""
    await session.execute(delete(changes_table).where(changes_table.c.draft == name))
    await session.execute(delete(drafts_table).where(drafts_table.c.name == name))


async def list_changes(session: ReadSession, draft: str) -> tuple[Change, ...]:
    """What a draft holds: services, then routes, then shared policies, by name."""
    table = changes_table
    wanted = select(table).where(table.c.draft == draft).order_by(table.c.kind.desc(), table.c.name)
    return tuple(_change(tuple(row)) for row in await session.execute(wanted))


async def find_change(session: ReadSession, draft: str, kind: Kind, name: str) -> Change | None:
    """What a draft holds about one object."""
    table = changes_table
    row = await session.first(
        select(table).where(table.c.draft == draft, table.c.kind == kind, table.c.name == name).limit(1)
    )
    return None if row is None else _change(tuple(row))


async def put_change(session: Session, draft: str, change: Change) -> None:
    """Hold one change, in place of what was held about the same object."""
    await drop_change(session, draft, change.kind, change.name)
    await session.execute(
        insert(changes_table).values(
            draft=draft,
            kind=change.kind,
            name=change.name,
            content=_written(change.after),
            before=_written(change.before),
            author=change.author,
            at=change.at,
        )
    )


async def drop_change(session: Session, draft: str, kind: Kind, name: str) -> bool:
    """Let go of a change; whether it was there."""
    table = changes_table
    gone = await session.execute(
        delete(table).where(table.c.draft == draft, table.c.kind == kind, table.c.name == name).returning(table.c.name)
    )
    return bool(gone)


def _written(thing: Thing | None) -> str | None:
    return None if thing is None else encode(thing).decode()


def _draft(row: tuple[object, ...]) -> Draft:
    name, comment, base, author, created_at, updated_at, many = row
    if not isinstance(created_at, datetime) or not isinstance(updated_at, datetime):
        raise TypeError("a row of gateway_drafts is not as written")
    texts = (str(name), str(comment), int(str(base)), str(author))
    return Draft(*texts, created_at, updated_at, int(str(many)))


def _change(row: tuple[object, ...]) -> Change:
    _, kind, name, content, before, author, at = row
    if not isinstance(at, datetime):
        raise TypeError("a row of gateway_draft_changes is not as written")
    known: Kind = "service" if kind == "service" else "policy" if kind == "policy" else "route"
    return Change(known, str(name), _read(known, content), _read(known, before), str(author), at)


def _read(kind: Kind, content: object) -> Thing | None:
    if content is None:
        return None
    if kind == "policy":
        return decode_policy(str(content))
    return decode_service(str(content)) if kind == "service" else decode_route(str(content))
