"""Tables of clients that came without an administrator and of initial access tokens, and every statement on them."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import orjson
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from kronborg.clients.admission import policy_json, policy_of
from kronborg.clients.dynamic_model import DynamicClient, InitialToken, Origin
from kronborg.clients.store import clients_table
from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup
from kronborg.core.json import JsonObject

dynamic_table = Table(
    "clients_dynamic",
    metadata,
    Column("client_id", Text, ForeignKey("clients_clients.id", ondelete="CASCADE"), primary_key=True),
    Column("origin", Text, nullable=False),
    Column("digest", LargeBinary),
    Column("token_id", Text),
    Column("unused", Integer, nullable=False),
    Column("policy", Json, nullable=False),
    Column("checked_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_clients_dynamic_expires_at", "expires_at"),
    Index("ix_clients_dynamic_token_id", "token_id"),
)

tokens_table = Table(
    "clients_initial_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("policy", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
)

# Asked for each row in the order of `expires_at`: a list of all clients would be made first.
_ENABLED = (
    select(clients_table.c.id)
    .where(clients_table.c.id == dynamic_table.c.client_id, clients_table.c.disabled.is_(False))
    .correlate(dynamic_table)
    .exists()
)
_COLUMNS = "client_id, origin, digest, token_id, policy, checked_at, used_at, expires_at"
_FIND = f"SELECT {_COLUMNS} FROM clients_dynamic WHERE client_id = ?"  # noqa: S608  # our own columns
_USED = "UPDATE clients_dynamic SET used_at = ?, expires_at = ? + CAST(unused AS BIGINT) * 1000000 WHERE client_id = ?"
_CHECKED = "UPDATE clients_dynamic SET checked_at = ? WHERE client_id = ?"
_typed = [dynamic_table.c[name.strip()] for name in _COLUMNS.split(",")]


async def read_dynamic(lookup: Lookup, client_id: str) -> DynamicClient | None:
    """What is known of a client that came by itself, committed state."""
    row = await lookup.first(_FIND, (client_id,))
    if row is None:
        return None
    checked, used, expires = (None if at is None else from_micros(cast("int", at)) for at in row[5:8])
    digest = None if row[2] is None else bytes(cast("bytes", row[2]))
    return _dynamic((row[0], row[1], digest, row[3], orjson.loads(cast("str", row[4])), checked, used, expires))


async def find_dynamic(session: ReadSession, client_id: str) -> DynamicClient | None:
    """The same, in a transaction."""
    row = await session.first(select(*_typed).where(dynamic_table.c.client_id == client_id))
    return None if row is None else _dynamic(tuple(row))


def mark_used(execute: Execute, client_id: str, *, now: datetime) -> None:
    """Note that somebody used the client, which stays for as long again; a unit of the group writer."""
    execute(_USED, (to_micros(now), to_micros(now), client_id))


def mark_checked(execute: Execute, client_id: str, *, now: datetime) -> None:
    """Note that its document was read; a unit of the group writer."""
    execute(_CHECKED, (to_micros(now), client_id))


async def insert_dynamic(session: Session, client: DynamicClient) -> None:
    """What is known of a new client."""
    await session.execute(
        insert(dynamic_table).values(
            client_id=client.client_id,
            origin=client.origin,
            digest=client.digest,
            token_id=client.token_id,
            unused=int(client.policy.unused.total_seconds()),
            policy=policy_json(client.policy),
            checked_at=client.checked_at,
            used_at=client.used_at,
            expires_at=client.expires_at,
        )
    )


async def replace_digest(session: Session, client_id: str, before: bytes, digest: bytes) -> bool:
    """Rotate a registration access token; whether the old one still was the current one."""
    current = (dynamic_table.c.client_id == client_id) & (dynamic_table.c.digest == before)
    statement = update(dynamic_table).where(current).values(digest=digest).returning(dynamic_table.c.client_id)
    return await session.scalar(statement) is not None


async def count_clients(session: ReadSession, origin: Origin, token_id: str | None) -> int:
    """How many clients came this way: with this initial access token, or without any."""
    same = dynamic_table.c.token_id.is_(None) if token_id is None else dynamic_table.c.token_id == token_id
    query = select(func.count()).select_from(dynamic_table).where(dynamic_table.c.origin == origin, same)
    return int(str(await session.scalar(query)))


async def expired_clients(session: ReadSession, *, now: datetime, limit: int) -> tuple[str, ...]:
    """Clients that nobody has used for too long, at most `limit`. One that is disabled stays so."""
    query = select(dynamic_table.c.client_id).where(dynamic_table.c.expires_at <= now, _ENABLED)
    rows = await session.execute(query.order_by(dynamic_table.c.expires_at).limit(limit))
    return tuple(str(row[0]) for row in rows)


async def unused_documents(session: ReadSession, *, limit: int) -> tuple[str, ...]:
    """Clients of metadata documents that nobody ever used, the one that ends first before the others."""
    never = (dynamic_table.c.origin == "document") & dynamic_table.c.used_at.is_(None) & _ENABLED
    query = select(dynamic_table.c.client_id).where(never).order_by(dynamic_table.c.expires_at).limit(limit)
    return tuple(str(row[0]) for row in await session.execute(query))


async def delete_expired(session: Session, client_id: str, *, now: datetime) -> bool:
    """Forget what is known of a client unless somebody used it meanwhile; whether it was so."""
    over = (dynamic_table.c.client_id == client_id) & (dynamic_table.c.expires_at <= now)
    return await session.scalar(delete(dynamic_table).where(over).returning(dynamic_table.c.client_id)) is not None


# --- initial access tokens -----------------------------------------------------------------------------------------


async def insert_token(session: Session, token: InitialToken) -> None:
    """A new initial access token."""
    await session.execute(
        insert(tokens_table).values(
            id=token.id,
            digest=token.digest,
            name=token.name,
            policy=policy_json(token.policy),
            created_at=token.created_at,
            expires_at=token.expires_at,
            max_uses=token.max_uses,
            uses=token.uses,
        )
    )


async def list_tokens(session: ReadSession) -> tuple[InitialToken, ...]:
    """Every initial access token, the newest first."""
    rows = await session.execute(select(tokens_table).order_by(tokens_table.c.created_at.desc(), tokens_table.c.id))
    return tuple(_token(tuple(row)) for row in rows)


async def find_token(session: ReadSession, digest: bytes) -> InitialToken | None:
    """The initial access token with this digest."""
    row = await session.first(select(tokens_table).where(tokens_table.c.digest == digest))
    return None if row is None else _token(tuple(row))


async def spend_token(session: Session, token_id: str, *, now: datetime) -> bool:
    """Count one use; False when there is none left, or the token has expired or is gone."""
    usable = (
        (tokens_table.c.id == token_id)
        & (tokens_table.c.uses < tokens_table.c.max_uses)
        & (tokens_table.c.expires_at > now)
    )
    statement = update(tokens_table).where(usable).values(uses=tokens_table.c.uses + 1).returning(tokens_table.c.id)
    return await session.scalar(statement) is not None


async def delete_token(session: Session, token_id: str) -> bool:
    """Remove an initial access token; whether it was there."""
    statement = delete(tokens_table).where(tokens_table.c.id == token_id).returning(tokens_table.c.id)
    return await session.scalar(statement) is not None


def _dynamic(row: tuple[object, ...]) -> DynamicClient:
    return DynamicClient(
        client_id=cast("str", row[0]),
        origin=cast("Origin", row[1]),
        digest=cast("bytes | None", row[2]),
        token_id=cast("str | None", row[3]),
        policy=policy_of(cast("JsonObject", row[4])),
        checked_at=cast("datetime", row[5]),
        used_at=cast("datetime | None", row[6]),
        expires_at=cast("datetime", row[7]),
    )


def _token(row: tuple[object, ...]) -> InitialToken:
    return InitialToken(
        id=cast("str", row[0]),
        digest=cast("bytes", row[1]),
        name=cast("str", row[2]),
        policy=policy_of(cast("JsonObject", row[3])),
        created_at=cast("datetime", row[4]),
        expires_at=cast("datetime", row[5]),
        max_uses=cast("int", row[6]),
        uses=cast("int", row[7]),
    )
