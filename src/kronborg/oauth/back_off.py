"""The gate in front of every client secret: who keeps guessing has to wait, longer each time (RFC 6749 §10.10).

Failures are counted for a client at an address, and for an address over all clients; never for a client alone, or
anybody could lock it out by guessing wrong. Many clients may share an address (a proxy, one machine), so a client that
proved itself there before never waits: neither a neighbour that guesses nor one with a stale secret locks it out.
Counted in this process, in bounded tables: secrets of ours have 256 random bits, so the gate saves work and noise; it
is not what keeps them safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.core.errors import TooMany

FREE_PAIR = 5
FREE_ADDRESS = 50
LONGEST = timedelta(seconds=60)
FORGET = timedelta(minutes=10)
MAX_ENTRIES = 10_000
MAX_ID = 64


@dataclass(slots=True)
class _Failures:
    count: int
    last_at: datetime
    blocked_until: datetime


class Gate:
    """One per process, shared by every endpoint that takes a secret."""

    def __init__(self) -> None:
        self._failures: dict[tuple[str, str], _Failures] = {}
        self._proved: dict[tuple[str, str], None] = {}

    def check(self, client_id: str, address: str, *, now: datetime) -> None:
        """Raise `TooMany` while this client has to wait at this address."""
        if not self._failures or (client_id[:MAX_ID], address) in self._proved:
            return
        for key in ((client_id[:MAX_ID], address), ("", address)):
            known = self._failures.get(key)
            if known is not None and now < known.blocked_until:
                raise TooMany("too many failed attempts", retry_after=known.blocked_until - now)

    def failed(self, client_id: str, address: str, *, now: datetime) -> None:
        """Count a wrong secret."""
        self._count((client_id[:MAX_ID], address), FREE_PAIR, now)
        self._count(("", address), FREE_ADDRESS, now)

    def passed(self, client_id: str, address: str) -> None:
        """Forget the failures of this client at this address, and remember that it is at home there."""
        key = (client_id[:MAX_ID], address)
        if self._failures:
            self._failures.pop(key, None)
        if key not in self._proved:
            if len(self._proved) >= MAX_ENTRIES:
                del self._proved[next(iter(self._proved))]
            self._proved[key] = None

    def _count(self, key: tuple[str, str], free: int, now: datetime) -> None:
        known = self._failures.pop(key, None)
        count = 1 if known is None or now - known.last_at > FORGET else known.count + 1
        wait = timedelta() if count < free else min(LONGEST, timedelta(seconds=2.0 ** min(count - free, 10)))
        if len(self._failures) >= MAX_ENTRIES:
            del self._failures[next(iter(self._failures))]  # the one that failed longest ago
        self._failures[key] = _Failures(count, now, now + wait)
