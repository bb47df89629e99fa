"""What happened: one table that is both the audit log and the outbox of news for the worker.

Calls go down, news goes up: a slice records an event in the transaction of the change itself, and
`worker.py` hands it to the handlers of other slices. Rows are never changed but for `handled_at`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from kronborg.core.db import ReadSession, Session, to_micros
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject
from kronborg.core.log import current_request_id
from kronborg.core.store import insert_event, insert_event_in, mark_handled, read_events, read_unhandled

__all__ = ["Event", "handled", "latest", "record", "record_in", "waiting"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `name` reads like `client.created`; `detail` never holds a secret."""

    seq: int
    id: str
    name: str
    actor: str
    subject: str
    at: datetime
    detail: JsonObject
    request_id: str


async def record(
    session: Session, name: str, *, actor: str, subject: str, now: datetime, detail: JsonObject | None = None
) -> None:
    """Record an event in the caller's transaction: it stands exactly when the change stands."""
    await insert_event(
        session,
        id=new_id(),
        name=name,
        actor=actor,
        subject=subject,
        at=now,
        detail=dict(detail or {}),
        request_id=current_request_id(),
    )


def record_in(
    execute: Execute, name: str, *, actor: str, subject: str, now: datetime, detail: JsonObject | None = None
) -> None:
    """Record an event inside a unit of the group writer."""
    body = orjson.dumps(dict(detail or {})).decode()
    insert_event_in(execute, (new_id(), name, actor, subject, to_micros(now), body, current_request_id()))


async def waiting(session: ReadSession, *, limit: int = 100) -> Sequence[Event]:
    """The oldest events that the worker has not handled yet."""
    return [Event(*tuple(row)) for row in await read_unhandled(session, limit=limit)]


async def handled(session: Session, event_id: str, *, now: datetime) -> None:
    """Note that every handler of an event has run."""
    await mark_handled(session, event_id, now=now)


async def latest(session: ReadSession, *, before: int | None = None, limit: int = 50) -> Sequence[Event]:
    """The newest events first, older than sequence number `before` if given; at most 200."""
    return [Event(*tuple(row)) for row in await read_events(session, before=before, limit=min(limit, 200))]
