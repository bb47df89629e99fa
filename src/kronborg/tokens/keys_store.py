"""Every statement on the keys: plain SQL, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime

import orjson

from kronborg.core.db import from_micros, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row
from kronborg.core.jws import Line
from kronborg.tokens.model import StoredKey

_KEYS = """
SELECT id, state, public_jwk, sealed, created_at, activated_at, retired_at, alg FROM tokens_keys
ORDER BY created_at, id
"""
_ADD_KEY = """
INSERT INTO tokens_keys (id, state, public_jwk, sealed, created_at, activated_at, alg) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING RETURNING id
"""
_RETIRE_KEY = """
UPDATE tokens_keys SET state = 'retiring', retired_at = ? WHERE id = ? AND state = 'active' RETURNING id
"""
_ACTIVATE_KEY = """
UPDATE tokens_keys SET state = 'active', activated_at = ? WHERE state = 'next' AND alg = ? RETURNING id
"""
_DROP_RETIRED = "DELETE FROM tokens_keys WHERE state = 'retiring' AND alg = ? AND retired_at <= ? RETURNING sealed"
_DROP_NEXT = "DELETE FROM tokens_keys WHERE state = 'next' AND alg = ? RETURNING sealed"
_DROP_KEY = "DELETE FROM tokens_keys WHERE id = ? AND state <> 'active' RETURNING sealed"


async def read_keys(lookup: Lookup) -> tuple[StoredKey, ...]:
    """Every key, oldest first."""
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
            row[7],
        )
        for row in rows
    )


def add_key(execute: Execute, key: StoredKey) -> bool:
    """Add a key unless there is one in its state already: each line has one `next` and one `active` key."""
    activated = None if key.activated_at is None else to_micros(key.activated_at)
    public = orjson.dumps(key.public_jwk).decode()
    created = to_micros(key.created_at)
    return bool(execute(_ADD_KEY, (key.id, key.state, public, key.sealed, created, activated, key.line)))


def retire_key(execute: Execute, key_id: str, *, now: datetime) -> bool:
    """Take the active key out of use; True only for the one who did so first."""
    return bool(execute(_RETIRE_KEY, (to_micros(now), key_id)))


def activate_next_key(execute: Execute, line: Line, *, now: datetime) -> str | None:
    """Make the next key of a line the active one; its id."""
    rows = execute(_ACTIVATE_KEY, (to_micros(now), line))
    return str(rows[0][0]) if rows else None


def drop_retired_keys(execute: Execute, line: Line, *, retired_before: datetime) -> tuple[str, ...]:
    """Delete keys that retired before that moment; what was stored of them."""
    return tuple(str(row[0]) for row in execute(_DROP_RETIRED, (line, to_micros(retired_before))))


def drop_next_key(execute: Execute, line: Line) -> tuple[str, ...]:
    """Delete the next key of a line, which never signed anything; what was stored of it."""
    return tuple(str(row[0]) for row in execute(_DROP_NEXT, (line,)))


def drop_key(execute: Execute, key_id: str) -> tuple[str, ...]:
    """Delete a key that is not active, at once: nothing it signed is believed any more. What was stored of it."""
    return tuple(str(row[0]) for row in execute(_DROP_KEY, (key_id,)))


def moment(micros: int | None) -> datetime | None:
    """A time that may be missing."""
    return None if micros is None else from_micros(micros)
