"""The table of authorization requests that are kept here, and every statement that touches it.

A request is kept by the digest of its reference, so that nothing in the database opens one (RFC 9126 §7.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, Table, Text

from kronborg.core.db import UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row

KeptOrigin = Literal["pushed", "fetched", "browser"]
"""Who brought it: the client itself (RFC 9126), we from the client's address (RFC 9101 §5.2), or a browser."""

CLEAN_BATCH = 1000

requests_table = Table(
    "oauth_requests",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("client_id", Text, ForeignKey("clients_clients.id", ondelete="CASCADE"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("signed", Boolean, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("jkt", Text),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("keep_until", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Index("ix_oauth_requests_keep_until", "keep_until"),
    Index("ix_oauth_requests_client_id", "client_id"),
)

_COLUMNS = "digest, client_id, origin, signed, parameters, jkt, expires_at, used_at"
_ADD = """
INSERT INTO oauth_requests (digest, client_id, origin, signed, parameters, jkt, expires_at, keep_until)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_FIND = f"SELECT {_COLUMNS} FROM oauth_requests WHERE digest = ?"  # noqa: S608  # our own columns
_USE = "UPDATE oauth_requests SET used_at = ? WHERE digest = ? AND used_at IS NULL RETURNING digest"
_HOLD = "UPDATE oauth_requests SET keep_until = ? WHERE digest = ?"
_CLEAN = """
DELETE FROM oauth_requests WHERE digest IN (SELECT digest FROM oauth_requests WHERE keep_until < ? LIMIT ?) RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request as kept. `expires_at` is until when it may be begun; `jkt` is the DPoP key that was proved with it.

    `parameters` is the request as a query string, without a request object: what that said stands in them.
    """

    digest: bytes
    client_id: str
    origin: KeptOrigin
    signed: bool
    parameters: str
    jkt: str | None
    expires_at: datetime
    used_at: datetime | None = None


def add_request(execute: Execute, kept: KeptRequest) -> None:
    """A new request."""
    execute(
        _ADD,
        (
            kept.digest,
            kept.client_id,
            kept.origin,
            kept.signed,
            kept.parameters,
            kept.jkt,
            to_micros(kept.expires_at),
            to_micros(kept.expires_at),
        ),
    )


async def find_request(lookup: Lookup, digest: bytes) -> KeptRequest | None:
    """The request of this digest, used and expired ones included."""
    row: Row | None = await lookup.first(_FIND, (digest,))
    if row is None:
        return None
    used_at = None if row[7] is None else from_micros(row[7])
    origin = cast("KeptOrigin", row[2])
    return KeptRequest(bytes(row[0]), row[1], origin, bool(row[3]), row[4], row[5], from_micros(row[6]), used_at)


def use_request(execute: Execute, digest: bytes, *, now: datetime) -> bool:
    """Mark a request used; True only for the one who did so first (RFC 9126 §4, §7.3)."""
    return bool(execute(_USE, (to_micros(now), digest)))


def hold_request(execute: Execute, digest: bytes, *, until: datetime) -> None:
    """Keep a request that was begun until its user has had time to answer."""
    execute(_HOLD, (to_micros(until), digest))


def clean_requests(execute: Execute, *, before: datetime) -> int:
    """Delete requests that had to be kept until before that moment, at most a batch; how many."""
    return len(execute(_CLEAN, (to_micros(before), CLEAN_BATCH)))
