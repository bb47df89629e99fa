"""Rows of nodes, invitations and the fleet's authority."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text, delete, insert, or_, select, update
from sqlalchemy.engine import Row

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata
from kronborg.fleet.model import Invitation, Node, Standing, StoredAuthority
from kronborg.fleet.report_model import decode, encode

authorities_table = Table(
    "fleet_authorities",
    metadata,
    Column("name", Text, primary_key=True),
    Column("certificate", Text, nullable=False),
    Column("sealed_key", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
nodes_table = Table(
    "fleet_nodes",
    metadata,
    Column("name", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("local", Boolean, nullable=False),
    Column("serial", Text, nullable=False),
    Column("former_serial", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=True),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=True),
    Column("skew", BigInteger, nullable=False),
    Column("standing", Text, nullable=False),
)
invitations_table = Table(
    "fleet_invitations",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_fleet_invitations_name", "name"),
)

AUTHORITY = "fleet"
_MICROSECOND = timedelta(microseconds=1)


async def find_authority(session: ReadSession) -> StoredAuthority | None:
    """The authority, or None before the first."""
    table = authorities_table
    row = await session.first(select(table).where(table.c.name == AUTHORITY))
    return None if row is None else StoredAuthority(row.certificate, row.sealed_key, row.created_at, row.expires_at)


async def add_authority(session: Session, made: StoredAuthority) -> None:
    """Keep it; the primary key decides between two writers."""
    await session.execute(
        insert(authorities_table).values(
            name=AUTHORITY,
            certificate=made.certificate,
            sealed_key=made.sealed_key,
            created_at=made.created_at,
            expires_at=made.expires_at,
        )
    )


async def list_nodes(session: ReadSession) -> tuple[Node, ...]:
    """Every node, by name."""
    rows = await session.execute(select(nodes_table).order_by(nodes_table.c.name))
    return tuple(_node(row) for row in rows)


async def find_node(session: ReadSession, name: str) -> Node | None:
    """The node of this name."""
    row = await session.first(select(nodes_table).where(nodes_table.c.name == name))
    return None if row is None else _node(row)


async def node_by_id(session: ReadSession, node_id: str) -> Node | None:
    """The node of this id."""
    row = await session.first(select(nodes_table).where(nodes_table.c.id == node_id))
    return None if row is None else _node(row)


async def add_node(session: Session, node: Node) -> None:
    """A new node; the primary key decides between two of one name."""
    await session.execute(
        insert(nodes_table).values(
            name=node.name,
            id=node.id,
            local=node.local,
            serial=node.serial,
            former_serial=node.former_serial,
            expires_at=node.expires_at,
            joined_at=node.joined_at,
            seen_at=None,
            skew=0,
            standing="",
        )
    )


async def delete_node(session: Session, name: str) -> bool:
    """Whether there was such a node."""
    table = nodes_table
    return bool(await session.execute(delete(table).where(table.c.name == name).returning(table.c.name)))


async def change_certificate(session: Session, node_id: str, *, shown: str, serial: str, expires_at: datetime) -> bool:
    """Let a node show a new certificate besides the one it has just shown; False when it may not show that any more."""
    table = nodes_table
    changed = await session.execute(
        update(table)
        .where(table.c.id == node_id, or_(table.c.serial == shown, table.c.former_serial == shown))
        .values(serial=serial, former_serial=shown, expires_at=expires_at)
        .returning(table.c.id)
    )
    return bool(changed)


async def record_standing(session: Session, node_id: str, standing: Standing, *, now: datetime) -> bool:
    """Keep what a node said at `now`; False when it is no longer of the fleet."""
    table = nodes_table
    values = {
        "seen_at": now,
        "skew": (standing.at - now) // _MICROSECOND,
        "standing": orjson.dumps(encode(standing)).decode(),
    }
    changed = await session.execute(update(table).where(table.c.id == node_id).values(**values).returning(table.c.id))
    return bool(changed)


async def add_invitation(session: Session, digest: str, one: Invitation) -> None:
    """Keep an invitation by the digest of its secret."""
    await session.execute(
        insert(invitations_table).values(
            digest=digest, name=one.name, author=one.author, created_at=one.created_at, expires_at=one.expires_at
        )
    )


async def list_invitations(session: ReadSession) -> Sequence[Invitation]:
    """Those that were not used yet, by name."""
    table = invitations_table
    rows = await session.execute(select(table).order_by(table.c.name))
    return [Invitation(row.name, row.author, row.created_at, row.expires_at) for row in rows]


async def is_invitation(session: ReadSession, digest: str, *, now: datetime) -> bool:
    """Whether there is an invitation of this digest that could be spent."""
    table = invitations_table
    row = await session.first(select(table.c.expires_at).where(table.c.digest == digest))
    return row is not None and row.expires_at > now


async def take_invitation(session: Session, digest: str, *, now: datetime) -> str | None:
    """Spend an invitation: the name it was for, to the first who does so in time; None to everybody else."""
    table = invitations_table
    taken = await session.execute(
        delete(table).where(table.c.digest == digest).returning(table.c.name, table.c.expires_at)
    )
    return next((str(row.name) for row in taken if row.expires_at > now), None)


async def drop_invitations(session: Session, name: str) -> bool:
    """Whether there was an invitation for this name; it is worth nothing any more."""
    table = invitations_table
    return bool(await session.execute(delete(table).where(table.c.name == name).returning(table.c.digest)))


async def drop_expired(session: Session, *, now: datetime) -> None:
    """Forget invitations whose time is over."""
    await session.execute(delete(invitations_table).where(invitations_table.c.expires_at <= now))


def _node(row: Row[tuple[object, ...]]) -> Node:
    return Node(
        name=row.name,
        id=row.id,
        local=row.local,
        joined_at=row.joined_at,
        serial=row.serial,
        former_serial=row.former_serial,
        expires_at=row.expires_at,
        seen_at=row.seen_at,
        standing=decode(row.standing) if row.standing else None,
        skew=timedelta(microseconds=row.skew),
    )
