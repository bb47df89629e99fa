"""The table of blocked addresses: what operators wrote; gateways hear of it by the feed (`tokens.feed`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Table, Text

from kronborg.core.db import UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup

blocked_table = Table(
    "traffic_blocked_addresses",
    metadata,
    Column("network", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)

_OVER = "DELETE FROM traffic_blocked_addresses WHERE until <= ?"
_COUNT = "SELECT count(*) FROM traffic_blocked_addresses WHERE network <> ?"
_PUT = (
    "INSERT INTO traffic_blocked_addresses (network, reason, author, created_at, until) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (network) DO UPDATE SET reason = excluded.reason, author = excluded.author, "
    "created_at = excluded.created_at, until = excluded.until"
)
_DROP = "DELETE FROM traffic_blocked_addresses WHERE network = ? RETURNING 1"
_LIST = (
    "SELECT network, reason, author, created_at, until FROM traffic_blocked_addresses "
    "WHERE until > ? ORDER BY created_at DESC, network"
)


@dataclass(frozen=True, slots=True)
class BlockedAddress:
    """A network whose requests every gateway refuses until then; who blocked it, when and why."""

    network: str
    reason: str
    author: str
    created_at: datetime
    until: datetime


def put_blocked(execute: Execute, one: BlockedAddress) -> None:
    """Make or replace a block; those that are over go."""
    execute(_OVER, (to_micros(one.created_at),))
    execute(_PUT, (one.network, one.reason, one.author, to_micros(one.created_at), to_micros(one.until)))


def count_others(execute: Execute, network: str) -> int:
    """How many blocks there are besides that of this network."""
    return int(execute(_COUNT, (network,))[0][0])


def drop_blocked(execute: Execute, network: str) -> bool:
    """Whether there was one."""
    return bool(execute(_DROP, (network,)))


async def list_blocked(lookup: Lookup, *, now: datetime) -> tuple[BlockedAddress, ...]:
    """Those that hold, newest first; bounded by how many there may be."""
    rows = await lookup.all(_LIST, (to_micros(now),))
    return tuple(BlockedAddress(row[0], row[1], row[2], from_micros(row[3]), from_micros(row[4])) for row in rows)
