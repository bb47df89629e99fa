"""Rows of the endpoints that services announced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Column, Index, Integer, Table, Text, delete, func, insert, select, update

from kronborg.core.db import Database, ReadSession, Session, UtcDateTime, from_micros, metadata, to_micros
from kronborg.gateway.registration_model import Announced

endpoints_table = Table(
    "gateway_endpoints",
    metadata,
    Column("service", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("address", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("weight", Integer, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_gateway_endpoints_expires_at", "expires_at"),
)

_LIVING = (
    "SELECT service, id, address, port, weight, client_id, since, expires_at FROM gateway_endpoints"
    " WHERE expires_at > ?"
)


async def renew(session: Session, wanted: Announced, *, now: datetime) -> bool:
    """Renew an announcement that still holds and says the same; whether there was one of this client."""
    table = endpoints_table
    return bool(
        await session.execute(
            update(table)
            .where(
                table.c.service == wanted.service,
                table.c.id == wanted.id,
                table.c.client_id == wanted.client_id,
                table.c.address == wanted.address,
                table.c.port == wanted.port,
                table.c.weight == wanted.weight,
                table.c.expires_at > now,
            )
            .values(expires_at=wanted.expires_at)
            .returning(table.c.id)
        )
    )


async def find_announced(session: ReadSession, service: str, endpoint_id: str) -> Announced | None:
    """One announcement, held or not."""
    table = endpoints_table
    row = await session.first(select(table).where(table.c.service == service, table.c.id == endpoint_id))
    return None if row is None else _announced(tuple(row))


async def put_announced(session: Session, wanted: Announced) -> None:
    """Write an announcement, in place of one with the same id."""
    await drop_announced(session, wanted.service, wanted.id)
    await session.execute(
        insert(endpoints_table).values(
            service=wanted.service,
            id=wanted.id,
            address=wanted.address,
            port=wanted.port,
            weight=wanted.weight,
            client_id=wanted.client_id,
            since=wanted.since,
            expires_at=wanted.expires_at,
        )
    )


async def drop_announced(session: Session, service: str, endpoint_id: str) -> bool:
    """Whether there was such an announcement."""
    table = endpoints_table
    gone = delete(table).where(table.c.service == service, table.c.id == endpoint_id).returning(table.c.id)
    return bool(await session.execute(gone))


async def count_announced(session: ReadSession, service: str, *, now: datetime) -> int:
    """How many hold at `now`."""
    table = endpoints_table
    found = await session.scalar(
        select(func.count()).select_from(table).where(table.c.service == service, table.c.expires_at > now)
    )
    return int(str(found))


async def list_announced(session: ReadSession, service: str, *, now: datetime) -> tuple[Announced, ...]:
    """Those of a service that hold at `now`."""
    table = endpoints_table
    rows = await session.execute(
        select(table).where(table.c.service == service, table.c.expires_at > now).order_by(table.c.id)
    )
    return tuple(_announced(tuple(row)) for row in rows)


async def living(database: Database, *, now: datetime) -> dict[str, list[Announced]]:
    """All that hold at `now`, by service; cheap enough to ask several times a second."""
    found: dict[str, list[Announced]] = {}
    for row in await database.lookup.all(_LIVING, (to_micros(now),)):
        service, id_, address, port, weight, client, since, until = row
        one = Announced(
            service=str(service),
            id=str(id_),
            address=str(address),
            port=int(str(port)),
            weight=int(str(weight)),
            client_id=str(client),
            since=from_micros(int(str(since))),
            expires_at=from_micros(int(str(until))),
        )
        found.setdefault(one.service, []).append(one)
    return found


async def take_expired(session: Session, *, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
    """Forget announcements that hold no more, a batch; the service and id of each."""
    table = endpoints_table
    rows = await session.execute(
        select(table.c.service, table.c.id).where(table.c.expires_at <= now).order_by(table.c.expires_at).limit(limit)
    )
    gone = []
    for service, endpoint_id in [[str(value) for value in tuple[object, ...](row)] for row in rows]:
        taken = await session.execute(
            delete(table)
            .where(table.c.service == service, table.c.id == endpoint_id, table.c.expires_at <= now)
            .returning(table.c.id)
        )
        if taken:
            gone.append((service, endpoint_id))
    return gone


def _announced(row: tuple[object, ...]) -> Announced:
    service, id_, address, port, weight, client, since, until = row
    if not isinstance(since, datetime) or not isinstance(until, datetime):
        raise TypeError("a row of gateway_endpoints is not as written")
    return Announced(str(service), str(id_), str(address), int(str(port)), int(str(weight)), str(client), since, until)
