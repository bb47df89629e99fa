"""What happened: one table that is both the audit log and the outbox of news for the worker.

Calls go down, news goes up: a slice records an event in the transaction of the change itself, and
`worker.py` hands it to the handlers of other slices. Rows are never changed: the chain over them (slice `audit`) shows
it, and triggers of the database refuse it.

A change is told as `detail["changed"] = {field: [before, after]}`, made by `changes`. Secrets are never recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from pathlib import PurePath

import orjson

from kronborg.core.db import ReadSession, Session, to_micros
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.log import current_request_id
from kronborg.core.personal import CHANGED, sealed_detail
from kronborg.core.store import insert_event, insert_event_in, insert_events, read_events

__all__ = ["Event", "changes", "latest", "record", "record_each", "record_in"]

HIDDEN = frozenset({"created_at", "updated_at", "secrets", "secret", "password", "password_hash", "sealed", "digest"})
"""What is never told of a change: what changes by itself, and what is secret."""
OF_PEOPLE = "user."
"""The subject of such an event is a person, about whom its detail may hold personal values."""


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
    session: Session,
    name: str,
    *,
    actor: str,
    subject: str,
    now: datetime,
    detail: JsonObject | None = None,
    person: str | None = None,
) -> None:
    """Record an event in the caller's transaction: it stands exactly when the change stands.

    Personal values (`core/personal.py`) are sealed for `person`: by default the subject of an event `user.…`.
    """
    told: JsonObject = dict(detail or {})
    about = person or (subject if name.startswith(OF_PEOPLE) else "")
    if about and told:
        told = await sealed_detail(session, told, about, now=now)
    await insert_event(
        session,
        id=new_id(),
        name=name,
        actor=actor,
        subject=subject,
        at=now,
        detail=told,
        request_id=current_request_id(),
    )


async def record_each(
    session: Session,
    name: str,
    subjects: Sequence[str],
    *,
    actor: str,
    now: datetime,
    detail: JsonObject | None = None,
) -> None:
    """Record the same of many subjects; `detail` holds nothing personal."""
    request_id = current_request_id()
    rows: list[dict[str, object]] = [
        {
            "id": new_id(),
            "name": name,
            "actor": actor,
            "subject": subject,
            "at": now,
            "detail": dict(detail or {}),
            "request_id": request_id,
        }
        for subject in subjects
    ]
    await insert_events(session, rows)


def changes(before: object | None, after: object | None, *, but: Collection[str] = ()) -> JsonObject:
    """`{"changed": {field: [before, after]}}` of two frozen values of one kind; None where there is nothing yet or any
    more. Only what differs is told, and of a value that is new or gone only what is not empty.

    `but` names fields to leave out besides `HIDDEN`.
    """
    hidden = HIDDEN.union(but)
    old, new = _fields_of(before), _fields_of(after)
    told: dict[str, JsonValue] = {}
    for name in [*old, *(name for name in new if name not in old)]:
        first, second = old.get(name), new.get(name)
        if name in hidden or first == second:
            continue
        if is_dataclass(first) or is_dataclass(second):
            inner = changes(first, second, but=but)[CHANGED]
            told |= {f"{name}.{one}": pair for one, pair in inner.items()} if isinstance(inner, Mapping) else {}
            continue
        pair = plain(first), plain(second)
        if pair[0] != pair[1] and not all(each in (None, "", [], {}, False) for each in pair):
            told[name] = list(pair)
    return {CHANGED: told}


def _fields_of(value: object | None) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return {}


def plain(value: object) -> JsonValue:
    """A value of one of our nouns as JSON: times in RFC 3339, durations in seconds, what is secret left out."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(each) for each in value)
    if isinstance(value, Mapping) or is_dataclass(value):
        return {str(name): plain(each) for name, each in _fields_of(value).items() if name not in HIDDEN}
    return "(not shown)"


def record_in(
    execute: Execute, name: str, *, actor: str, subject: str, now: datetime, detail: JsonObject | None = None
) -> None:
    """Record an event inside a unit of the group writer."""
    body = orjson.dumps(dict(detail or {})).decode()
    insert_event_in(execute, (new_id(), name, actor, subject, to_micros(now), body, current_request_id()))


async def latest(session: ReadSession, *, before: int | None = None, limit: int = 50) -> Sequence[Event]:
    """The newest events first, older than sequence number `before` if given; at most 200."""
    return [Event(*tuple(row)) for row in await read_events(session, before=before, limit=min(limit, 200))]
