"""Send messages to webhooks: signed as Standard Webhooks 1.0.0 says, again and again for about three days.

A message is sent at least once; its `webhook-id` is the same at each attempt, so a receiver knows what it has seen.
Messages of one webhook are begun in the order of the chain, several at a time; one that failed comes later than those
after it. So a receiver that cares about the order looks at `data.n`, which has no gaps over all events.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

import orjson

from kronborg.audit import webhooks_store as store
from kronborg.audit.model import Delivery, Secret, Webhook
from kronborg.audit.search_store import find_event_at
from kronborg.audit.webhooks import SEAL
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import Event, record_in
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject, JsonValue

AT_ONCE = 20
"""Messages that one webhook is sent in a turn; one that fails is tried with a single message."""
LEASE = timedelta(minutes=2)
KEEP = timedelta(days=14)
"""How long the log keeps what was settled."""
GIVE_UP = timedelta(days=5)
"""A webhook to which nothing could be delivered for this long is disabled."""
MAX_BODY = 20 * 1024
"""A larger message goes without its detail (Standard Webhooks, payload size)."""
WAITS = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""How long to wait after each failure, some 75 hours together; after the last one nothing more is tried."""
GONE = 410

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Sender:
    """What sending needs."""

    database: Database
    vault: Vault
    fetcher: Fetcher


async def deliver(sender: Sender, *, now: datetime) -> bool:
    """Send what is due to every webhook, a bounded batch each; whether there may be more. Any number of workers may."""
    due = await store.due_webhooks(sender.database.lookup, now=now)
    if not due:
        return False
    results = await asyncio.gather(*(_to_one(sender, each, failing=failing, now=now) for each, failing in due))
    return any(results)


async def _to_one(sender: Sender, webhook_id: str, *, failing: bool, now: datetime) -> bool:
    """What is due for one webhook; whether a whole batch was."""
    limit = 1 if failing else AT_ONCE
    taken = await sender.database.writer.run(
        lambda execute: store.claim_deliveries(execute, webhook_id, until=now + LEASE, limit=limit, now=now),
        alone=True,
    )
    async with sender.database.read() as session:
        webhook = await store.find_webhook_by_id(session, webhook_id)
    if webhook is None or not taken:
        return False
    outcomes = await asyncio.gather(*(_send(sender, webhook, one, now=now) for one in taken))
    await sender.database.writer.run(lambda execute: _settle(execute, webhook, outcomes, now=now))
    return len(taken) == limit and not failing


async def _send(sender: Sender, webhook: Webhook, one: Delivery, *, now: datetime) -> Delivery:
    """One attempt: the delivery with what came of it."""
    loop = asyncio.get_running_loop()
    body = one.body.encode() if one.body else await _body(sender.database, one)
    headers = signature_headers(sender.vault, webhook.secrets, one.message_id, body, now=now)
    began = loop.time()
    try:
        answer = await sender.fetcher.post(webhook.url, body, _JSON, headers)
        status, result = answer.status, ""
    except Unreachable as refusal:
        status, result = 0, refusal.reason
    return replace(one, status=status, result=result, latency_ms=int((loop.time() - began) * 1000))


def signature_headers(
    vault: Vault, secrets: Sequence[Secret], message_id: str, body: bytes, *, now: datetime
) -> dict[str, str]:
    """`webhook-id`, `webhook-timestamp`, and a `webhook-signature` for each secret that has not ended."""
    timestamp = str(int(now.timestamp()))
    # Standard Webhooks, signature scheme: the id, the time of the attempt and the body, joined by full stops.
    signed = f"{message_id}.{timestamp}.".encode() + body
    made = []
    for secret in reversed(secrets):
        if secret.expires_at is None or secret.expires_at > now:
            raw = vault.open(secret.sealed, context=f"{SEAL}:{secret.id}")
            made.append("v1," + base64.b64encode(hmac.digest(raw, signed, sha256)).decode())
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(made)}


async def _body(database: Database, one: Delivery) -> bytes:
    """The message that tells of an event."""
    event = await find_event_at(database.lookup, one.seq)
    if event is None:
        gone: JsonObject = {"type": one.name, "data": {"n": one.n, "id": one.message_id, "archived": True}}
        return orjson.dumps(gone)
    told = message_of(event, one.n)
    body = orjson.dumps(told)
    return (
        body if len(body) <= MAX_BODY else orjson.dumps(message_of(replace(event, detail={"too_large": True}), one.n))
    )


def message_of(event: Event, n: int) -> JsonObject:
    """What a webhook is told of an event: personal values are left out, they can be asked for."""
    data: JsonObject = {
        "n": n,
        "id": event.id,
        "actor": event.actor,
        "subject": event.subject,
        "detail": _without_sealed(event.detail),
        "request_id": event.request_id,
    }
    return {"type": event.name, "timestamp": event.at.isoformat().replace("+00:00", "Z"), "data": data}


def _without_sealed(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        if set(value) == {"sealed", "of"}:
            return "(personal)"
        return {name: _without_sealed(member) for name, member in value.items()}
    return [_without_sealed(each) for each in value] if isinstance(value, (list, tuple)) else value


def _settle(execute: Execute, webhook: Webhook, outcomes: Sequence[Delivery], *, now: datetime) -> None:
    """Note what came of a batch; one success shows that the webhook is well again."""
    gone, failed = False, False
    for one in outcomes:
        if 200 <= one.status < 300:
            store.settle_delivery(execute, one, state="delivered", now=now)
        elif one.attempts > len(WAITS):
            store.settle_delivery(execute, one, state="failed", now=now)
            failed = True
        else:
            store.postpone_delivery(execute, one, until=now + wait_after(one))
            failed = True
        # Standard Webhooks, delivery: 410 says that the receiver wants no more of it.
        gone = gone or one.status == GONE
    if gone:
        _switch_off(execute, webhook, "the receiver answered 410", now=now)
    elif not failed or any(200 <= one.status < 300 for one in outcomes):
        store.mark_well(execute, webhook.id)
    elif webhook.failing_since is not None and now - webhook.failing_since >= GIVE_UP:
        _switch_off(execute, webhook, "nothing could be delivered for five days", now=now)
    else:
        store.mark_failing(execute, webhook.id, now=now)


def _switch_off(execute: Execute, webhook: Webhook, why: str, *, now: datetime) -> None:
    if store.switch_off(execute, webhook.id, why=why, now=now):
        detail: JsonObject = {"why": why, "changed": {"disabled": [False, True]}}
        record_in(execute, "webhook.disabled", actor="system", subject=webhook.name, now=now, detail=detail)


def wait_after(one: Delivery) -> timedelta:
    """The wait after a failed attempt, up to a fifth longer: so that what failed together is not tried together."""
    digest = sha256(f"{one.id}:{one.attempts}".encode()).digest()
    return WAITS[min(one.attempts, len(WAITS)) - 1] * (1 + digest[0] / 255 / 5)


async def forget_old(database: Database, *, now: datetime) -> int:
    """Delete what was settled long ago, a batch; how many."""
    return await database.writer.run(lambda execute: store.purge_deliveries(execute, before=now - KEEP, limit=1000))
