"""The table of remembered consents, and every statement that touches it."""

from __future__ import annotations

import orjson
from sqlalchemy import Column, ForeignKey, Index, Table, Text

from kronborg.core.db import Json, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row
from kronborg.oauth.model import Consent

consents_table = Table(
    "oauth_consents",
    metadata,
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("client_id", Text, ForeignKey("clients_clients.id", ondelete="CASCADE"), primary_key=True),
    Column("scopes", Json, nullable=False),
    Column("audiences", Json, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    Index("ix_oauth_consents_client_id", "client_id"),
)

_COLUMNS = "user_id, client_id, scopes, audiences, since, granted_at"
_FIND = f"SELECT {_COLUMNS} FROM oauth_consents WHERE user_id = ? AND client_id = ?"  # noqa: S608  # our own columns
_OF_USER = f"""
SELECT {_COLUMNS} FROM oauth_consents WHERE user_id = ? ORDER BY granted_at DESC LIMIT 500
"""  # noqa: S608  # our own columns
_REMEMBER = f"""
INSERT INTO oauth_consents ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (user_id, client_id) DO UPDATE SET granted_at = excluded.granted_at
RETURNING {_COLUMNS}
"""  # noqa: S608  # our own columns
_WIDEN = "UPDATE oauth_consents SET scopes = ?, audiences = ? WHERE user_id = ? AND client_id = ?"
# It changes nothing: it locks the row, so that a withdrawal comes before this unit or after it, never in between.
_HOLD = f"""
UPDATE oauth_consents SET granted_at = granted_at WHERE user_id = ? AND client_id = ? RETURNING {_COLUMNS}
"""  # noqa: S608  # our own columns
_FORGET = "DELETE FROM oauth_consents WHERE user_id = ? AND client_id = ? RETURNING client_id"


async def find_consent(lookup: Lookup, user_id: str, client_id: str) -> Consent | None:
    """What this person allowed this client."""
    row: Row | None = await lookup.first(_FIND, (user_id, client_id))
    return None if row is None else _consent(row)


async def consents_of_user(lookup: Lookup, user_id: str) -> tuple[Consent, ...]:
    """What this person allowed, the latest first, at most 500 clients."""
    rows: list[Row] = await lookup.all(_OF_USER, (user_id,))
    return tuple(_consent(row) for row in rows)


def keep_consent(execute: Execute, given: Consent) -> Consent:
    """Add to what was allowed before; what is allowed now. The first statement locks the row: no yes is lost."""
    moments = (to_micros(given.since), to_micros(given.granted_at))
    [row] = execute(_REMEMBER, (given.user_id, given.client_id, _text(given.scopes), _text(given.audiences), *moments))
    before = _consent(row)
    if given.scopes <= before.scopes and given.audiences <= before.audiences:
        return before
    scopes, audiences = before.scopes | given.scopes, before.audiences | given.audiences
    execute(_WIDEN, (_text(scopes), _text(audiences), given.user_id, given.client_id))
    return Consent(given.user_id, given.client_id, scopes, audiences, before.since, given.granted_at)


def hold_consent(execute: Execute, user_id: str, client_id: str) -> Consent | None:
    """What this person allows this client, kept from changing until the end of the transaction."""
    rows = execute(_HOLD, (user_id, client_id))
    return _consent(rows[0]) if rows else None


def forget_consent(execute: Execute, user_id: str, client_id: str) -> bool:
    """Forget what was allowed; whether there was anything."""
    return bool(execute(_FORGET, (user_id, client_id)))


def _consent(row: Row) -> Consent:
    return Consent(
        row[0],
        row[1],
        frozenset(orjson.loads(row[2])),
        frozenset(orjson.loads(row[3])),
        from_micros(row[4]),
        from_micros(row[5]),
    )


def _text(values: frozenset[str]) -> str:
    return orjson.dumps(sorted(values)).decode()
