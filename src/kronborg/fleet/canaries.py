"""What the canary measured at one gateway, summed up: how long a revocation takes until it is refused there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.core.db import ReadSession
from kronborg.gateway.canary_store import CanaryResult, canary_results

DAY = timedelta(days=1)
MOST = 5000
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Measured:
    """A day of measurements. Times are of those that were refused at all; None where there are none."""

    count: int
    refused: int
    late: int
    half: timedelta | None
    most_of_all: timedelta | None
    latest: tuple[CanaryResult, ...]


async def measured(session: ReadSession, gateway: str, *, now: datetime) -> Measured:
    """The last day at a gateway: the median, the 99th percentile, and the newest measurements."""
    results = await canary_results(session, since=now - DAY, proxy=gateway, limit=MOST)
    times = sorted(one.took for one in results if one.outcome in ("refused", "late"))
    late = sum(1 for one in results if one.outcome == "late")
    return Measured(len(results), len(times), late, _at(times, 50), _at(times, 99), results[:SHOWN])


def _at(times: list[timedelta], percent: int) -> timedelta | None:
    return times[min(len(times) - 1, len(times) * percent // 100)] if times else None
