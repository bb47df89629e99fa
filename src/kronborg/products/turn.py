"""The clock of subscriptions: what is due begins and ends, and old entries of the feed go."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from kronborg.core.db import Database
from kronborg.core.events import changes, record
from kronborg.products.entitlements import tell
from kronborg.products.entitlements_store import drop_entries, hold
from kronborg.products.subscriptions_store import due_subscriptions, update_subscription

KEPT = timedelta(days=1)
"""How long entries of the feed are kept; who was away longer begins anew."""
AT_ONCE = 100


async def turn(database: Database, *, now: datetime) -> int:
    """End what is over, begin what was scheduled, and tell the gateways; how many."""
    async with database.read() as reading:
        if not await due_subscriptions(reading, now=now, limit=1):
            return 0
    async with database.write() as session:
        await hold(session)
        due = await due_subscriptions(session, now=now, limit=AT_ONCE)
        for one in due:
            over = one.ends_at is not None and one.ends_at <= now
            after = replace(one, state="ended" if over else "active", updated_at=now)
            await update_subscription(session, after)
            name = "subscription.ended" if over else "subscription.begun"
            await record(session, name, actor="system", subject=one.id, now=now, detail=changes(one, after))
            await tell(session, after, now=now)
    return len(due)


async def purge(database: Database, *, now: datetime) -> int:
    """Drop entries that everybody has read, or will not read any more."""
    return await database.writer.run(lambda execute: drop_entries(execute, before=now - KEPT))
