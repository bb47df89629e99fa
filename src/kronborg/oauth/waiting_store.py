"""The table of requests that wait for their person on another device, and every statement that touches it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from kronborg.core.db import Json, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row
from kronborg.oauth.model import Particulars, Waiting, WaitingKind

BATCH = 1000

_TOLD = text("tell_at IS NOT NULL")

waiting_table = Table(
    "oauth_waiting",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("client_id", Text, ForeignKey("clients_clients.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", Text),
    Column("user_code", LargeBinary),
    Column("address", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("audiences", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("pause", Integer, nullable=False),
    Column("asked_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("grant_id", Text),
    Column("particulars", Json, nullable=False),
    # When the client is to be told (CIBA ping and push), and how often that was tried.
    Column("tell_at", UtcDateTime),
    Column("tries", Integer, nullable=False),
    Index("uq_oauth_waiting_user_code", "user_code", unique=True),
    Index("ix_oauth_waiting_client_id", "client_id"),
    Index("ix_oauth_waiting_user_id", "user_id"),
    Index("ix_oauth_waiting_expires_at", "expires_at"),
    Index("ix_oauth_waiting_tell_at", "tell_at", sqlite_where=_TOLD, postgresql_where=_TOLD),
)

_COLUMNS = """digest, kind, client_id, user_id, user_code, address, scopes, audiences, state, pause, created_at,
       expires_at, grant_id, particulars"""
_ADD = f"""
INSERT INTO oauth_waiting ({_COLUMNS}, tell_at, tries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT DO NOTHING RETURNING digest
"""  # noqa: S608  # our own columns
_FIND = f"SELECT {_COLUMNS} FROM oauth_waiting WHERE digest = ? AND kind = ?"  # noqa: S608  # our own columns
_BY_USER_CODE = f"""
SELECT {_COLUMNS} FROM oauth_waiting WHERE user_code = ? AND state = 'pending' AND expires_at > ?
"""  # noqa: S608  # our own columns
_OF_USER = f"""
SELECT {_COLUMNS} FROM oauth_waiting
WHERE user_id = ? AND kind = 'ciba' AND state = 'pending' AND expires_at > ? ORDER BY created_at DESC LIMIT 50
"""  # noqa: S608  # our own columns
_COUNT = """
SELECT count(*) FROM oauth_waiting WHERE client_id = ? AND kind = ? AND state = 'pending' AND expires_at > ?
"""
_OF_PERSON, _AT_ADDRESS = "AND user_id = ?", "AND user_id IS NULL AND address = ?"
# Five minutes are pause enough for anybody who does not listen.
_TOO_SOON = """
UPDATE oauth_waiting SET asked_at = ?, pause = CASE WHEN pause < 300 THEN pause + 5 ELSE pause END
WHERE digest = ? AND state = 'pending' AND asked_at > ? - pause * 1000000 RETURNING pause
"""
_ASKED = "UPDATE oauth_waiting SET asked_at = ? WHERE digest = ? AND state = 'pending'"
_ANSWER = """
UPDATE oauth_waiting SET state = ?, user_id = ?, grant_id = ?, tell_at = CASE WHEN tell_at IS NULL THEN NULL ELSE ? END
WHERE digest = ? AND state = 'pending' AND expires_at > ? RETURNING digest
"""
_REDEEM = "UPDATE oauth_waiting SET state = 'used' WHERE digest = ? AND state = 'allowed' RETURNING digest"
# The condition stands twice: of two workers that found the same row, the second sees it changed.
_CLAIM = f"""
UPDATE oauth_waiting SET tell_at = ?, tries = tries + 1
WHERE digest IN (SELECT digest FROM oauth_waiting WHERE tell_at <= ? ORDER BY tell_at LIMIT ?) AND tell_at <= ?
RETURNING {_COLUMNS}, tries
"""  # noqa: S608  # our own columns
_DUE = "SELECT 1 FROM oauth_waiting WHERE tell_at <= ? LIMIT 1"
_TELL_AGAIN = "UPDATE oauth_waiting SET tell_at = ? WHERE digest = ?"
_CLEAN = """
DELETE FROM oauth_waiting WHERE digest IN (SELECT digest FROM oauth_waiting WHERE expires_at < ? LIMIT ?) RETURNING 1
"""


def add_waiting(execute: Execute, waiting: Waiting) -> bool:
    """A new request; False when its user code is in use."""
    rows = execute(
        _ADD,
        (
            waiting.digest,
            waiting.kind,
            waiting.client_id,
            waiting.user_id,
            waiting.user_code,
            waiting.address,
            " ".join(waiting.scopes),
            " ".join(waiting.audiences),
            waiting.state,
            waiting.pause,
            to_micros(waiting.created_at),
            to_micros(waiting.expires_at),
            waiting.grant_id,
            orjson.dumps(asdict(waiting.particulars)).decode(),
            # At the latest when its time is over, unless somebody answered before.
            None if waiting.particulars.delivery == "poll" else to_micros(waiting.expires_at),
        ),
    )
    return bool(rows)


async def find_waiting(lookup: Lookup, digest: bytes, kind: WaitingKind) -> Waiting | None:
    """The request of this digest, whatever became of it."""
    row: Row | None = await lookup.first(_FIND, (digest, kind))
    return None if row is None else _waiting(row)


async def find_by_user_code(lookup: Lookup, user_code: bytes, *, now: datetime) -> Waiting | None:
    """The request that waits for this code."""
    row: Row | None = await lookup.first(_BY_USER_CODE, (user_code, to_micros(now)))
    return None if row is None else _waiting(row)


async def waiting_of_user(lookup: Lookup, user_id: str, *, now: datetime) -> tuple[Waiting, ...]:
    """What waits for this person, the newest first, at most 50."""
    rows: list[Row] = await lookup.all(_OF_USER, (user_id, to_micros(now)))
    return tuple(_waiting(row) for row in rows)


def count_like(execute: Execute, waiting: Waiting, *, now: datetime) -> int:
    """How many requests of its client wait like this one: for its person, or for nobody yet and from its address."""
    which, value = (_AT_ADDRESS, waiting.address) if waiting.user_id is None else (_OF_PERSON, waiting.user_id)
    [row] = execute(_COUNT + which, (waiting.client_id, waiting.kind, to_micros(now), value))
    return int(row[0])


def asked_too_soon(execute: Execute, digest: bytes, *, now: datetime) -> bool:
    """Note that the client asked; whether it did so before its pause was over, which makes the pause longer."""
    at = to_micros(now)
    if execute(_TOO_SOON, (at, digest, at)):
        return True
    execute(_ASKED, (at, digest))
    return False


def answer_waiting(
    execute: Execute, digest: bytes, *, allowed: bool, user_id: str, grant_id: str | None, now: datetime
) -> bool:
    """The person's answer; True only for the first one, and in time."""
    state = "allowed" if allowed else "denied"
    return bool(execute(_ANSWER, (state, user_id, grant_id, to_micros(now), digest, to_micros(now))))


def redeem_waiting(execute: Execute, digest: bytes) -> bool:
    """Mark an allowed request used; True only for the one who did so first."""
    return bool(execute(_REDEEM, (digest,)))


async def anybody_untold(lookup: Lookup, *, now: datetime) -> bool:
    """Whether a client has to be told now: so that an idle installation writes nothing."""
    return await lookup.first(_DUE, (to_micros(now),)) is not None


def claim_untold(execute: Execute, *, until: datetime, limit: int, now: datetime) -> tuple[tuple[Waiting, int], ...]:
    """Requests whose client is to be told, with the number of this try; nobody else gets them before `until`."""
    rows = execute(_CLAIM, (to_micros(until), to_micros(now), limit, to_micros(now)))
    return tuple((_waiting(row), int(row[14])) for row in rows)


def tell_again(execute: Execute, digest: bytes, *, at: datetime | None) -> None:
    """When the client is to be told again; never with None."""
    execute(_TELL_AGAIN, (None if at is None else to_micros(at), digest))


def clean_waiting(execute: Execute, *, before: datetime) -> int:
    """Delete what expired before that moment, at most a batch; how many."""
    return len(execute(_CLEAN, (to_micros(before), BATCH)))


def _waiting(row: Row) -> Waiting:
    return Waiting(
        bytes(row[0]),
        row[1],
        row[2],
        row[3],
        None if row[4] is None else bytes(row[4]),
        row[5],
        tuple(row[6].split()),
        tuple(row[7].split()),
        row[8],
        row[9],
        from_micros(row[10]),
        from_micros(row[11]),
        row[12],
        _particulars(orjson.loads(row[13])),
    )


def _particulars(stored: dict[str, Any]) -> Particulars:
    return Particulars(**{**stored, "acr_values": tuple(stored["acr_values"])})
