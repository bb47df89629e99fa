"""Prepaid credits: which are drawn on first, what is left, and what has lapsed. Pure; amounts in minor units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Credit:
    """Credits that were bought or given at once, and what is left of them. A lower `priority` is drawn on first."""

    id: str
    amount: int
    left: int
    priority: int
    created_at: datetime
    expires_at: datetime | None = None

    def stands(self, now: datetime) -> bool:
        """Whether something can be drawn on it."""
        return self.left > 0 and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Draw:
    """What is taken of which credit."""

    credit_id: str
    amount: int


def balance(credits: Iterable[Credit], *, now: datetime) -> int:
    """What can be drawn on now."""
    return sum(one.left for one in credits if one.stands(now))


def draw(credits: Sequence[Credit], amount: int, *, now: datetime) -> tuple[tuple[Draw, ...], int]:
    """What an amount takes of which credits, and what they do not cover.

    By priority, then what expires first (what never does comes last), then the oldest.
    """
    draws = []
    for one in sorted((one for one in credits if one.stands(now)), key=_order):
        if amount <= 0:
            break
        taken = min(one.left, amount)
        draws.append(Draw(one.id, taken))
        amount -= taken
    return tuple(draws), max(0, amount)


def _order(one: Credit) -> tuple[int, bool, float, datetime, str]:
    ends = 0.0 if one.expires_at is None else one.expires_at.timestamp()
    return one.priority, one.expires_at is None, ends, one.created_at, one.id
