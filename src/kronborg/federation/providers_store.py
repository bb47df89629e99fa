"""The tables of federation, and every statement that touches them.

An identity belongs to one account: the primary key decides who wins when two link it at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

import orjson
from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table, Text, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Row

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.group_writer import Lookup
from kronborg.core.json import JsonObject
from kronborg.core.values import freeze, thaw
from kronborg.federation.model import Identity, Provider, ProviderSettings

providers_table = Table(
    "federation_providers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("settings", Json, nullable=False),
    Column("secret", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

identities_table = Table(
    "federation_identities",
    metadata,
    Column("provider", Text, ForeignKey("federation_providers.key", ondelete="CASCADE"), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), nullable=False),
    Column("shown", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=False),
    Index("ix_federation_identities_user_id", "user_id"),
)

attempts_table = Table(
    "federation_attempts",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_federation_attempts_expires_at", "expires_at"),
)

used_table = Table(
    "federation_used",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_federation_used_expires_at", "expires_at"),
)

_SHOWN = "SELECT key, name, settings FROM federation_providers ORDER BY lower(name), key"

_providers, _identities, _attempts = providers_table.c, identities_table.c, attempts_table.c
_used = used_table.c


async def list_providers(session: ReadSession) -> Sequence[Provider]:
    """Every provider, by name."""
    rows = await session.execute(select(providers_table).order_by(func.lower(_providers.name), _providers.key))
    return [_provider(row) for row in rows]


async def list_enabled(lookup: Lookup) -> Sequence[tuple[str, str, ProviderSettings]]:
    """Key, name and settings of those people can sign in with, by name; read whenever somebody signs in."""
    found = [(row[0], row[1], read_settings(orjson.loads(row[2]))) for row in await lookup.all(_SHOWN, ())]
    return [one for one in found if one[2].enabled]


async def find_provider(session: ReadSession, key: str) -> Provider | None:
    """The provider with this key."""
    row = await session.first(select(providers_table).where(_providers.key == key))
    return None if row is None else _provider(row)


async def write_provider(session: Session, provider: Provider) -> None:
    """A provider, in place of the one with the same key."""
    values: dict[str, object] = {
        "kind": provider.kind,
        "name": provider.name,
        "settings": settings_json(provider.settings),
        "secret": provider.secret,
        "updated_at": provider.updated_at,
    }
    statement = insert(providers_table).values(key=provider.key, created_at=provider.created_at, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


async def delete_provider_row(session: Session, key: str) -> bool:
    """Remove a provider and the links to it; False when there was none."""
    gone = delete(providers_table).where(_providers.key == key).returning(_providers.key)
    return await session.scalar(gone) is not None


async def count_identities(session: ReadSession, key: str, *, most: int) -> int:
    """How many accounts are linked to a provider, counted up to `most`."""
    some = select(_identities.subject).where(_identities.provider == key).limit(most).subquery()
    return cast("int", await session.scalar(select(func.count()).select_from(some)))


async def find_identity(session: ReadSession, provider: str, subject: str) -> Identity | None:
    """Whose account this is."""
    mine = (_identities.provider == provider) & (_identities.subject == subject)
    row = await session.first(select(identities_table).where(mine))
    return None if row is None else _identity(row)


async def identities_of(session: ReadSession, user_id: str) -> Sequence[Identity]:
    """What an account is linked to, the oldest first."""
    query = select(identities_table).where(_identities.user_id == user_id).order_by(_identities.created_at)
    return [_identity(row) for row in await session.execute(query)]


async def insert_identity(session: Session, identity: Identity) -> bool:
    """Link an account; False when the identity has one already."""
    values = {name: getattr(identity, name) for name in identity.__slots__}
    statement = insert(identities_table).values(**values).on_conflict_do_nothing()
    return await session.scalar(statement.returning(_identities.subject)) is not None


async def touch_identity(session: Session, provider: str, subject: str, *, shown: str, now: datetime) -> None:
    """Note that somebody came in by it."""
    mine = (_identities.provider == provider) & (_identities.subject == subject)
    await session.execute(update(identities_table).where(mine).values(shown=shown, used_at=now))


async def delete_identity(session: Session, provider: str, subject: str, *, user_id: str) -> bool:
    """Unlink; False when it is not this user's."""
    mine = (_identities.provider == provider) & (_identities.subject == subject) & (_identities.user_id == user_id)
    return await session.scalar(delete(identities_table).where(mine).returning(_identities.subject)) is not None


async def insert_attempt(session: Session, digest: bytes, sealed: str, *, expires_at: datetime) -> None:
    """Remember a sign-in that was sent away."""
    await session.execute(insert(attempts_table).values(digest=digest, sealed=sealed, expires_at=expires_at))


async def take_attempt(session: Session, digest: bytes, *, now: datetime) -> str | None:
    """Take it back, once: of two that come at the same time one finds it."""
    row = await session.first(
        delete(attempts_table).where(_attempts.digest == digest).returning(_attempts.sealed, _attempts.expires_at)
    )
    return None if row is None or cast("datetime", row.expires_at) <= now else cast("str", row.sealed)


async def read_attempt(session: ReadSession, digest: bytes, *, now: datetime) -> str | None:
    """Look at it without taking it."""
    mine = (_attempts.digest == digest) & (_attempts.expires_at > now)
    return cast("str | None", await session.scalar(select(_attempts.sealed).where(mine)))


async def use_once(session: Session, digest: bytes, *, expires_at: datetime) -> bool:
    """Note that something was used; False when it had been."""
    statement = insert(used_table).values(digest=digest, expires_at=expires_at).on_conflict_do_nothing()
    return await session.scalar(statement.returning(_used.digest)) is not None


async def delete_expired(session: Session, *, now: datetime, limit: int) -> int:
    """Forget attempts and marks whose time is over, at most `limit` of each; how many."""
    count = 0
    for table in (attempts_table, used_table):
        some = select(table.c.digest).where(table.c.expires_at <= now).limit(limit)
        gone = delete(table).where(table.c.digest.in_(some)).returning(table.c.digest)
        count += len(await session.execute(gone))
    return count


def settings_json(settings: ProviderSettings) -> JsonObject:
    """What differs from the defaults: settings that come later do not change what is stored."""
    plain, usual = cast("JsonObject", freeze(settings)), cast("JsonObject", freeze(ProviderSettings()))
    return {name: value for name, value in plain.items() if value != usual[name]}


def read_settings(stored: JsonObject) -> ProviderSettings:
    """The settings that were stored."""
    usual = cast("JsonObject", freeze(ProviderSettings()))
    return thaw(ProviderSettings, {name: stored.get(name, value) for name, value in usual.items()})


def _provider(row: Row[tuple[object, ...]]) -> Provider:
    settings = read_settings(cast("JsonObject", row.settings))
    return Provider(row.key, row.kind, row.name, settings, row.secret, row.created_at, row.updated_at)


def _identity(row: Row[tuple[object, ...]]) -> Identity:
    return Identity(row.provider, row.subject, row.user_id, row.shown, row.created_at, row.used_at)
