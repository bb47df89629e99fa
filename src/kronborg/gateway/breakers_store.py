"""Rows of what breakers stand at, one for each gateway and service, and of what operators ordered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Column, Table, Text, delete, insert, select, update

from kronborg.core.db import Database, ReadSession, Session, UtcDateTime, metadata
from kronborg.gateway.breaker_model import Order, Phase

breakers_table = Table(
    "gateway_breakers",
    metadata,
    Column("proxy", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("phase", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
)
orders_table = Table(
    "gateway_breaker_orders",
    metadata,
    Column("service", Text, primary_key=True),
    Column("wanted", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

_ORDERS = "SELECT service, wanted FROM gateway_breaker_orders"


@dataclass(frozen=True, slots=True)
class Stand:
    """What one gateway's breaker of a service stands at."""

    proxy: str
    service: str
    phase: Phase
    since: datetime


@dataclass(frozen=True, slots=True)
class Ordered:
    """What an operator ordered for the breaker of a service, on every gateway."""

    service: str
    wanted: Order
    actor: str
    at: datetime


async def list_stands(session: ReadSession) -> tuple[Stand, ...]:
    """Those of all gateways, by service."""
    table = breakers_table
    rows = await session.execute(select(table).order_by(table.c.service, table.c.proxy))
    return tuple(_stand(tuple(row)) for row in rows)


async def stands_of(session: ReadSession, proxy: str) -> tuple[Stand, ...]:
    """Those of one gateway."""
    table = breakers_table
    rows = await session.execute(select(table).where(table.c.proxy == proxy))
    return tuple(_stand(tuple(row)) for row in rows)


async def put_stand(session: Session, stand: Stand) -> None:
    """Write down where a breaker stands now."""
    table = breakers_table
    values = {"phase": stand.phase, "since": stand.since}
    known = await session.execute(
        update(table)
        .where(table.c.proxy == stand.proxy, table.c.service == stand.service)
        .values(**values)
        .returning(table.c.service)
    )
    if not known:
        await session.execute(insert(table).values(proxy=stand.proxy, service=stand.service, **values))


async def list_orders(session: ReadSession) -> tuple[Ordered, ...]:
    """All orders, by service."""
    rows = await session.execute(select(orders_table).order_by(orders_table.c.service))
    return tuple(_ordered(tuple(row)) for row in rows)


async def orders_now(database: Database) -> dict[str, Order]:
    """The orders by service; cheap enough to ask every second."""
    return {str(row[0]): cast("Order", str(row[1])) for row in await database.lookup.all(_ORDERS)}


async def put_order(session: Session, ordered: Ordered) -> None:
    """Order something, in place of an earlier order."""
    await drop_order(session, ordered.service)
    await session.execute(
        insert(orders_table).values(service=ordered.service, wanted=ordered.wanted, actor=ordered.actor, at=ordered.at)
    )


async def drop_order(session: Session, service: str) -> bool:
    """Whether there was an order."""
    table = orders_table
    return bool(await session.execute(delete(table).where(table.c.service == service).returning(table.c.service)))


def _stand(row: tuple[object, ...]) -> Stand:
    proxy, service, phase, since = row
    if not isinstance(since, datetime):
        raise TypeError("a row of gateway_breakers is not as written")
    return Stand(str(proxy), str(service), cast("Phase", str(phase)), since)


def _ordered(row: tuple[object, ...]) -> Ordered:
    service, wanted, actor, at = row
    if not isinstance(at, datetime):
        raise TypeError("a row of gateway_breaker_orders is not as written")
    return Ordered(str(service), cast("Order", str(wanted)), str(actor), at)
