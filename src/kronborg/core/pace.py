"""How often something may be asked for that costs a row or a call: counted in this process, in a bounded table."""

from __future__ import annotations

from datetime import datetime, timedelta

from kronborg.core.errors import TooMany

WITHIN = timedelta(minutes=10)
MOST = 30
MAX_ENTRIES = 10_000


class Pace:
    """At most `most` within `within` for each caller, or whatever else `key` names; what was refused counts too."""

    def __init__(self, *, most: int = MOST, within: timedelta = WITHIN) -> None:
        self._most, self._within = most, within
        self._counts: dict[str, tuple[datetime, int]] = {}

    def check(self, key: str, *, now: datetime) -> None:
        """Count one more. Raises `TooMany` until the window of this key is over."""
        since, count = self._counts.pop(key, (now, 0))
        if not timedelta() <= now - since < self._within:
            since, count = now, 0
        if len(self._counts) >= MAX_ENTRIES:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = (since, count + 1)
        if count >= self._most:
            raise TooMany("too many of these within a short time", retry_after=since + self._within - now)
