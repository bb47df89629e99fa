"""The table of the names that listeners of gateways have, and every statement that touches it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Table, Text, delete, insert, select

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata

listeners_table = Table(
    "gateway_listeners",
    metadata,
    Column("node", Text, primary_key=True),
    Column("names", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
_of = listeners_table.c


async def read_names(session: ReadSession) -> dict[str, str]:
    """What each gateway is known to have: names with spaces between."""
    return {str(node): str(names) for node, names in map(tuple, await session.execute(select(_of.node, _of.names)))}


async def put_names(session: Session, node: str, names: str, *, now: datetime) -> None:
    """What a gateway has from now on."""
    await session.execute(delete(listeners_table).where(_of.node == node))
    await session.execute(insert(listeners_table).values(node=node, names=names, updated_at=now))


async def drop_names(session: Session, node: str) -> None:
    """Forget a gateway."""
    await session.execute(delete(listeners_table).where(_of.node == node))
