"""Tables of the attack surface over time: a row of each day, the shapes that days had, acknowledgements, probes.

What is published changes seldom: days that had the same share one row of `surface_shapes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Row, Table, Text, delete, desc, insert, select, update

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata
from kronborg.traffic.surface_facts_model import Probed
from kronborg.traffic.surface_model import Acknowledgement, Day

days_table = Table(
    "surface_days",
    metadata,
    Column("day", Text, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("score", Integer, nullable=False),
    Column("critical", Integer, nullable=False),
    Column("high", Integer, nullable=False),
    Column("medium", Integer, nullable=False),
    Column("low", Integer, nullable=False),
    Column("shape", Text, nullable=False),
    Column("findings", LargeBinary, nullable=False),
)
shapes_table = Table(
    "surface_shapes",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
acknowledgements_table = Table(
    "surface_acknowledgements",
    metadata,
    Column("finding", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
)
probes_table = Table(
    "surface_probes",
    metadata,
    Column("service", Text, primary_key=True),
    Column("url", Text, primary_key=True),
    Column("method", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", Integer, nullable=False),
)

KEPT = timedelta(days=400)
_DAY = [days_table.c[name] for name in ("day", "at", "version", "score", "critical", "high", "medium", "low")]


async def put_day(session: Session, day: Day, *, shape: str, content: bytes, findings: bytes) -> None:
    """What was found on a day, in place of what was found earlier that day; days long ago go."""
    table, values = days_table, {name: getattr(day, name) for name in Day.__slots__}
    values |= {"shape": shape, "findings": findings}
    known = await session.scalar(select(shapes_table.c.digest).where(shapes_table.c.digest == shape))
    if known is None:
        await session.execute(insert(shapes_table).values(digest=shape, content=content))
    changed = await session.execute(update(table).where(table.c.day == day.day).values(**values).returning(table.c.day))
    if not changed:
        await session.execute(insert(table).values(**values))
        await session.execute(delete(table).where(table.c.at < day.at - KEPT))
    await session.execute(delete(shapes_table).where(shapes_table.c.digest.not_in(select(table.c.shape))))


async def list_days(session: ReadSession, *, limit: int = 400) -> tuple[Day, ...]:
    """The days that are kept, the newest first."""
    rows = await session.execute(select(*_DAY).order_by(desc(days_table.c.day)).limit(limit))
    return tuple(_day(row) for row in rows)


async def latest_mark(session: ReadSession) -> Day | None:
    """The newest day, without what was found."""
    row = await session.first(select(*_DAY).order_by(desc(days_table.c.day)).limit(1))
    return None if row is None else _day(row)


async def found_on(session: ReadSession, day: str | None = None) -> tuple[Day, bytes, bytes] | None:
    """The newest day up to `day`, with its shape and findings as they were kept."""
    table = days_table
    wanted = select(*_DAY, shapes_table.c.content, table.c.findings).join(
        shapes_table, shapes_table.c.digest == table.c.shape
    )
    if day is not None:
        wanted = wanted.where(table.c.day <= day)
    row = await session.first(wanted.order_by(desc(table.c.day)).limit(1))
    if row is None:
        return None
    *_, content, findings = tuple(row)
    return _day(row), bytes(cast("bytes", content)), bytes(cast("bytes", findings))


async def put_acknowledgement(session: Session, one: Acknowledgement) -> None:
    """In place of an earlier one of the same finding."""
    await drop_acknowledgement(session, one.finding)
    values = {name: getattr(one, name) for name in Acknowledgement.__slots__}
    await session.execute(insert(acknowledgements_table).values(**values))


async def drop_acknowledgement(session: Session, finding: str) -> bool:
    """Whether there was one."""
    table = acknowledgements_table
    gone = await session.execute(delete(table).where(table.c.finding == finding).returning(table.c.finding))
    return bool(gone)


async def list_acknowledgements(session: ReadSession) -> tuple[Acknowledgement, ...]:
    """All, those that end first before others; ended ones too."""
    table = acknowledgements_table
    rows = await session.execute(select(table).order_by(table.c.ends_at, table.c.finding))
    return tuple(Acknowledgement(*map(str, tuple(row)[:5]), *tuple(row)[5:]) for row in rows)  # type: ignore[arg-type]


async def put_probes(session: Session, probes: Sequence[Probed]) -> None:
    """What all probes of a round said, in place of the round before."""
    await session.execute(delete(probes_table))
    rows: list[dict[str, object]] = [{name: getattr(one, name) for name in Probed.__slots__} for one in probes]
    await session.execute_many(insert(probes_table), rows)


async def list_probes(session: ReadSession) -> tuple[Probed, ...]:
    """What the last round said."""
    table = probes_table
    rows = await session.execute(select(table).order_by(table.c.service, table.c.url))
    return tuple(
        Probed(str(row.service), str(row.url), str(row.method), row.at, str(row.outcome), int(row.status))
        for row in rows
    )


def _day(row: Row[tuple[object, ...]]) -> Day:
    day, at, *numbers = tuple(row)[:8]
    return Day(str(day), cast("datetime", at), *(int(str(number)) for number in numbers))
