"""Rows of quota counters and of the resets that operators asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Column, Integer, Table, Text, and_, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from kronborg.core.db import Database, ReadSession, Session, UtcDateTime, metadata
from kronborg.limits.counters_model import Ask, Counters, Kept, Standing, settled

counters_table = Table(
    "quota_counters",
    metadata,
    Column("quota", Text, primary_key=True),
    Column("identity", Text, primary_key=True),
    Column("start", UtcDateTime, primary_key=True),
    Column("ends_at", UtcDateTime, nullable=False, index=True),
    Column("used", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
)
resets_table = Table(
    "quota_resets",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("quota", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

_COLUMNS = (
    counters_table.c.quota,
    counters_table.c.identity,
    counters_table.c.start,
    counters_table.c.ends_at,
    counters_table.c.used,
    counters_table.c.count,
)


@dataclass(frozen=True, slots=True)
class Used:
    """How far somebody is: what the open slots of a counter hold together."""

    quota: str
    identity: str
    used: int
    count: int
    resets: datetime


async def open_slots(session: ReadSession, *, now: datetime) -> list[Kept]:
    """Every slot that still counts."""
    rows = await session.execute(select(*_COLUMNS).where(counters_table.c.ends_at > now))
    return [_kept(row) for row in rows]


async def save(session: Session, slots: Sequence[Kept]) -> None:
    """Store slots as they are now."""
    values = [
        {
            "quota": s.quota,
            "identity": s.identity,
            "start": s.start,
            "ends_at": s.ends,
            "used": s.used,
            "count": s.count,
        }
        for s in slots
    ]
    made = insert(counters_table)
    stored = {name: made.excluded[name] for name in ("ends_at", "used", "count")}
    await session.execute_many(
        made.on_conflict_do_update(index_elements=["quota", "identity", "start"], set_=stored), values
    )


async def most_used(
    session: ReadSession, *, now: datetime, quota: str = "", identity: str = "", who: str = "", limit: int = 100
) -> list[Used]:
    """Who is nearest to, or over, what a quota allows; `quota`, `identity` and the
    beginning of it, `who`, narrow it down."""
    used = func.sum(counters_table.c.used)
    count = func.max(counters_table.c.count)
    query = (
        select(counters_table.c.quota, counters_table.c.identity, used, count, func.min(counters_table.c.ends_at))
        .where(counters_table.c.ends_at > now)
        .group_by(counters_table.c.quota, counters_table.c.identity)
        .order_by((used * 1.0 / (count + 1)).desc())
        .limit(limit)
    )
    if quota:
        query = query.where(counters_table.c.quota == quota)
    if identity:
        query = query.where(counters_table.c.identity == identity)
    if who:
        column = counters_table.c.identity
        query = query.where(or_(column.startswith(who, autoescape=True), column.contains(f"\t{who}", autoescape=True)))
    rows: Sequence[Sequence[object]] = await session.execute(query)
    return [Used(str(row[0]), str(row[1]), int(str(row[2])), int(str(row[3])), _moment(row[4])) for row in rows]


async def ask_reset(session: Session, quota: str, identity: str, *, now: datetime) -> None:
    """Forget what a counter holds, here and wherever it is kept: control processes look for this each second."""
    await session.execute(
        delete(counters_table).where(counters_table.c.quota == quota, counters_table.c.identity == identity)
    )
    await session.execute(insert(resets_table).values(quota=quota, identity=identity, at=now))


async def resets_after(session: ReadSession, number: int) -> list[tuple[int, str, str]]:
    """Resets asked for since the one with this number."""
    rows: Sequence[Sequence[object]] = await session.execute(
        select(resets_table.c.id, resets_table.c.quota, resets_table.c.identity)
        .where(resets_table.c.id > number)
        .order_by(resets_table.c.id)
        .limit(1000)
    )
    return [(int(str(row[0])), str(row[1]), str(row[2])) for row in rows]


async def last_reset(session: ReadSession) -> int:
    """The number of the newest reset; 0 when there was none."""
    return int(str(await session.scalar(select(func.coalesce(func.max(resets_table.c.id), 0)))))


async def forget_old(session: Session, *, now: datetime) -> None:
    """Delete slots that count no more, and resets that everybody has seen."""
    await session.execute(delete(counters_table).where(counters_table.c.ends_at <= now))


class DatabaseCounters(Counters):
    """Counters in the database: exact over any number of control processes, at a transaction for each batch."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settle(self, asks: Sequence[Ask], *, now: datetime) -> list[Standing]:
        """Count and grant in one transaction."""
        standings = []
        async with self._database.write() as session:
            # On PostgreSQL two who read before either writes would grant the same rest twice.
            await session.wait_to_be_alone()
            for ask in asks:
                mine = and_(counters_table.c.quota == ask.quota, counters_table.c.identity == ask.identity)
                rows = await session.execute(select(*_COLUMNS).where(mine, counters_table.c.ends_at > now))
                before = sorted((_kept(row) for row in rows), key=lambda slot: slot.start)
                after, standing = settled(before, ask, now=now)
                await save(session, [slot for slot in after if slot not in before])
                standings.append(standing)
        return standings

    async def reset(self, quota: str, identity: str) -> None:
        """Forget what a counter holds."""
        async with self._database.write() as session:
            await session.execute(
                delete(counters_table).where(counters_table.c.quota == quota, counters_table.c.identity == identity)
            )


def _kept(row: Sequence[object]) -> Kept:
    start, ends = _moment(row[2]), _moment(row[3])
    return Kept(str(row[0]), str(row[1]), start, ends, int(str(row[4])), int(str(row[5])))


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError("not a moment")
    return value
