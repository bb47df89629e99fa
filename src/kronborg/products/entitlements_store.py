"""The feed of entitlements: its tables and the SQL that touches them.

Numbers are taken from one row that stays locked until the commit (as in `tokens/feed_store.py`): they are without gaps.
The same lock makes changes of subscriptions wait for one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, insert, update

from kronborg.core.db import Session, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row
from kronborg.products.model import Entitlement

entitlements_table = Table(
    "products_entitlements",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("client_id", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_products_entitlements_at", "at"),
)

head_table = Table(
    "products_entitlements_head",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("floor", BigInteger, nullable=False),
)

_HEAD = "SELECT seq, floor FROM products_entitlements_head WHERE one = 1"
_ENTRIES = """
SELECT seq, client_id, product, environment, subscription, key, standing, at FROM products_entitlements
WHERE seq > ? ORDER BY seq LIMIT ?
"""
_LAST_OLD = "SELECT max(seq) FROM products_entitlements WHERE at < ?"
_RAISE = "UPDATE products_entitlements_head SET floor = ? WHERE one = 1 AND floor < ? RETURNING floor"
_PURGE = "DELETE FROM products_entitlements WHERE seq <= ? RETURNING 1"
_IN_FORCE = """
SELECT client_id, product, environment, id, plan, version, standing FROM products_subscriptions
WHERE state = 'active' AND (ends_at IS NULL OR ends_at > ?) AND id > ? ORDER BY id LIMIT ?
"""


async def hold(session: Session) -> None:
    """Let nobody else change subscriptions until this transaction is committed."""
    await session.execute(update(head_table).where(head_table.c.one == 1).values(seq=head_table.c.seq))


async def add_entry(session: Session, entry: Entitlement) -> int:
    """A new entry under the next number, whatever `entry.seq` says; the number."""
    taken = update(head_table).where(head_table.c.one == 1).values(seq=head_table.c.seq + 1).returning(head_table.c.seq)
    number = int(str(await session.scalar(taken)))
    values = {
        "seq": number,
        "client_id": entry.client_id,
        "product": entry.product,
        "environment": entry.environment,
        "subscription": entry.subscription,
        "key": entry.key,
        "standing": entry.standing,
        "at": entry.at,
    }
    await session.execute(insert(entitlements_table).values(**values))
    return number


async def read_head(lookup: Lookup) -> tuple[int, int]:
    """The last number given, and the last number whose entry is gone."""
    row = await lookup.first(_HEAD)
    if row is None:
        raise LookupError("the migration makes this row")
    return int(row[0]), int(row[1])


async def read_entries(lookup: Lookup, *, after: int, limit: int) -> Sequence[Entitlement]:
    """Entries above a number, in their order."""
    return [_entry(row) for row in await lookup.all(_ENTRIES, (after, limit))]


async def read_in_force(lookup: Lookup, *, now: datetime, seq: int, after: str, limit: int) -> Sequence[Entitlement]:
    """What is in force now, as entries of the number `seq`, by the id of the subscription."""
    rows = await lookup.all(_IN_FORCE, (to_micros(now), after, limit))
    return [
        Entitlement(seq, row[0], row[1], row[2], row[3], f"{row[1]}/{row[4]}@{row[5]}", row[6], now) for row in rows
    ]


def drop_entries(execute: Execute, *, before: datetime) -> int:
    """Delete entries of before; how many. Whoever has not read them yet begins anew."""
    ((last,),) = execute(_LAST_OLD, (to_micros(before),))
    if last is None:
        return 0
    execute(_RAISE, (last, last))
    return len(execute(_PURGE, (last,)))


def _entry(row: Row) -> Entitlement:
    return Entitlement(row[0], row[1], row[2], row[3], row[4], row[5], row[6], from_micros(row[7]))
