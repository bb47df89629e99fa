"""Every statement on the signing keys: plain SQL, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime

import orjson

from kronborg.core.db import from_micros, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row
from kronborg.tokens.model import StoredKey

_KEYS = """
SELECT id, state, public_jwk, sealed, created_at, activated_at, retired_at FROM tokens_keys ORDER BY created_at, id
"""
_ADD_KEY = """
INSERT INTO tokens_keys (id, state, public_jwk, sealed, created_at, activated_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING id
"""
_RETIRE_KEY = """
UPDATE tokens_keys SET state = 'retiring', retired_at = ? WHERE id = ? AND state = 'active' RETURNING id
"""
_ACTIVATE_KEY = "UPDATE tokens_keys SET state = 'active', activated_at = ? WHERE state = 'next' RETURNING id"
_DROP_RETIRED = "DELETE FROM tokens_keys WHERE state = 'retiring' AND retired_at <= ? RETURNING id"
_DROP_KEY = "DELETE FROM tokens_keys WHERE id = ? AND state = 'retiring' RETURNING id"


async def read_keys(lookup: Lookup) -> tuple[StoredKey, ...]:
    """Every signing key, oldest first."""
    rows: list[Row] = await lookup.all(_KEYS)
    return tuple(
        StoredKey(
            row[0],
            row[1],
            orjson.loads(row[2]),
            row[3],
            from_micros(row[4]),
            moment(row[5]),
            moment(row[6]),
        )
        for row in rows
    )


def add_key(execute: Execute, key: StoredKey) -> bool:
    """Add a key unless there is one in its state already (`next` and `active` exist once each)."""
    activated = None if key.activated_at is None else to_micros(key.activated_at)
    public = orjson.dumps(key.public_jwk).decode()
    return bool(execute(_ADD_KEY, (key.id, key.state, public, key.sealed, to_micros(key.created_at), activated)))


def retire_key(execute: Execute, key_id: str, *, now: datetime) -> bool:
    """Take the active key out of use; True only for the one who did so first."""
    return bool(execute(_RETIRE_KEY, (to_micros(now), key_id)))


def activate_next_key(execute: Execute, *, now: datetime) -> str | None:
    """Make the next key the active one; its id."""
    rows = execute(_ACTIVATE_KEY, (to_micros(now),))
    return str(rows[0][0]) if rows else None


def drop_retired_keys(execute: Execute, *, retired_before: datetime) -> int:
    """Delete keys that retired before that moment; how many."""
    return len(execute(_DROP_RETIRED, (to_micros(retired_before),)))


def drop_key(execute: Execute, key_id: str) -> bool:
    """Delete a retiring key at once: nothing it signed is believed any more."""
    return bool(execute(_DROP_KEY, (key_id,)))


def moment(micros: int | None) -> datetime | None:
    """A time that may be missing."""
    return None if micros is None else from_micros(micros)
