"""The table of other issuers whose tokens the gateway takes, and every statement that touches it."""

from __future__ import annotations

from datetime import datetime

import orjson
from sqlalchemy import Column, Table, Text, delete, insert, select, update

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.group_writer import Lookup
from kronborg.core.values import freeze, thaw
from kronborg.gateway.access_model import TokenIssuer

token_issuers_table = Table(
    "gateway_token_issuers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("issuer", Text, nullable=False, unique=True),
    Column("body", Json, nullable=False),
    Column("keys", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)
_names = token_issuers_table.c
_KEYS = "SELECT name, keys FROM gateway_token_issuers WHERE keys <> '' ORDER BY name"


async def list_token_issuers(session: ReadSession) -> tuple[TokenIssuer, ...]:
    """Every one, by name, with the keys that were declared and without those that were fetched."""
    rows = await session.execute(select(_names.body).order_by(_names.name))
    return tuple(thaw(TokenIssuer, row[0]) for row in rows)


async def find_token_issuer(session: ReadSession, name: str) -> TokenIssuer | None:
    """The one of this name."""
    body = await session.scalar(select(_names.body).where(_names.name == name))
    return None if body is None else thaw(TokenIssuer, body)


async def put_token_issuer(session: Session, issuer: TokenIssuer, *, now: datetime) -> None:
    """The row of this name as it shall be. What was fetched for it before is forgotten: it may come from elsewhere."""
    body = orjson.loads(orjson.dumps(freeze(issuer)))
    await session.execute(delete(token_issuers_table).where(_names.name == issuer.name))
    await session.execute(
        insert(token_issuers_table).values(name=issuer.name, issuer=issuer.issuer, body=body, keys="", updated_at=now)
    )


async def put_keys(session: Session, name: str, keys: str, *, now: datetime) -> None:
    """What was fetched."""
    await session.execute(update(token_issuers_table).where(_names.name == name).values(keys=keys, updated_at=now))


async def delete_token_issuer(session: Session, name: str) -> bool:
    """Remove one; False when there is none."""
    removed = delete(token_issuers_table).where(_names.name == name).returning(_names.name)
    return await session.scalar(removed) is not None


async def fetched_keys(session: ReadSession) -> dict[str, str]:
    """What was fetched, by name."""
    rows = await session.execute(select(_names.name, _names["keys"]))
    return {str(name): str(keys) for name, keys in map(tuple, rows) if keys}


async def keys_now(lookup: Lookup) -> dict[str, str]:
    """The same, committed state, cheap enough to ask several times a second."""
    return {str(row[0]): str(row[1]) for row in await lookup.all(_KEYS, ())}
