"""The tables of what SCIM clients provision, and the SQL that touches them.

Every statement is about one client: what another one keeps is not there for it. Listing and the three equalities that
directories ask for (`userName`, `externalId`, `emails.value`) go by an index that begins with the client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Column, ForeignKey, Index, Integer, Select, Table, Text, delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from kronborg.accounts.model import folded
from kronborg.accounts.store import groups_table, memberships_table
from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.json import JsonObject
from kronborg.provisioning.model import Kept, Narrow, ScimError

Kind = Literal["User", "Group"]

people_table = Table(
    "provisioning_users",
    metadata,
    Column("id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("external_id", Text),
    Column("name_key", Text, nullable=False),
    Column("told", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_provisioning_users_client_id_id", "client_id", "id"),
    Index("ix_provisioning_users_client_id_external_id", "client_id", "external_id"),
    Index("uq_provisioning_users_client_id_name_key", "client_id", "name_key", unique=True),
)

emails_table = Table(
    "provisioning_emails",
    metadata,
    Column("user_id", Text, ForeignKey("provisioning_users.id", ondelete="CASCADE"), primary_key=True),
    Column("value_key", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Index("ix_provisioning_emails_client_id_value_key", "client_id", "value_key"),
)

sets_table = Table(
    "provisioning_groups",
    metadata,
    Column("id", Text, ForeignKey("accounts_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("external_id", Text),
    Column("name_key", Text, nullable=False),
    Column("told", Json, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_provisioning_groups_client_id_id", "client_id", "id"),
    Index("ix_provisioning_groups_client_id_external_id", "client_id", "external_id"),
    Index("uq_provisioning_groups_client_id_name_key", "client_id", "name_key", unique=True),
)

_TABLES: Mapping[Kind, Table] = {"User": people_table, "Group": sets_table}
_members, _groups = memberships_table.c, groups_table.c


async def find(session: ReadSession, kind: Kind, client_id: str, resource_id: str) -> Kept | None:
    """The resource of this client with this id."""
    table = _TABLES[kind]
    mine = (table.c.id == _sane(resource_id)) & (table.c.client_id == client_id)
    row = await session.first(select(table).where(mine))
    return None if row is None else _kept(row)


async def add(session: Session, kind: Kind, kept: Kept, name: str, emails: Sequence[str] = ()) -> None:
    """One new resource. Raises `ScimError` when the name is taken among those of the client."""
    async with _unique():
        await session.execute(insert(_TABLES[kind]).values(id=kept.id, **_values(kept, name)))
    await _write_emails(session, kind, kept, emails)


async def replace(
    session: Session, kind: Kind, kept: Kept, name: str, *, version: int, emails: Sequence[str] = ()
) -> bool:
    """Write a resource; False when it is not the `version` any more that it was made from."""
    table = _TABLES[kind]
    same = (table.c.id == kept.id) & (table.c.client_id == kept.client_id) & (table.c.version == version)
    async with _unique():
        done = await session.scalar(update(table).where(same).values(**_values(kept, name)).returning(table.c.id))
    if done is None:
        return False
    await _write_emails(session, kind, kept, emails)
    return True


async def page(
    session: ReadSession,
    kind: Kind,
    client_id: str,
    narrow: Narrow,
    *,
    after: str = "",
    skip: int = 0,
    limit: int = 100,
) -> Sequence[Kept]:
    """Resources by id, after one of them or so many from the first."""
    table = _TABLES[kind]
    query = _narrowed(select(table), kind, client_id, narrow).order_by(table.c.id).limit(limit)
    if after:
        query = query.where(table.c.id > _sane(after))
    if skip:
        query = query.offset(skip)
    return [_kept(row) for row in await session.execute(query)]


async def count(session: ReadSession, kind: Kind, client_id: str, narrow: Narrow) -> int:
    """How many there are; counted on an index."""
    table = _TABLES[kind]
    query = _narrowed(select(func.count(table.c.id)), kind, client_id, narrow)
    return cast("int", await session.scalar(query))


async def groups_of_users(session: ReadSession, user_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """(id, name) of the groups of each of these people."""
    rows = await session.execute(
        select(_members.user_id, _groups.id, _groups.name)
        .join(groups_table, _groups.id == _members.group_id)
        .where(_members.user_id.in_(user_ids))
        .order_by(_groups.name_key)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        found.setdefault(str(row.user_id), []).append((str(row.id), str(row.name)))
    return found


async def people_in(session: ReadSession, group_id: str) -> frozenset[str]:
    """The ids of a group's people."""
    rows = await session.execute(select(_members.user_id).where(_members.group_id == group_id))
    return frozenset(str(row.user_id) for row in rows)


async def members_among(session: ReadSession, group_id: str, ids: Sequence[str]) -> frozenset[str]:
    """Those of these people and groups that are in a group."""
    found: set[str] = set()
    for at in range(0, len(ids), 500):
        some = [_sane(one) for one in ids[at : at + 500]]
        people = select(_members.user_id).where((_members.group_id == group_id) & _members.user_id.in_(some))
        groups = select(_groups.id).where((_groups.parent_id == group_id) & _groups.id.in_(some))
        for query in (people, groups):
            found.update(str(row[0]) for row in await session.execute(query))
    return frozenset(found)


async def known_ids(session: ReadSession, kind: Kind, client_id: str, ids: Sequence[str]) -> frozenset[str]:
    """Those of these ids that are resources of the client."""
    table = _TABLES[kind]
    found: set[str] = set()
    for at in range(0, len(ids), 500):
        some = [_sane(one) for one in ids[at : at + 500]]
        rows = await session.execute(select(table.c.id).where((table.c.client_id == client_id) & table.c.id.in_(some)))
        found.update(str(row.id) for row in rows)
    return frozenset(found)


async def put_into(session: Session, group_id: str, user_ids: Sequence[str]) -> None:
    """Put people into a group who are not in it."""
    rows: list[dict[str, object]] = [{"user_id": one, "group_id": group_id} for one in user_ids]
    await session.execute_many(insert(memberships_table), rows)


async def take_out(session: Session, group_id: str, user_ids: Sequence[str]) -> None:
    """Take people out of a group."""
    for at in range(0, len(user_ids), 500):
        some = user_ids[at : at + 500]
        await session.execute(
            delete(memberships_table).where((_members.group_id == group_id) & _members.user_id.in_(some))
        )


async def _write_emails(session: Session, kind: Kind, kept: Kept, emails: Sequence[str]) -> None:
    if kind != "User":
        return
    await session.execute(delete(emails_table).where(emails_table.c.user_id == kept.id))
    keys = sorted({folded(one) for one in emails})
    rows: list[dict[str, object]] = [
        {"user_id": kept.id, "value_key": key, "client_id": kept.client_id} for key in keys
    ]
    await session.execute_many(insert(emails_table), rows)


def _narrowed(query: Select[Any], kind: Kind, client_id: str, narrow: Narrow) -> Select[Any]:
    table = _TABLES[kind]
    found = query.where(table.c.client_id == client_id)
    for name, value in narrow.equal.items():
        value = _sane(value)
        if name == "id":
            found = found.where(table.c.id == value)
        elif name == "externalId":
            found = found.where(table.c.external_id == value)
        elif name in ("userName", "displayName") and (name == "userName") == (kind == "User"):
            found = found.where(table.c.name_key == folded(value))
        elif name == "emails.value" and kind == "User":
            one = select(emails_table.c.user_id).where(
                (emails_table.c.client_id == client_id) & (emails_table.c.value_key == folded(value))
            )
            found = found.where(table.c.id.in_(one))
    return found


def _sane(text: str) -> str:
    """PostgreSQL has no text with NUL in it, so that can never be found."""
    return text.replace("\0", "\ufffd")


def _values(kept: Kept, name: str) -> dict[str, object]:
    return {
        "client_id": kept.client_id,
        "external_id": kept.external_id,
        "name_key": folded(name),
        "told": dict(kept.told),
        "version": kept.version,
        "created_at": kept.created_at,
        "updated_at": kept.updated_at,
    }


def _kept(row: Row[tuple[object, ...]]) -> Kept:
    told = cast("JsonObject", row.told)
    version, created, updated = (cast("int", row.version), cast("datetime", row.created_at), row.updated_at)
    return Kept(str(row.id), str(row.client_id), row.external_id, told, version, created, cast("datetime", updated))


@asynccontextmanager
async def _unique() -> AsyncIterator[None]:
    try:
        yield
    except IntegrityError:
        raise ScimError(409, "there is a resource of this name already", "uniqueness") from None
