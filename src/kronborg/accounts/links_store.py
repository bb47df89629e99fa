"""Single-use links, what strangers asked for by mail, and the SQL that touches them. Tokens are digests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ColumnElement, ForeignKey, Index, LargeBinary, Table, Text, delete, insert, select
from sqlalchemy.engine import Row

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata

links_table = Table(
    "accounts_links",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE")),
    Column("held", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_accounts_links_user_id", "user_id"),
    Index("ix_accounts_links_expires_at", "expires_at"),
)

asked_table = Table(
    "accounts_asked",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Index("ix_accounts_asked_asked_at", "asked_at"),
)

_links, _asked = links_table.c, asked_table.c


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link as it is kept; `held` is sealed."""

    digest: bytes
    purpose: str
    user_id: str | None
    held: str
    made_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AskedRow:
    """What somebody asked for; sealed."""

    id: str
    kind: str
    sealed: str
    asked_at: datetime


async def insert_link(session: Session, row: LinkRow) -> None:
    """One new link."""
    await session.execute(insert(links_table).values(**{name: getattr(row, name) for name in row.__slots__}))


async def find_link_row(session: ReadSession, digest: bytes, purpose: str, *, now: datetime) -> LinkRow | None:
    """The link with this digest and purpose, if its time is not over."""
    return _link(await session.first(select(links_table).where(_mine(digest, purpose, now))))


async def take_link_row(session: Session, digest: bytes, purpose: str, *, now: datetime) -> LinkRow | None:
    """Take the link away; of two that want it, on SQLite as on PostgreSQL, one gets it."""
    return _link(await session.first(delete(links_table).where(_mine(digest, purpose, now)).returning(*links_table.c)))


async def list_link_rows(session: ReadSession, user_id: str, *, now: datetime, limit: int = 100) -> Sequence[LinkRow]:
    """The links of a user that wait."""
    query = select(links_table).where(_links.user_id == user_id, _links.expires_at > now)
    rows = await session.execute(query.order_by(_links.made_at).limit(limit))
    return [row for row in map(_link, rows) if row is not None]


async def delete_links_of(session: Session, user_id: str, purposes: Sequence[str]) -> None:
    """Forget the links of a user for these purposes."""
    await session.execute(delete(links_table).where(_links.user_id == user_id, _links.purpose.in_(purposes)))


async def delete_younger_links(session: Session, user_id: str, purpose: str, *, than: datetime) -> None:
    """Forget the links of a user for this purpose that were made after that moment."""
    mine = (_links.user_id == user_id) & (_links.purpose == purpose)
    await session.execute(delete(links_table).where(mine, _links.made_at > than))


async def delete_expired_links(session: Session, *, now: datetime, limit: int) -> int:
    """Forget links whose time is over, at most `limit`; how many."""
    some = select(_links.digest).where(_links.expires_at <= now).limit(limit)
    return len(await session.execute(delete(links_table).where(_links.digest.in_(some)).returning(_links.purpose)))


async def insert_asked(session: Session, row: AskedRow) -> None:
    """Something that waits for the worker."""
    await session.execute(insert(asked_table).values(**{name: getattr(row, name) for name in row.__slots__}))


async def list_asked(session: ReadSession, *, limit: int) -> Sequence[AskedRow]:
    """What waits, the oldest first."""
    rows = await session.execute(select(asked_table).order_by(_asked.asked_at).limit(limit))
    return [AskedRow(row.id, row.kind, row.sealed, row.asked_at) for row in rows]


async def take_asked(session: Session, asked_id: str) -> bool:
    """Take it away; False when another worker was faster."""
    gone = delete(asked_table).where(_asked.id == asked_id).returning(_asked.id)
    return await session.scalar(gone) is not None


def _mine(digest: bytes, purpose: str, now: datetime) -> ColumnElement[bool]:
    return (_links.digest == digest) & (_links.purpose == purpose) & (_links.expires_at > now)


def _link(row: Row[tuple[object, ...]] | None) -> LinkRow | None:
    if row is None:
        return None
    return LinkRow(bytes(row.digest), row.purpose, row.user_id, row.held, row.made_at, row.expires_at)
