"""The tables of directories and of the accounts their people have here, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.json import JsonObject
from kronborg.federation.directory_model import (
    Directory,
    KeptDirectory,
    Link,
    SyncResult,
    directory_json,
    directory_of,
    sync_json,
    sync_of,
)

directories_table = Table(
    "federation_directories",
    metadata,
    Column("key", Text, primary_key=True),
    Column("settings", Json, nullable=False),
    Column("bind_password", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("sync", Json),
)

links_table = Table(
    "federation_directory_people",
    metadata,
    Column("directory", Text, primary_key=True),
    Column("entry_id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("shut", Boolean, nullable=False),
    Index("uq_federation_directory_people_user_id", "user_id", unique=True),
    Index("ix_federation_directory_people_directory_seen_at", "directory", "shut", "seen_at"),
)

_kept, _links = directories_table.c, links_table.c


async def list_directories(session: ReadSession) -> Sequence[KeptDirectory]:
    """Every directory, by key."""
    return [_directory(row) for row in await session.execute(select(directories_table).order_by(_kept.key))]


async def find_directory(session: ReadSession, key: str) -> KeptDirectory | None:
    """The directory with this key."""
    row = await session.first(select(directories_table).where(_kept.key == key))
    return None if row is None else _directory(row)


async def save_directory_row(session: Session, directory: Directory, sealed: str, *, now: datetime) -> None:
    """Make or replace a directory."""
    values = {"settings": dict(directory_json(directory)), "bind_password": sealed, "updated_at": now}
    statement = insert(directories_table).values(key=directory.key, created_at=now, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


async def delete_directory_row(session: Session, key: str) -> bool:
    """Remove a directory; False when there was none. Its people's accounts stay, tied to nothing."""
    gone = await session.scalar(delete(directories_table).where(_kept.key == key).returning(_kept.key))
    return gone is not None


async def delete_links(session: Session, key: str) -> None:
    """Forget which accounts are of this directory."""
    await session.execute(delete(links_table).where(_links.directory == key))


async def write_sync(session: Session, key: str, result: SyncResult) -> None:
    """Remember what a sync did."""
    await session.execute(update(directories_table).where(_kept.key == key).values(sync=dict(sync_json(result))))


async def find_link(session: ReadSession, key: str, entry_id: str) -> Link | None:
    """The account of an entry."""
    row = await session.first(select(links_table).where((_links.directory == key) & (_links.entry_id == entry_id)))
    return None if row is None else _link(row)


async def find_user_link(session: ReadSession, user_id: str) -> Link | None:
    """The entry of an account."""
    row = await session.first(select(links_table).where(_links.user_id == user_id))
    return None if row is None else _link(row)


async def find_links(session: ReadSession, key: str, entry_ids: Collection[str]) -> Mapping[str, Link]:
    """The accounts of some entries, by entry."""
    rows = await session.execute(
        select(links_table).where((_links.directory == key) & _links.entry_id.in_(sorted(entry_ids)))
    )
    return {link.entry_id: link for link in map(_link, rows)}


async def write_link(session: Session, link: Link) -> None:
    """Make or replace a link."""
    values: dict[str, object] = {"user_id": link.user_id, "seen_at": link.seen_at, "shut": link.shut}
    statement = insert(links_table).values(directory=link.directory, entry_id=link.entry_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["directory", "entry_id"], set_=values))


async def touch_links(session: Session, key: str, entry_ids: Collection[str], *, now: datetime) -> None:
    """Note that these entries are still there."""
    mine = (_links.directory == key) & _links.entry_id.in_(sorted(entry_ids))
    await session.execute(update(links_table).where(mine).values(seen_at=now))


async def count_links(session: ReadSession, key: str, *, unseen_since: datetime | None = None) -> int:
    """How many open accounts the directory has here; with a moment, only those not seen since."""
    query = select(func.count()).select_from(links_table).where((_links.directory == key) & _links.shut.is_(False))
    if unseen_since is not None:
        query = query.where(_links.seen_at < unseen_since)
    return cast("int", await session.scalar(query))


async def unseen_links(session: ReadSession, key: str, *, since: datetime, limit: int) -> Sequence[Link]:
    """Open accounts whose entries were not seen since, the longest first."""
    query = select(links_table).where((_links.directory == key) & _links.shut.is_(False) & (_links.seen_at < since))
    return [_link(row) for row in await session.execute(query.order_by(_links.seen_at).limit(limit))]


def _directory(row: Row[tuple[object, ...]]) -> KeptDirectory:
    settings, sync = cast("JsonObject", row.settings), cast("JsonObject | None", row.sync)
    return KeptDirectory(
        directory_of(str(row.key), settings),
        str(row.bind_password),
        row.created_at,
        row.updated_at,
        None if sync is None else sync_of(sync),
    )


def _link(row: Row[tuple[object, ...]]) -> Link:
    return Link(row.directory, row.entry_id, row.user_id, row.seen_at, row.shut)
