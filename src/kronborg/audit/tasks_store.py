"""What handlers of the worker have still to do: a row for each event and handler, until it is done or given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from kronborg.audit.model import Sealed
from kronborg.core.db import UtcDateTime, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Value

tasks_table = Table(
    "audit_tasks",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("handler", Text, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Index("ix_audit_tasks_next_at", "next_at", "seq"),
)

_ADD = "INSERT INTO audit_tasks (seq, handler, attempts, next_at) VALUES "
_DUE = "SELECT 1 FROM audit_tasks WHERE next_at <= ? LIMIT 1"
_CLAIM = """
UPDATE audit_tasks SET attempts = attempts + 1, next_at = ? WHERE next_at <= ? AND (seq, handler) IN
    (SELECT seq, handler FROM audit_tasks WHERE next_at <= ? ORDER BY next_at, seq LIMIT ?)
RETURNING seq, handler, attempts
"""
_EVENTS = "SELECT seq, id, name, actor, subject, at, detail, request_id FROM core_events WHERE seq IN "
_DONE = "DELETE FROM audit_tasks WHERE seq = ? AND handler = ?"
_LATER = "UPDATE audit_tasks SET next_at = ? WHERE seq = ? AND handler = ?"


@dataclass(frozen=True, slots=True)
class Task:
    """An event that a handler has to hear of; `attempts` counts this one too."""

    event: Sealed
    handler: str
    attempts: int


def add_tasks(execute: Execute, pairs: Sequence[tuple[int, str]], *, now: datetime) -> None:
    """Note what handlers have to do, at once."""
    values: list[Value] = []
    for seq, handler in pairs:
        values += (seq, handler, 0, to_micros(now))
    if values:
        execute(_ADD + ", ".join(["(?, ?, ?, ?)"] * len(pairs)), values)


async def is_due(lookup: Lookup, *, now: datetime) -> bool:
    """Whether a handler has something to do now."""
    return await lookup.first(_DUE, (to_micros(now),)) is not None


def claim_tasks(execute: Execute, *, until: datetime, limit: int, now: datetime) -> list[Task]:
    """What is due, oldest event first; nobody else is given it before `until`."""
    at = to_micros(now)
    claimed = sorted(execute(_CLAIM, (to_micros(until), at, at, limit)))
    seqs = sorted({int(row[0]) for row in claimed})
    if not seqs:
        return []
    rows = execute(f"{_EVENTS}({', '.join('?' * len(seqs))})", seqs)
    events = {int(row[0]): Sealed(0, "", *row) for row in rows}
    return [Task(events[int(seq)], str(name), int(attempts)) for seq, name, attempts in claimed if int(seq) in events]


def finish_tasks(execute: Execute, tasks: Sequence[Task]) -> None:
    """They are done, or given up."""
    for task in tasks:
        execute(_DONE, (task.event.seq, task.handler))


def postpone_task(execute: Execute, task: Task, *, until: datetime) -> None:
    """Try it again later."""
    execute(_LATER, (to_micros(until), task.event.seq, task.handler))
