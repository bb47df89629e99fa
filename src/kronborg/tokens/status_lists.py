"""Token status lists as they are published (draft-ietf-oauth-status-list): signed, and kept until something changes.

Nothing is written to a list when something is revoked: what its bits say is read from the revocations themselves, and
only when the feed has moved.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kronborg.core.base64url import b64
from kronborg.core.json import JsonValue
from kronborg.tokens import status_store as store
from kronborg.tokens.engine import Engine
from kronborg.tokens.feed_store import read_head
from kronborg.tokens.keys import etag_of
from kronborg.tokens.signing import sign
from kronborg.tokens.status_places import CAPACITY, uri_of

TYPE = "statuslist+jwt"
TTL = timedelta(seconds=60)
"""For so long a reader may keep a list: what is revoked is refused by all who read it after this."""
LIFETIME = timedelta(hours=1)
"""For so long a list may be believed when we cannot be reached."""
LOOK_EVERY = timedelta(seconds=1)
WRITE_EVERY = timedelta(minutes=5)
MAX_KEPT = 64


@dataclass(frozen=True, slots=True)
class Published:
    """A list as it was signed. `head` is how far the feed was then; `looked_at` is when it was last compared."""

    token: bytes
    etag: str
    head: int
    written_at: datetime
    looked_at: datetime


class StatusLists:
    """The lists that this process has signed; for use from one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: dict[str, Published] = {}
        self._writing = asyncio.Lock()

    async def published(self, list_id: str, *, now: datetime) -> Published | None:
        """The list, at most `LOOK_EVERY` behind the revocations; None when there is none, or it is over."""
        known = self._fresh(list_id, now=now)
        if known is not None:
            return known
        # One at a time: whoever asks meanwhile is given what the first one wrote.
        async with self._writing:
            return self._fresh(list_id, now=now) or await self._renew(list_id, now=now)

    def _fresh(self, list_id: str, *, now: datetime) -> Published | None:
        known = self._kept.get(list_id)
        return known if known is not None and abs(now - known.looked_at) < LOOK_EVERY else None

    async def _renew(self, list_id: str, *, now: datetime) -> Published | None:
        lookup = self._engine.database.lookup
        head, _ = await read_head(lookup)
        found = await store.find_list(lookup, list_id)
        known = self._kept.get(list_id)
        if found is None or found[1] <= now:
            self._kept.pop(list_id, None)
            return None
        if known is not None and known.head == head and abs(now - known.written_at) < WRITE_EVERY:
            fresh = replace(known, looked_at=now)
        else:
            fresh = await self._write(list_id, head, now=now)
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[list_id] = fresh
        return fresh

    async def _write(self, list_id: str, head: int, *, now: datetime) -> Published:
        async with self._engine.database.read() as session:
            invalid = await store.read_invalid(session, list_id)
        issuer = self._engine.issuer
        claims: dict[str, JsonValue] = {
            "iss": issuer,
            # §5.1: the subject is the address under which tokens refer to the list.
            "sub": uri_of(issuer, list_id),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "ttl": int(TTL.total_seconds()),
            "status_list": {"bits": 1, "lst": packed(invalid), "aggregation_uri": f"{issuer}/oauth/status-lists"},
        }
        token = (await sign(self._engine, claims, typ=TYPE, now=now)).encode()
        return Published(token, etag_of(token), head, now, now)


def packed(invalid: Iterable[int], *, capacity: int = CAPACITY) -> str:
    """The list with these places set to 0x01, "INVALID" (§4.1): one bit each, the lowest bit of an octet first."""
    octets = bytearray(capacity // 8)
    for idx in invalid:
        octets[idx >> 3] |= 1 << (idx & 7)
    # §4.1: DEFLATE in the ZLIB format, at the highest level.
    return b64(zlib.compress(octets, 9))
