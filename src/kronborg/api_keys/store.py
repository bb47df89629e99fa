"""The table of API keys and personal access tokens, and every statement on it: plain SQL, the same on both databases.

A key is found by its digest alone: the text itself is kept nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from kronborg.api_keys.model import ApiKey, Kind
from kronborg.core.db import UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row

keys_table = Table(
    "api_keys_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("client_id", Text),
    Column("user_id", Text),
    Column("audiences", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("addresses", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("rotated_at", UtcDateTime),
    Index("ix_api_keys_keys_client_id", "client_id"),
    Index("ix_api_keys_keys_user_id", "user_id"),
)

_NAMES = (
    "id, kind, shown, name, client_id, user_id, audiences, scopes, addresses, created_at, created_by, expires_at, "
    "revoked_at, last_used_at, rotated_at"
)
_FIND = f"SELECT {_NAMES} FROM api_keys_keys WHERE "  # noqa: S608  # our own columns
_ALIVE = """revoked_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM tokens_cutoffs c WHERE c.not_before > api_keys_keys.created_at AND c.client_id =
    CASE WHEN api_keys_keys.user_id IS NULL THEN api_keys_keys.client_id ELSE 'pat:' || api_keys_keys.user_id END)"""
"""Neither revoked nor taken back with everything that its owner held."""
_BY_DIGEST = _FIND + "digest = ?"
_BY_ID = _FIND + "id = ?"
_PAGE = _FIND + f"id < ? AND {_ALIVE} ORDER BY id DESC LIMIT ?"
_OF_CLIENT = _FIND + f"client_id = ? AND {_ALIVE} ORDER BY id DESC LIMIT 200"
_OF_USER = _FIND + f"user_id = ? AND {_ALIVE} ORDER BY id DESC LIMIT 200"
_COUNT = f"SELECT count(*) FROM api_keys_keys WHERE {{}} = ? AND {_ALIVE} AND expires_at > ?"  # noqa: S608
_ADD = f"""
INSERT INTO api_keys_keys (digest, {_NAMES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)
"""  # noqa: S608  # our own columns
_REVOKE = "UPDATE api_keys_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id"
_ROTATE = """
UPDATE api_keys_keys SET rotated_at = ?, expires_at = CASE WHEN expires_at < ? THEN expires_at ELSE ? END
WHERE id = ? AND revoked_at IS NULL AND rotated_at IS NULL AND expires_at > ? RETURNING id
"""
_USED = "UPDATE api_keys_keys SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)"
_PURGE = "DELETE FROM api_keys_keys WHERE expires_at < ?"
_FORGET = "DELETE FROM api_keys_keys WHERE user_id = ?"
_LAST = "~"


def add_key(execute: Execute, digest: bytes, key: ApiKey) -> None:
    """A new key."""
    lists = (" ".join(key.audiences), " ".join(key.scopes), " ".join(key.addresses))
    execute(
        _ADD,
        (
            digest,
            key.id,
            key.kind,
            key.shown,
            key.name,
            key.client_id,
            key.user_id,
            *lists,
            to_micros(key.created_at),
            key.created_by,
            to_micros(key.expires_at),
        ),
    )


async def find_by_digest(lookup: Lookup, digest: bytes) -> ApiKey | None:
    """The key of this digest, revoked or not."""
    row: Row | None = await lookup.first(_BY_DIGEST, (digest,))
    return None if row is None else _key(row)


async def find_key(lookup: Lookup, key_id: str) -> ApiKey | None:
    """The key of this id, revoked or not."""
    row: Row | None = await lookup.first(_BY_ID, (key_id,))
    return None if row is None else _key(row)


async def list_keys(
    lookup: Lookup, *, client_id: str | None = None, user_id: str | None = None, before: str | None = None, limit: int
) -> tuple[ApiKey, ...]:
    """Keys that are not revoked, the newest first: of a client, of a person, or of all, then from `before` on."""
    if client_id is not None:
        rows = await lookup.all(_OF_CLIENT, (client_id,))
    elif user_id is not None:
        rows = await lookup.all(_OF_USER, (user_id,))
    else:
        rows = await lookup.all(_PAGE, (before or _LAST, limit))
    return tuple(_key(row) for row in rows)


def count_keys(execute: Execute, owner: str, *, personal: bool, now: datetime) -> int:
    """How many keys an owner has that are neither revoked nor expired."""
    ((count,),) = execute(_COUNT.format("user_id" if personal else "client_id"), (owner, to_micros(now)))
    return int(count)


def revoke_key(execute: Execute, key_id: str, *, now: datetime) -> bool:
    """Revoke a key; True for the one who did so first."""
    return bool(execute(_REVOKE, (to_micros(now), key_id)))


def rotate_key(execute: Execute, key_id: str, *, until: datetime, now: datetime) -> bool:
    """Let a key end at `until` at the latest; True for the one who did so first, while it stood."""
    end = to_micros(until)
    return bool(execute(_ROTATE, (to_micros(now), end, end, key_id, to_micros(now))))


def mark_used(execute: Execute, used: Mapping[str, datetime]) -> None:
    """Note when keys were last used."""
    for key_id, at in used.items():
        execute(_USED, (to_micros(at), key_id, to_micros(at)))


def purge_keys(execute: Execute, *, expired_before: datetime) -> None:
    """Forget keys that ended long ago."""
    execute(_PURGE, (to_micros(expired_before),))


def forget_user(execute: Execute, user_id: str) -> None:
    """Remove every token of a person."""
    execute(_FORGET, (user_id,))


def _key(row: Row) -> ApiKey:
    moments = [None if at is None else from_micros(at) for at in (row[9], *row[11:15])]
    created, expires = cast("list[datetime]", moments[:2])
    return ApiKey(
        id=row[0],
        kind=cast("Kind", row[1]),
        shown=row[2],
        name=row[3],
        client_id=row[4],
        user_id=row[5],
        audiences=tuple(row[6].split()),
        scopes=tuple(row[7].split()),
        addresses=tuple(row[8].split()),
        created_at=created,
        created_by=row[10],
        expires_at=expires,
        revoked_at=moments[2],
        last_used_at=moments[3],
        rotated_at=moments[4],
    )
