"""Rows about versions that need none of their content: the list, what gateways said to them, and which are let go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, desc, func, select

from kronborg.core.db import ReadSession, Session
from kronborg.gateway.model import Delivery
from kronborg.gateway.store import deliveries_table, snapshots_table

KEPT = 200
"""So many versions are kept at most,"""
KEPT_OCTETS = 256 * 1024 * 1024
"""and of long ones only as many as this holds,"""
ALWAYS = 10
"""but the newest ten in any case, and the last that each gateway took."""


@dataclass(frozen=True, slots=True)
class Version:
    """One published version: who, when, why, how much. `octets` is the size of its content."""

    number: int
    digest: str
    author: str
    comment: str
    created_at: datetime
    services: int
    routes: int
    octets: int


_COLUMNS = [
    snapshots_table.c[name]
    for name in ("version", "digest", "author", "comment", "created_at", "services", "routes", "octets")
]


async def list_versions(session: ReadSession, *, before: int | None = None, limit: int = 50) -> tuple[Version, ...]:
    """The newest first, older than number `before` if given."""
    wanted = select(*_COLUMNS).order_by(desc(snapshots_table.c.version)).limit(limit)
    if before is not None:
        wanted = wanted.where(snapshots_table.c.version < before)
    return tuple(_version(tuple(row)) for row in await session.execute(wanted))


async def find_version(session: ReadSession, number: int) -> Version | None:
    """What is told of one version."""
    row = await session.first(select(*_COLUMNS).where(snapshots_table.c.version == number))
    return None if row is None else _version(tuple(row))


def _version(row: tuple[object, ...]) -> Version:
    number, digest, author, comment, created_at, services, routes, octets = row
    if not isinstance(created_at, datetime):
        raise TypeError("a row of gateway_snapshots is not as written")
    counts = (int(str(services)), int(str(routes)), int(str(octets)))
    return Version(int(str(number)), str(digest), str(author), str(comment), created_at, *counts)


async def deliveries_of(
    session: ReadSession, numbers: Sequence[int]
) -> Mapping[int, tuple[tuple[Delivery, datetime], ...]]:
    """What each gateway said to these versions, with when, by version."""
    table = deliveries_table
    rows = await session.execute(
        select(table).where(table.c.version.in_(list(numbers))).order_by(table.c.version, table.c.proxy)
    )
    found: dict[int, tuple[tuple[Delivery, datetime], ...]] = {}
    for row in rows:
        acked = row.status == "acked"
        said = Delivery(str(row.proxy), int(str(row.version)), "acked" if acked else "rejected", str(row.reason))
        if not isinstance(row.at, datetime):
            raise TypeError("a row of gateway_deliveries is not as written")
        found[said.version] = (*found.get(said.version, ()), (said, row.at))
    return found


async def prune(session: Session, *, newest: int) -> None:
    """Let go of the versions that are too many or too much; never of the newest, nor of a gateway's last good one."""
    snapshots, said = snapshots_table.c, deliveries_table.c
    rows = await session.execute(select(snapshots.version, snapshots.octets).order_by(desc(snapshots.version)))
    total, gone = 0, []
    for place, row in enumerate(rows):
        version, octets = int(str(row.version)), int(str(row.octets))
        total += octets
        if place >= ALWAYS and (place >= KEPT or total > KEPT_OCTETS):
            gone.append(version)
    if not gone:
        return
    good = await session.execute(select(func.max(said.version)).where(said.status == "acked").group_by(said.proxy))
    gone = sorted({*gone} - {newest, *(int(str(row[0])) for row in good)})
    for start in range(0, len(gone), 500):
        await session.execute(delete(snapshots_table).where(snapshots.version.in_(gone[start : start + 500])))
        await session.execute(delete(deliveries_table).where(said.version.in_(gone[start : start + 500])))
