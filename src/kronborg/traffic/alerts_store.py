"""Tables of alerts: where each rule stands, what fired and when, silences; and what is counted for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Boolean, Column, Float, Index, Table, Text, delete, desc, insert, or_, select, update

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata, to_micros
from kronborg.core.group_writer import Lookup
from kronborg.traffic.alerts_model import Alert, Phase, Silence, State

states_table = Table(
    "alerts_states",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("value", Float(53)),
    Column("fine_since", UtcDateTime),
    Column("told_at", UtcDateTime),
    Column("alert", Text, nullable=False),
)
history_table = Table(
    "alerts_history",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("fired_at", UtcDateTime, nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("value", Float(53)),
    Column("peak", Float(53)),
    Column("told", Boolean, nullable=False),
    Index("ix_alerts_history_fired_at", "fired_at"),
    Index("ix_alerts_history_resolved_at", "resolved_at"),
)
silences_table = Table(
    "alerts_silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
)

KEPT = timedelta(days=90)
_FAILED_SIGN_INS = "SELECT count(*) FROM core_events WHERE at >= ? AND name IN ('signin.refused', 'factor.refused')"


async def count_failed_sign_ins(lookup: Lookup, since: datetime) -> int:
    """How many sign-ins failed since then."""
    row = await lookup.first(_FAILED_SIGN_INS, (to_micros(since),))
    return 0 if row is None else int(str(row[0]))


async def list_states(session: ReadSession) -> tuple[State, ...]:
    """Those that are not simply fine."""
    rows = await session.execute(select(states_table).order_by(states_table.c.rule, states_table.c.subject))
    return tuple(_state(tuple(row)) for row in rows)


async def put_state(session: Session, state: State) -> None:
    """Where a rule stands now for a subject; one that is fine has no row."""
    table = states_table
    await session.execute(delete(table).where(table.c.rule == state.rule, table.c.subject == state.subject))
    if state.phase != "ok":
        values = {name: getattr(state, name) for name in State.__slots__}
        await session.execute(insert(table).values(**values))


async def add_alert(session: Session, alert: Alert) -> None:
    """It fired."""
    values = {name: getattr(alert, name) for name in Alert.__slots__}
    await session.execute(insert(history_table).values(**values))
    await session.execute(delete(history_table).where(history_table.c.resolved_at < alert.fired_at - KEPT))


async def change_alert(
    session: Session,
    alert_id: str,
    *,
    resolved_at: datetime | None = None,
    peak: float | None = None,
    told: bool | None = None,
) -> None:
    """It was resolved, or got worse, or people were told."""
    values = {"resolved_at": resolved_at, "peak": peak, "told": told}
    known = {name: value for name, value in values.items() if value is not None}
    if known:
        await session.execute(update(history_table).where(history_table.c.id == alert_id).values(**known))


async def list_alerts(
    session: ReadSession, *, before: str | None = None, limit: int = 50, since: datetime | None = None
) -> tuple[Alert, ...]:
    """What fired, the newest first; with `since` what fired at any time since then."""
    table = history_table
    wanted = select(table).order_by(desc(table.c.id)).limit(limit)
    if before is not None:
        wanted = wanted.where(table.c.id < before)
    if since is not None:
        wanted = wanted.where(or_(table.c.resolved_at.is_(None), table.c.resolved_at >= since))
    return tuple(_alert(tuple(row)) for row in await session.execute(wanted))


async def firing(session: ReadSession) -> tuple[Alert, ...]:
    """What fires now, the newest first."""
    table = history_table
    rows = await session.execute(
        select(table).where(table.c.resolved_at.is_(None)).order_by(desc(table.c.id)).limit(500)
    )
    return tuple(_alert(tuple(row)) for row in rows)


async def add_silence(session: Session, silence: Silence) -> None:
    """A new one; those that ended long ago go."""
    await session.execute(delete(silences_table).where(silences_table.c.ends_at < silence.created_at - KEPT))
    values = {name: getattr(silence, name) for name in Silence.__slots__}
    await session.execute(insert(silences_table).values(**values))


async def delete_silence(session: Session, silence_id: str) -> str | None:
    """The rule that it was for; None when there was none."""
    table = silences_table
    gone = await session.execute(delete(table).where(table.c.id == silence_id).returning(table.c.rule))
    return str(gone[0][0]) if gone else None


async def list_silences(session: ReadSession, *, now: datetime) -> tuple[Silence, ...]:
    """Those that hold, by their end."""
    table = silences_table
    rows = await session.execute(select(table).where(table.c.ends_at > now).order_by(table.c.ends_at, table.c.id))
    return tuple(Silence(*map(str, tuple(row)[:4]), *tuple(row)[4:]) for row in rows)  # type: ignore[arg-type]


def _state(row: Sequence[object]) -> State:
    rule, subject, phase, since, value, fine_since, told_at, alert = row
    return State(
        rule=str(rule),
        subject=str(subject),
        phase=cast("Phase", phase),
        since=cast("datetime", since),
        value=cast("float | None", value),
        fine_since=cast("datetime | None", fine_since),
        told_at=cast("datetime | None", told_at),
        alert=str(alert),
    )


def _alert(row: Sequence[object]) -> Alert:
    identity, rule, subject, title, severity, unit, fired_at, resolved_at, value, peak, told = row
    return Alert(
        id=str(identity),
        rule=str(rule),
        subject=str(subject),
        title=str(title),
        severity=str(severity),
        unit=str(unit),
        fired_at=cast("datetime", fired_at),
        resolved_at=cast("datetime | None", resolved_at),
        value=cast("float | None", value),
        peak=cast("float | None", peak),
        told=bool(told),
    )
