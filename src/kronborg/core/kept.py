"""JSON documents of others, kept for a while: key sets and metadata. Bounded, and asked for once however many wait.

What the server of a document says of its age counts between a minute and a day. A document that cannot be fetched is
not tried again for half a minute; one that was there before stands in for it until it is a day old.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from kronborg.core.errors import Refusal
from kronborg.core.fetched import Fetched
from kronborg.core.json import JsonObject, read_object

MOST = 512
SHORTEST = timedelta(minutes=1)
USUAL = timedelta(minutes=10)
"""How long a document is kept when its server says nothing about it."""
LONGEST = timedelta(days=1)
FAILED = timedelta(seconds=30)
"""How long a failure is remembered; as often may a document be renewed before its time."""

Fetch = Callable[[str, str | None], Awaitable[Fetched]]
"""Fetches a URL, unless it still has this ETag. Raises a `Refusal`."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of a URL: its document, or that there was none when it was last tried."""

    document: JsonObject | None
    etag: str | None
    made_at: datetime
    tried_at: datetime
    fresh_until: datetime


class Kept:
    """The documents of one process. `failure` makes the refusal for one that is not there or is not a JSON object."""

    def __init__(self, failure: Callable[[str], Exception]) -> None:
        self._failure = failure
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, url: str, fetch: Fetch, *, now: datetime, renew: bool = False) -> JsonObject:
        """The document, fetched when it is old, or with `renew` when it was not tried just now."""
        entry = self._entries.get(url)
        if entry is not None and _stands(entry, now=now, renew=renew):
            self._entries.move_to_end(url)
            return self._document(entry)
        lock = self._locks.get(url)
        if lock is None:
            lock = self._locks[url] = asyncio.Lock()
        async with lock:
            meanwhile = self._entries.get(url)
            if meanwhile is None or meanwhile is entry:
                meanwhile = self._entries[url] = await self._fetched(url, fetch, entry, now=now)
                if len(self._entries) > MOST:
                    self._entries.popitem(last=False)
        return self._document(meanwhile)

    def knows(self, url: str) -> bool:
        """Whether there is a document or a failure of this URL, fresh or not."""
        return url in self._entries

    def made_at(self, url: str) -> datetime | None:
        """When the document that is kept was last seen to be what its server has."""
        entry = self._entries.get(url)
        return None if entry is None or entry.document is None else entry.made_at

    async def _fetched(self, url: str, fetch: Fetch, before: _Entry | None, *, now: datetime) -> _Entry:
        old = before if before is not None and before.document is not None else None
        if old is not None and now - old.made_at >= LONGEST:
            old = None
        try:
            fetched = await fetch(url, None if old is None else old.etag)
            document = old.document if old is not None and fetched.status == 304 else read_object(fetched.body)
        except (Refusal, ValueError):
            failed = _Entry(None, None, now, now, now + FAILED)
            return failed if old is None else replace(old, tried_at=now, fresh_until=now + FAILED)
        lifetime = USUAL if fetched.max_age is None else min(max(fetched.max_age, SHORTEST), LONGEST)
        return _Entry(document, fetched.etag, now, now, now + lifetime)

    def _document(self, entry: _Entry) -> JsonObject:
        if entry.document is None:
            raise self._failure("the document is not there, or is no JSON object")
        return entry.document


def _stands(entry: _Entry, *, now: datetime, renew: bool) -> bool:
    if entry.tried_at > now + FAILED:  # the clock was set back
        return False
    return now < (entry.tried_at + FAILED if renew else entry.fresh_until)
