"""What the log of events says about one person, and the SQL that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.engine import Row

from kronborg.core.db import ReadSession, Session
from kronborg.core.events import Event
from kronborg.core.store import events_table
from kronborg.signin.store import passwords_table

_events = events_table.c
_columns = (
    _events.seq,
    _events.id,
    _events.name,
    _events.actor,
    _events.subject,
    _events.at,
    _events.detail,
    _events.request_id,
)


async def events_about(
    session: ReadSession, user_id: str, names: Sequence[str], *, before: int | None, limit: int
) -> Sequence[Event]:
    """The newest events about a person with one of these names, older than sequence number `before` if given."""
    query = select(*_columns).where(_events.subject == user_id, _events.name.in_(names))
    if before is not None:
        query = query.where(_events.seq < before)
    rows = await session.execute(query.order_by(_events.seq.desc()).limit(limit))
    return [_event(row) for row in rows]


async def all_events_about(session: ReadSession, user_id: str, *, limit: int) -> Sequence[Event]:
    """The newest events about a person, at most so many."""
    query = select(*_columns).where(_events.subject == user_id).order_by(_events.seq.desc()).limit(limit)
    return [_event(row) for row in await session.execute(query)]


async def happened_before(session: ReadSession, user_id: str, name: str, seq: int) -> bool:
    """Whether the log knows an earlier event of this name about this person."""
    query = select(_events.seq).where(_events.subject == user_id, _events.name == name, _events.seq < seq).limit(1)
    return await session.scalar(query) is not None


async def drop_password(session: Session, user_id: str, *, set_before: datetime) -> bool:
    """Take away a password that was set before then; False when there is none."""
    own = (passwords_table.c.user_id == user_id) & (passwords_table.c.changed_at <= set_before)
    gone = delete(passwords_table).where(own).returning(passwords_table.c.user_id)
    return await session.scalar(gone) is not None


def _event(row: Row[tuple[object, ...]]) -> Event:
    return Event(row.seq, row.id, row.name, row.actor, row.subject, row.at, row.detail, row.request_id)
