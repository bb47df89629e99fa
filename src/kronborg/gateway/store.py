"""Rows of services, routes, published snapshots and what proxies said to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Column, Integer, Table, Text, delete, desc, insert, select, update
from sqlalchemy.engine import Row

from kronborg.core.collecting import without_collecting
from kronborg.core.db import Database, ReadSession, Session, UtcDateTime, metadata
from kronborg.gateway.model import Delivery, Route, Service, Snapshot
from kronborg.gateway.snapshot import decode_route, decode_service, encode, thaw

services_table = Table(
    "gateway_services",
    metadata,
    Column("name", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
routes_table = Table(
    "gateway_routes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("content", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
snapshots_table = Table(
    "gateway_snapshots",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("comment", Text, nullable=False, server_default=""),
    Column("services", Integer, nullable=False, server_default="0"),
    Column("routes", Integer, nullable=False, server_default="0"),
    Column("octets", Integer, nullable=False, server_default="0"),
)
deliveries_table = Table(
    "gateway_deliveries",
    metadata,
    Column("proxy", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

_LATEST_VERSION = "SELECT version FROM gateway_snapshots ORDER BY version DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Published:
    """A stored snapshot with who published it and when."""

    snapshot: Snapshot
    digest: str
    author: str
    created_at: datetime
    comment: str = ""


async def list_services(
    session: ReadSession, *, after: str = "", search: str = "", limit: int | None = None
) -> tuple[Service, ...]:
    """Services by name: all, or `limit` of those that come after one and hold `search` somewhere."""
    return tuple(decode_service(text) for text in await _contents(session, services_table, after, search, limit))


async def list_routes(
    session: ReadSession, *, after: str = "", search: str = "", limit: int | None = None
) -> tuple[Route, ...]:
    """Routes by name: all, or `limit` of those that come after one and hold `search` somewhere."""
    contents = await _contents(session, routes_table, after, search, limit)
    with without_collecting():
        return tuple(map(decode_route, contents))


async def _contents(session: ReadSession, table: Table, after: str, search: str, limit: int | None) -> list[str]:
    wanted = select(table.c.content).order_by(table.c.name).limit(limit)
    if after:
        wanted = wanted.where(table.c.name > after)
    if search:
        wanted = wanted.where(table.c.content.icontains(search, autoescape=True))
    return [str(row[0]) for row in await session.execute(wanted)]


async def find_service(session: ReadSession, name: str) -> Service | None:
    """One service."""
    content = await session.scalar(select(services_table.c.content).where(services_table.c.name == name))
    return None if content is None else decode_service(str(content))


async def find_route(session: ReadSession, name: str) -> Route | None:
    """One route."""
    content = await session.scalar(select(routes_table.c.content).where(routes_table.c.name == name))
    return None if content is None else decode_route(str(content))


async def put_service(session: Session, service: Service, *, now: datetime) -> None:
    """Create or replace a service by its name."""
    await _put(session, services_table, service.name, encode(service).decode(), now)


async def put_route(session: Session, route: Route, *, now: datetime) -> None:
    """Create or replace a route by its name."""
    await _put(session, routes_table, route.name, encode(route).decode(), now)


async def delete_service(session: Session, name: str) -> bool:
    """Whether there was such a service."""
    return await _drop(session, services_table, name)


async def delete_route(session: Session, name: str) -> bool:
    """Whether there was such a route."""
    return await _drop(session, routes_table, name)


async def add_snapshot(
    session: Session, snapshot: Snapshot, *, content: bytes, digest: str, author: str, comment: str, now: datetime
) -> None:
    """A new version, numbered as `snapshot` is and frozen as `content`; the primary key decides between two writers."""
    await session.execute(
        insert(snapshots_table).values(
            version=snapshot.version,
            content=content.decode(),
            digest=digest,
            author=author,
            created_at=now,
            comment=comment,
            services=len(snapshot.services),
            routes=len(snapshot.routes),
            octets=len(content),
        )
    )


async def published_by(session: ReadSession, moment: datetime) -> Published | None:
    """The newest snapshot of a moment, or None before the first."""
    table = snapshots_table
    row = await session.first(
        select(table).where(table.c.created_at <= moment).order_by(desc(table.c.version)).limit(1)
    )
    return None if row is None else _published(row)


async def latest_published(session: ReadSession) -> Published | None:
    """The newest snapshot, or None before the first."""
    table = snapshots_table
    row = await session.first(select(table).order_by(desc(table.c.version)).limit(1))
    return None if row is None else _published(row)


async def last_acked(session: ReadSession, proxy: str) -> Published | None:
    """The newest snapshot that this proxy took, or None when it took none."""
    table, said = snapshots_table, deliveries_table
    row = await session.first(
        select(table)
        .join(said, said.c.version == table.c.version)
        .where(said.c.proxy == proxy, said.c.status == "acked")
        .order_by(desc(table.c.version))
        .limit(1)
    )
    return None if row is None else _published(row)


def _published(row: Row[tuple[object, ...]]) -> Published:
    version, content, digest, author, created_at, comment, *_ = tuple[object, ...](row)
    if not isinstance(version, int) or not isinstance(created_at, datetime):
        raise TypeError("a row of gateway_snapshots is not as written")
    snapshot = _thawed(_Content(str(digest), version, str(content)))
    return Published(snapshot, str(digest), str(author), created_at, str(comment))


@dataclass(frozen=True, slots=True)
class _Content:
    digest: str
    version: int
    text: str = field(compare=False, repr=False)


@lru_cache(maxsize=2)
def _thawed(content: _Content) -> Snapshot:
    """Several in a process ask for the newest version as soon as there is one; it is read once for all of them."""
    with without_collecting():
        return thaw(content.text.encode(), version=content.version)


async def find_published(session: ReadSession, version: int) -> Published | None:
    """One version, whole; None when there is none of that number, or none any more."""
    row = await session.first(select(snapshots_table).where(snapshots_table.c.version == version))
    return None if row is None else _published(row)


async def latest_mark(session: ReadSession) -> tuple[int, str]:
    """Number and digest of the newest version, without its content; 0 and nothing before the first."""
    table = snapshots_table
    row = await session.first(select(table.c.version, table.c.digest).order_by(desc(table.c.version)).limit(1))
    return (0, "") if row is None else (int(str(row.version)), str(row.digest))


async def latest_version(database: Database) -> int:
    """The newest version, 0 before the first; cheap enough to ask several times a second."""
    row = await database.lookup.first(_LATEST_VERSION)
    return 0 if row is None else int(str(row[0]))


async def newest_version(session: ReadSession) -> int:
    """The same within a transaction."""
    table = snapshots_table
    version = await session.scalar(select(table.c.version).order_by(desc(table.c.version)).limit(1))
    return int(str(version or 0))


async def record_delivery(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """What a proxy said last to a version."""
    table = deliveries_table
    values = {"status": delivery.status, "reason": delivery.reason, "at": now}
    known = await session.execute(
        update(table)
        .where(table.c.proxy == delivery.proxy, table.c.version == delivery.version)
        .values(**values)
        .returning(table.c.version)
    )
    if not known:
        await session.execute(insert(table).values(proxy=delivery.proxy, version=delivery.version, **values))


async def find_delivery(session: ReadSession, version: int) -> Delivery | None:
    """What was said last to one version, by whichever proxy."""
    table = deliveries_table
    row = await session.first(select(table).where(table.c.version == version).order_by(desc(table.c.at)).limit(1))
    if row is None:
        return None
    return Delivery(str(row.proxy), version, "acked" if row.status == "acked" else "rejected", str(row.reason))


async def list_deliveries(session: ReadSession, *, limit: int = 50) -> Sequence[tuple[Delivery, datetime]]:
    """What proxies said, newest version first, with when."""
    table = deliveries_table
    rows = await session.execute(select(table).order_by(desc(table.c.version), table.c.proxy).limit(limit))
    found: list[tuple[Delivery, datetime]] = []
    for row in rows:
        proxy, version, status, reason, at = tuple[object, ...](row)
        if not isinstance(version, int) or not isinstance(at, datetime):
            raise TypeError("a row of gateway_deliveries is not as written")
        said = Delivery(str(proxy), version, "acked" if status == "acked" else "rejected", str(reason))
        found.append((said, at))
    return found


async def _put(session: Session, table: Table, name: str, content: str, now: datetime) -> None:
    changed = await session.execute(
        update(table).where(table.c.name == name).values(content=content, updated_at=now).returning(table.c.name)
    )
    if not changed:
        await session.execute(insert(table).values(name=name, content=content, updated_at=now))


async def _drop(session: Session, table: Table, name: str) -> bool:
    gone = await session.execute(delete(table).where(table.c.name == name).returning(table.c.name))
    return bool(gone)
