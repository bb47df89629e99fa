"""How often one address may ask for something that costs a row: counted in this process, in a bounded table."""

from __future__ import annotations

from datetime import datetime, timedelta

from kronborg.core.errors import TooMany

WITHIN = timedelta(minutes=10)
MOST = 30
MAX_ENTRIES = 10_000


class Pace:
    """At most `most` within `within` for each address; what was refused counts too."""

    def __init__(self, *, most: int = MOST, within: timedelta = WITHIN) -> None:
        self._most, self._within = most, within
        self._counts: dict[str, tuple[datetime, int]] = {}

    def check(self, address: str, *, now: datetime) -> None:
        """Count one more. Raises `TooMany` until the window of this address is over."""
        since, count = self._counts.pop(address, (now, 0))
        if not timedelta() <= now - since < self._within:
            since, count = now, 0
        if len(self._counts) >= MAX_ENTRIES:
            del self._counts[next(iter(self._counts))]
        self._counts[address] = (since, count + 1)
        if count >= self._most:
            raise TooMany("too many registrations from this address", retry_after=since + self._within - now)
