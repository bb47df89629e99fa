"""The chain: events get a place in a gap-free order of their own, each linked to the one before it.

Numbers of events are given before their transactions commit, so that on PostgreSQL they become visible in another
order, with gaps. The worker therefore seals what has become visible: place n+1 for the next, whose link is the SHA-256
over the link of place n and the canonical JSON of the event. Whoever changes, removes or inserts a row afterwards must
make every later link anew, and cannot make the signed checkpoints. What is sealed is handed on in the same
transaction: to the handlers of the worker, and to webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

import orjson

from kronborg.audit import chain_store as store
from kronborg.audit import webhooks_store
from kronborg.audit.model import Sealed, detail_of, event_json
from kronborg.audit.tasks_store import add_tasks
from kronborg.core.db import Database
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject

BATCH = 200
"""Events that are sealed in one transaction: some milliseconds."""

Handlers = Mapping[str, Sequence[str]]
"""By name of event, the handlers that want to hear of it, by theirs."""


def canonical(value: JsonObject) -> bytes:
    """JSON as RFC 8785 has it for whole numbers and texts: members sorted, no blanks, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def link_over(before: str, event: JsonObject) -> str:
    """The link of an event after the link before it."""
    return sha256(before.encode() + b"\n" + canonical(event)).hexdigest()


def link_of(before: str, event: Sealed) -> str:
    """The link of an event as stored. What is not JSON any more is covered as the text that it is."""
    return link_over(before, event_json(event, detail_of(event.detail)))


@dataclass(frozen=True, slots=True)
class Turn:
    """How many events got their places, and how many of them some handler wants to hear of."""

    events: int = 0
    wanted: int = 0


async def seal_waiting(database: Database, handlers: Handlers, *, now: datetime, limit: int = BATCH) -> Turn:
    """Give events that wait their places, and note who has to hear of them.

    Several workers may call it at once: the head of the chain is locked until the commit.
    """
    if not await store.is_waiting(database.lookup):
        return Turn()

    def unit(execute: Execute) -> Turn:
        n, link = store.hold_head(execute)
        links, news = [], []
        for event, is_news in store.unsealed(execute, limit=limit):
            n += 1
            placed = replace(event, n=n)
            link = link_of(link, placed)
            links.append(replace(placed, link=link))
            if is_news:
                news.append(links[-1])
        if links:
            store.add_links(execute, links)
            add_tasks(execute, [(one.seq, name) for one in news for name in handlers.get(one.name, ())], now=now)
            _to_webhooks(execute, news, now=now)
        return Turn(len(links), sum(1 for one in news if handlers.get(one.name)))

    return await database.writer.run(unit, alone=True)


def _to_webhooks(execute: Execute, news: Sequence[Sealed], *, now: datetime) -> None:
    for webhook_id, patterns in webhooks_store.listening(execute) if news else ():
        for event in news:
            if any(matches(pattern, event.name) for pattern in patterns):
                webhooks_store.add_delivery(
                    execute, webhook_id, message_id=event.id, seq=event.seq, n=event.n, name=event.name, now=now
                )


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern means this event: `user.created`, `user.*` or `*`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
