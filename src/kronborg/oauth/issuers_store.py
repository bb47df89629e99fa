"""The table of trusted issuers of assertions (RFC 7523 §3), and every statement that touches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import Column, Index, Table, Text, delete, insert, select, update
from sqlalchemy.engine import Row as ResultRow

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, from_micros, metadata
from kronborg.core.group_writer import Lookup, Row
from kronborg.oauth.model import TrustedIssuer

issuers_table = Table(
    "oauth_issuers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("issuer", Text, nullable=False),
    Column("jwks", Json),
    Column("jwks_uri", Text),
    Column("audience", Text),
    Column("subject", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("uq_oauth_issuers_issuer", "issuer", unique=True),
)
_names = issuers_table.c

_BY_ISSUER = """
SELECT name, issuer, jwks, jwks_uri, audience, subject, created_at, updated_at FROM oauth_issuers WHERE issuer = ?
"""


async def issuer_called(lookup: Lookup, issuer: str) -> TrustedIssuer | None:
    """The trusted issuer that calls itself so in `iss`."""
    row: Row | None = await lookup.first(_BY_ISSUER, (issuer,))
    if row is None:
        return None
    jwks = None if row[2] is None else orjson.loads(row[2])
    return TrustedIssuer(row[0], row[1], jwks, row[3], row[4], row[5], from_micros(row[6]), from_micros(row[7]))


async def list_issuers(session: ReadSession) -> Sequence[TrustedIssuer]:
    """Every trusted issuer, by name."""
    return [_issuer(row) for row in await session.execute(select(issuers_table).order_by(_names.name))]


async def find_issuer(session: ReadSession, name: str) -> TrustedIssuer | None:
    """The trusted issuer of this name."""
    row = await session.first(select(issuers_table).where(_names.name == name))
    return None if row is None else _issuer(row)


async def insert_issuer(session: Session, issuer: TrustedIssuer) -> None:
    """One new row."""
    await session.execute(insert(issuers_table).values(**asdict(issuer)))


async def replace_issuer(session: Session, issuer: TrustedIssuer) -> None:
    """The row of this name as it shall be."""
    await session.execute(update(issuers_table).where(_names.name == issuer.name).values(**asdict(issuer)))


async def delete_issuer(session: Session, name: str) -> bool:
    """Remove one; False when there is none."""
    removed = delete(issuers_table).where(_names.name == name).returning(_names.name)
    return await session.scalar(removed) is not None


def _issuer(row: ResultRow[Any]) -> TrustedIssuer:
    return TrustedIssuer(
        row.name, row.issuer, row.jwks, row.jwks_uri, row.audience, row.subject, row.created_at, row.updated_at
    )
