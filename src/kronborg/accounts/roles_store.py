"""The table of roles that APIs and clients declare, and the SQL that touches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from sqlalchemy import Column, Index, Table, Text, delete, false, insert, select, text

from kronborg.accounts.model import DeclaredRole, User
from kronborg.accounts.store import (
    MAX_PAGE,
    OWN_ROLES,
    groups_table,
    memberships_table,
    users_of_rows,
    users_table,
)
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
# As the index is written, so that it is used.
_has_roles = text(f"accounts_users.{OWN_ROLES}")


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


async def groups_with_role(session: ReadSession, role: str) -> Sequence[tuple[str, str]]:
    """Id and name of each group that gives a role itself, by name; at most 200."""
    rows = await session.execute(
        select(groups_table.c.id, groups_table.c.name)
        .where(groups_table.c.roles.cast(Text).contains(f'"{role}"', autoescape=True))
        .order_by(groups_table.c.name_key)
        .limit(MAX_PAGE)
    )
    return [(row.id, row.name) for row in rows]


async def users_with_role(session: ReadSession, role: str, *, after: str = "", limit: int = 50) -> Sequence[User]:
    """The people who were given a role directly, by id, after the id `after`."""
    rows = await session.execute(
        select(users_table)
        .where(_has_roles, users_table.c.id > after)
        .where(users_table.c.roles.cast(Text).contains(f'"{role}"', autoescape=True))
        .order_by(users_table.c.id)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return await users_of_rows(session, rows)


async def groups_giving(session: ReadSession, role: str, *, limit: int = 50) -> Sequence[tuple[str, str]]:
    """Id and name of each group whose people have a role, also from a group that it stands in; by name."""
    rows = await session.execute(
        select(groups_table.c.id, groups_table.c.name)
        .where(groups_table.c.effective_roles.cast(Text).contains(f'"{role}"', autoescape=True))
        .order_by(groups_table.c.name_key)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return [(row.id, row.name) for row in rows]


async def people_through_groups(session: ReadSession, role: str, *, limit: int = 50) -> Sequence[tuple[str, str, str]]:
    """Id and name of the people who have a role through a group, and the name of the group, by id; none disabled."""
    rows = await session.execute(
        select(users_table.c.id, users_table.c.username, groups_table.c.name)
        .join(memberships_table, memberships_table.c.user_id == users_table.c.id)
        .join(groups_table, groups_table.c.id == memberships_table.c.group_id)
        .where(groups_table.c.effective_roles.cast(Text).contains(f'"{role}"', autoescape=True))
        .where(users_table.c.disabled == false())
        .order_by(users_table.c.id, groups_table.c.name_key)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return [(row.id, row.username, row.name) for row in rows]


async def roles_given(session: ReadSession) -> tuple[str, ...]:
    """Every role that some group gives or some person has directly; of very many people, those of the first."""
    found: set[str] = set()
    given = select(users_table.c.roles).where(_has_roles).order_by(users_table.c.id).limit(5000)
    for row in (*await session.execute(select(groups_table.c.roles)), *await session.execute(given)):
        found.update(cast("Sequence[str]", row.roles))
    return tuple(sorted(found))
