"""The table of other issuers whose tokens the gateway takes, and every statement that touches it."""

from __future__ import annotations

from datetime import datetime

import orjson
from sqlalchemy import Column, Table, Text, delete, insert, select, update

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.group_writer import Lookup
from kronborg.core.values import freeze, thaw
from kronborg.gateway.access_model import KeysState, TokenIssuer

token_issuers_table = Table(
    "gateway_token_issuers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("issuer", Text, nullable=False, unique=True),
    Column("body", Json, nullable=False),
    Column("keys", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("fetched_at", UtcDateTime),
    Column("failed_at", UtcDateTime),
    Column("failure", Text, nullable=False),
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
    """The row of this name as it shall be. What was fetched for it is forgotten when it may come from elsewhere now."""
    body = orjson.loads(orjson.dumps(freeze(issuer)))
    before, state = await find_token_issuer(session, issuer.name), KeysState()
    if before is not None and _source(before) == _source(issuer):
        state = (await keys_states(session)).get(issuer.name, state)
    kept = {name: getattr(state, name) for name in ("keys", "fetched_at", "failed_at", "failure")}
    await session.execute(delete(token_issuers_table).where(_names.name == issuer.name))
    await session.execute(
        insert(token_issuers_table).values(name=issuer.name, issuer=issuer.issuer, body=body, updated_at=now, **kept)
    )


def _source(issuer: TokenIssuer) -> tuple[object, ...]:
    return issuer.issuer, issuer.jwks_uri, issuer.algorithms


async def put_keys(session: Session, name: str, keys: str, *, now: datetime) -> None:
    """What was fetched."""
    values = {"keys": keys, "fetched_at": now, "failed_at": None, "failure": ""}
    await session.execute(update(token_issuers_table).where(_names.name == name).values(values))


async def put_failure(session: Session, name: str, failure: str, *, forget: bool, now: datetime) -> None:
    """That nothing could be fetched; with `forget`, what is known is too old to be believed."""
    values = {"failed_at": now, "failure": failure, **({"keys": ""} if forget else {})}
    await session.execute(update(token_issuers_table).where(_names.name == name).values(values))


async def keys_states(session: ReadSession) -> dict[str, KeysState]:
    """What was fetched and what was not, by name."""
    rows = await session.execute(
        select(_names.name, _names["keys"].label("known"), _names.fetched_at, _names.failed_at, _names.failure)
    )
    return {str(row.name): KeysState(str(row.known), row.fetched_at, row.failed_at, str(row.failure)) for row in rows}


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
