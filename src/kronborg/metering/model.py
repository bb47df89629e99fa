"""The nouns of usage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Hour:
    """What one subscription used of one route in one hour (UTC), by the status of the answer.

    The totals are absolute: storing the same hour again changes nothing, however often it is counted.
    """

    subscription: str
    start: datetime
    operation: str
    status: int
    calls: int
    octets: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A correction of usage: an entry of its own, never a change. `id` is the caller's; the same id counts once.

    `calls` and `octets` below zero take back. `reverses` names the adjustment it undoes.
    """

    id: str
    subscription: str
    at: datetime
    operation: str
    calls: int
    octets: int
    reason: str
    made_by: str
    made_at: datetime
    reverses: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """What the gateways' records say of an hour, and what was metered of it."""

    start: datetime
    recorded: int
    metered: int
