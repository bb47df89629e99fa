"""Webhooks, their secrets and the log of deliveries: tables and every statement on them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, delete, insert, select, text, update
from sqlalchemy.engine import Row as ResultRow

from kronborg.audit.model import Delivery, Secret, Webhook
from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, from_micros, metadata, to_micros
from kronborg.core.group_writer import Execute, Lookup, Row
from kronborg.core.ids import new_id

_PENDING = text("state = 'pending'")

webhooks_table = Table(
    "audit_webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Json, nullable=False),
    Column("checkpoints", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_why", Text, nullable=False),
    Column("failing_since", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("uq_audit_webhooks_name", "name", unique=True),
)
secrets_table = Table(
    "audit_webhook_secrets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Index("ix_audit_webhook_secrets_webhook_id", "webhook_id"),
)
deliveries_table = Table(
    "audit_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("webhook_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("result", Text, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    # An event is one message to a webhook, however often it is handed on.
    Index("uq_audit_deliveries_message", "webhook_id", "message_id", unique=True),
    Index("ix_audit_deliveries_due", "webhook_id", "next_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
    Index("ix_audit_deliveries_latest", "webhook_id", "id"),
    Index("ix_audit_deliveries_settled_at", "settled_at"),
)
_hooks, _secrets, _sent = webhooks_table.c, secrets_table.c, deliveries_table.c

_COLUMNS = """id, webhook_id, message_id, seq, n, name, body, state, attempts, status, result, latency_ms,
created_at, next_at, settled_at"""
_LISTENING = "SELECT id, events FROM audit_webhooks WHERE NOT disabled ORDER BY id"
_OF_CHECKPOINTS = "SELECT id FROM audit_webhooks WHERE NOT disabled AND checkpoints ORDER BY id"
_ADD = f"""
INSERT INTO audit_deliveries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', 0, 0, '', 0, ?, ?, NULL)
ON CONFLICT (webhook_id, message_id) DO NOTHING
"""  # noqa: S608  # our own columns
_DUE = """
SELECT w.id, w.failing_since IS NOT NULL FROM audit_webhooks w WHERE NOT w.disabled AND EXISTS
    (SELECT 1 FROM audit_deliveries d WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_at <= ?)
ORDER BY w.id
"""
_CLAIM = f"""
UPDATE audit_deliveries SET attempts = attempts + 1, next_at = ? WHERE state = 'pending' AND next_at <= ? AND id IN
    (SELECT id FROM audit_deliveries WHERE webhook_id = ? AND state = 'pending' AND next_at <= ?
     ORDER BY next_at, n LIMIT ?)
RETURNING {_COLUMNS}
"""  # noqa: S608  # our own columns
_SETTLE = """
UPDATE audit_deliveries SET state = ?, status = ?, result = ?, latency_ms = ?, settled_at = ? WHERE id = ?
"""
_LATER = "UPDATE audit_deliveries SET status = ?, result = ?, latency_ms = ?, next_at = ? WHERE id = ?"
_FAILING = "UPDATE audit_webhooks SET failing_since = ? WHERE id = ? AND failing_since IS NULL"
_WELL = "UPDATE audit_webhooks SET failing_since = NULL WHERE id = ? AND failing_since IS NOT NULL"
_SWITCH_OFF = """
UPDATE audit_webhooks SET disabled = ?, disabled_why = ?, updated_at = ? WHERE id = ? AND NOT disabled RETURNING name
"""
_DROP_PENDING = """
UPDATE audit_deliveries SET state = 'failed', result = 'the webhook is disabled', settled_at = ?
WHERE webhook_id = ? AND state = 'pending'
"""
_RETRY = """
UPDATE audit_deliveries SET state = 'pending', next_at = ?, settled_at = NULL WHERE id = ? AND webhook_id = ?
RETURNING id
"""
_PURGE = """
DELETE FROM audit_deliveries WHERE id IN (SELECT id FROM audit_deliveries WHERE settled_at < ? LIMIT ?) RETURNING id
"""


def listening(execute: Execute) -> list[tuple[str, tuple[str, ...]]]:
    """The webhooks that take events, with their patterns."""
    return [(str(row[0]), tuple(orjson.loads(row[1]))) for row in execute(_LISTENING)]


def of_checkpoints(execute: Execute) -> list[str]:
    """The webhooks that take checkpoints."""
    return [str(row[0]) for row in execute(_OF_CHECKPOINTS)]


def add_delivery(
    execute: Execute,
    webhook_id: str,
    *,
    message_id: str,
    name: str,
    now: datetime,
    seq: int = 0,
    n: int = 0,
    body: str = "",
) -> str:
    """One more message to send, at once; without a body it is made of the event. Its id."""
    delivery_id, at = new_id(), to_micros(now)
    execute(_ADD, (delivery_id, webhook_id, message_id, seq, n, name, body, at, at))
    return delivery_id


async def due_webhooks(lookup: Lookup, *, now: datetime) -> list[tuple[str, bool]]:
    """The webhooks with something to send now, and whether they are failing."""
    return [(str(row[0]), bool(row[1])) for row in await lookup.all(_DUE, (to_micros(now),))]


def claim_deliveries(
    execute: Execute, webhook_id: str, *, until: datetime, limit: int, now: datetime
) -> list[Delivery]:
    """What is due for one webhook, in the order of the chain; nobody else is given it before `until`."""
    at = to_micros(now)
    rows = execute(_CLAIM, (to_micros(until), at, webhook_id, at, limit))
    return sorted((_delivery(row) for row in rows), key=lambda one: (one.n, one.id))


def settle_delivery(execute: Execute, one: Delivery, *, state: str, now: datetime) -> None:
    """Note how it ended."""
    execute(_SETTLE, (state, one.status, one.result, one.latency_ms, to_micros(now), one.id))


def postpone_delivery(execute: Execute, one: Delivery, *, until: datetime) -> None:
    """Note how this attempt went, and try again later."""
    execute(_LATER, (one.status, one.result, one.latency_ms, to_micros(until), one.id))


def mark_failing(execute: Execute, webhook_id: str, *, now: datetime) -> None:
    """A delivery failed."""
    execute(_FAILING, (to_micros(now), webhook_id))


def mark_well(execute: Execute, webhook_id: str) -> None:
    """A delivery succeeded."""
    execute(_WELL, (webhook_id,))


def switch_off(execute: Execute, webhook_id: str, *, why: str, now: datetime) -> bool:
    """Disable a webhook and give up what waits; False when somebody else did."""
    if not execute(_SWITCH_OFF, (True, why, to_micros(now), webhook_id)):
        return False
    execute(_DROP_PENDING, (to_micros(now), webhook_id))
    return True


def retry_delivery(execute: Execute, webhook_id: str, delivery_id: str, *, now: datetime) -> bool:
    """Send it once more, now; False when there is none."""
    return bool(execute(_RETRY, (to_micros(now), delivery_id, webhook_id)))


def purge_deliveries(execute: Execute, *, before: datetime, limit: int) -> int:
    """Forget what was settled before a moment; how many."""
    return len(execute(_PURGE, (to_micros(before), limit)))


async def list_webhooks(session: ReadSession) -> Sequence[Webhook]:
    """Every webhook with its secrets, by name."""
    secrets: dict[str, list[Secret]] = {}
    for row in await session.execute(select(secrets_table).order_by(_secrets.created_at, _secrets.id)):
        secrets.setdefault(str(cast("Any", row).webhook_id), []).append(_secret(row))
    rows = await session.execute(select(webhooks_table).order_by(_hooks.name))
    return [_webhook(row, secrets.get(cast("Any", row).id, [])) for row in rows]


async def find_webhook(session: ReadSession, name: str) -> Webhook | None:
    """The webhook of this name."""
    row = await session.first(select(webhooks_table).where(_hooks.name == name))
    if row is None:
        return None
    mine = select(secrets_table).where(_secrets.webhook_id == cast("Any", row).id)
    found = await session.execute(mine.order_by(_secrets.created_at, _secrets.id))
    return _webhook(row, [_secret(each) for each in found])


async def find_webhook_by_id(session: ReadSession, webhook_id: str) -> Webhook | None:
    """The webhook of this id."""
    name = await session.scalar(select(_hooks.name).where(_hooks.id == webhook_id))
    return None if name is None else await find_webhook(session, str(name))


async def put_webhook(session: Session, webhook: Webhook, *, new: bool) -> None:
    """Its row as it shall be."""
    values = {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "checkpoints": webhook.checkpoints,
        "disabled": webhook.disabled,
        "disabled_why": webhook.disabled_why,
        "failing_since": webhook.failing_since,
        "created_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }
    if new:
        await session.execute(insert(webhooks_table).values(**values))
    else:
        await session.execute(update(webhooks_table).where(_hooks.id == webhook.id).values(**values))


async def delete_webhook(session: Session, webhook_id: str) -> None:
    """Remove it with its secrets and deliveries."""
    await session.execute(delete(deliveries_table).where(_sent.webhook_id == webhook_id))
    await session.execute(delete(secrets_table).where(_secrets.webhook_id == webhook_id))
    await session.execute(delete(webhooks_table).where(_hooks.id == webhook_id))


async def insert_secret(session: Session, webhook_id: str, secret: Secret) -> None:
    """One more secret."""
    await session.execute(
        insert(secrets_table).values(
            id=secret.id,
            webhook_id=webhook_id,
            sealed=secret.sealed,
            created_at=secret.created_at,
            expires_at=secret.expires_at,
        )
    )


async def limit_secrets(session: Session, webhook_id: str, *, until: datetime, now: datetime) -> None:
    """Secrets that have no end get one; those that ended are forgotten."""
    mine = _secrets.webhook_id == webhook_id
    await session.execute(delete(secrets_table).where(mine, _secrets.expires_at <= now))
    unlimited = update(secrets_table).where(mine, _secrets.expires_at.is_(None))
    await session.execute(unlimited.values(expires_at=until))


async def list_deliveries(
    session: ReadSession, webhook_id: str, *, before: str | None, limit: int
) -> Sequence[Delivery]:
    """Its deliveries, the newest first, older than the one of id `before`."""
    query = select(deliveries_table).where(_sent.webhook_id == webhook_id).order_by(_sent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_sent.id < before)
    return [Delivery(*cast("Any", tuple(row))) for row in await session.execute(query)]


def _delivery(row: Row) -> Delivery:
    settled = None if row[14] is None else from_micros(row[14])
    created, next_at = from_micros(row[12]), from_micros(row[13])
    return Delivery(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11],
        created, next_at, settled,
    )  # fmt: skip


def _secret(row: ResultRow[Any]) -> Secret:
    return Secret(row.id, row.sealed, row.created_at, row.expires_at)


def _webhook(row: ResultRow[Any], secrets: Sequence[Secret]) -> Webhook:
    return Webhook(
        row.id,
        row.name,
        row.url,
        tuple(row.events),
        row.checkpoints,
        row.disabled,
        row.disabled_why,
        row.failing_since,
        row.created_at,
        row.updated_at,
        tuple(secrets),
    )
