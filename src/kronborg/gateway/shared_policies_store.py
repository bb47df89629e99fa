"""The table of Cedar policies that routes share, and every statement that touches it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Table, Text, delete, insert, select

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata
from kronborg.gateway.access_model import NamedPolicy

policies_table = Table(
    "gateway_policies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
_names = policies_table.c


async def list_policies(session: ReadSession) -> tuple[NamedPolicy, ...]:
    """Every one, by name."""
    rows = await session.execute(select(_names.name, _names.text).order_by(_names.name))
    return tuple(NamedPolicy(str(name), str(text)) for name, text in map(tuple, rows))


async def find_policy(session: ReadSession, name: str) -> NamedPolicy | None:
    """One of them."""
    text = await session.scalar(select(_names.text).where(_names.name == name))
    return None if text is None else NamedPolicy(name, str(text))


async def put_policy(session: Session, policy: NamedPolicy, *, now: datetime) -> None:
    """The row of this name as it shall be."""
    await session.execute(delete(policies_table).where(_names.name == policy.name))
    await session.execute(insert(policies_table).values(name=policy.name, text=policy.text, updated_at=now))


async def delete_policy(session: Session, name: str) -> bool:
    """Remove one; False when there is none."""
    removed = delete(policies_table).where(_names.name == name).returning(_names.name)
    return await session.scalar(removed) is not None
