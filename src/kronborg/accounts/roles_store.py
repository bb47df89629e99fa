"""The table of roles that APIs and clients declare, and the SQL that touches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Column, Index, Table, Text, delete, insert, select

from kronborg.accounts.model import DeclaredRole
from kronborg.core.db import ReadSession, Session, metadata

declared_table = Table(
    "accounts_declared_roles",
    metadata,
    Column("prefix", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("description", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Index("ix_accounts_declared_roles_owner", "owner"),
)

_declared = declared_table.c


async def declared_by(session: ReadSession, prefixes: Sequence[str]) -> Sequence[DeclaredRole]:
    """What those named before the slash declare."""
    rows = await session.execute(select(declared_table).where(_declared.prefix.in_(sorted(set(prefixes)))))
    return [DeclaredRole(row.prefix, row.name, row.description, row.owner) for row in rows]


async def list_declared_roles(session: ReadSession, *, limit: int = 2000) -> Sequence[DeclaredRole]:
    """Every declared role, by its full name."""
    rows = await session.execute(select(declared_table).order_by(_declared.prefix, _declared.name).limit(limit))
    return [DeclaredRole(row.prefix, row.name, row.description, row.owner) for row in rows]


async def replace_declared(session: Session, prefix: str, owner: str, roles: Mapping[str, str]) -> None:
    """Make these the roles that `owner` declares, and no others."""
    await session.execute(delete(declared_table).where(_declared.owner == owner))
    rows: list[dict[str, object]] = [
        {"prefix": prefix, "name": name, "description": description, "owner": owner}
        for name, description in roles.items()
    ]
    await session.execute_many(insert(declared_table), rows)
