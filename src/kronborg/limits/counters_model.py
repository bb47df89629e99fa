"""What a counter does, whoever keeps it: counts what was spent, and hands out what is left.

A counter has slots, each with a moment at which it counts no more (`windows.Slot`); what is used is what the open ones
hold. Three keep them: this process, the database, and Valkey. All give the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Protocol

from kronborg.limits.window_model import Slot

MOST_KEPT = 500_000
"""Counters that one process keeps; then the oldest go of the quota that has most: whoever invents identities, by a
header or by addresses, makes no other quota forget what was used of it."""

_SHARE = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """What a gateway tells of one counter, and wants of it.

    `spent` was counted already (below zero: units that come back unused). Of `wanted` more units at least `least` are
    needed, or none.
    """

    quota: str
    identity: str
    count: int
    slot: Slot
    spent: int = 0
    wanted: int = 0
    least: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What came of it: units granted, what is used now, and when (part of) it is free again."""

    granted: int
    used: int
    resets: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """One slot of one counter, as it is stored."""

    quota: str
    identity: str
    start: datetime
    ends: datetime
    used: int
    count: int


class Away(Exception):
    """Whoever keeps the counters does not answer."""


class Counters(Protocol):
    """Who keeps counters. Raises `Away`."""

    async def settle(self, asks: Sequence[Ask], *, now: datetime) -> list[Standing]:
        """Count and grant, one after another, each as a whole or not at all."""
        ...

    async def reset(self, quota: str, identity: str) -> None:
        """Forget what a counter holds."""
        ...


def granted(ask: Ask, used: int) -> int:
    """How much of what is wanted is handed out: not the whole rest to the first who asks, but what it needs."""
    left = ask.count - used
    if ask.wanted <= 0 or left < max(ask.least, 1):
        return 0
    return min(left, max(ask.least, min(ask.wanted, max(1, left // _SHARE))))


def settled(slots: list[Kept], ask: Ask, *, now: datetime) -> tuple[list[Kept], Standing]:
    """The open slots of a counter after an ask, and its standing."""
    opened = [slot for slot in slots if slot.ends > now]
    used = sum(slot.used for slot in opened)
    # What comes back was taken from one of them; none may end below nothing.
    spent = max(ask.spent, -used)
    gift = granted(ask, used + spent)
    opened = _counted(opened, ask, spent + gift)
    ends = [slot.ends for slot in opened] or [ask.slot.ends]
    return opened, Standing(gift, used + spent + gift, min(ends))


def _counted(slots: list[Kept], ask: Ask, amount: int) -> list[Kept]:
    """The slots with `amount` added to the current one; taken off the youngest ones when it is below zero."""
    if amount > 0:
        at = next((n for n, one in enumerate(slots) if ask.slot.joins or one.start == ask.slot.start), None)
        if at is None:
            return [*slots, Kept(ask.quota, ask.identity, ask.slot.start, ask.slot.ends, amount, ask.count)]
        return [_plus(one, amount, ask) if n == at else one for n, one in enumerate(slots)]
    left, after = -amount, []
    for one in sorted(slots, key=lambda slot: slot.start, reverse=True):
        off = min(left, one.used)
        left -= off
        after.append(_plus(one, -off, ask))
    return after[::-1]


def _plus(slot: Kept, amount: int, ask: Ask) -> Kept:
    return Kept(slot.quota, slot.identity, slot.start, slot.ends, slot.used + amount, ask.count)


class Storable(Protocol):
    """Counters whose changes are stored by somebody else."""

    def changed(self) -> list[Kept]:
        """What changed since this was last asked."""
        ...

    def unsaved(self, slots: Sequence[Kept]) -> None:
        """These could not be stored."""
        ...

    def sweep(self, *, now: datetime) -> None:
        """Forget what counts no more."""
        ...


class ProcessCounters(Counters, Storable):
    """Counters in the memory of this process; `changed` and `restore` let them survive it."""

    def __init__(self, *, most: int = MOST_KEPT) -> None:
        self._most, self._count = most, 0
        self._slots: dict[str, dict[str, list[Kept]]] = {}
        self._changed: set[tuple[str, str]] = set()

    async def settle(self, asks: Sequence[Ask], *, now: datetime) -> list[Standing]:
        """Count and grant; nothing waits."""
        standings = []
        for ask in asks:
            slots, standing = settled(self._of(ask.quota, ask.identity), ask, now=now)
            if slots:
                self._keep(ask.quota, ask.identity, slots)
                self._changed.add((ask.quota, ask.identity))
            standings.append(standing)
        return standings

    async def reset(self, quota: str, identity: str) -> None:
        """Forget what a counter holds."""
        if self._slots.get(quota, {}).pop(identity, None) is not None:
            self._count -= 1
        self._changed.discard((quota, identity))

    def changed(self) -> list[Kept]:
        """Every slot of the counters that changed since this was last asked."""
        keys, self._changed = self._changed, set()
        return [slot for quota, identity in keys for slot in self._of(quota, identity)]

    def unsaved(self, slots: Sequence[Kept]) -> None:
        """These could not be stored: they count as changed again."""
        self._changed.update((slot.quota, slot.identity) for slot in slots)

    def restore(self, slots: Sequence[Kept]) -> None:
        """Take over what was stored."""
        for slot in slots:
            self._keep(slot.quota, slot.identity, [*self._of(slot.quota, slot.identity), slot])

    def sweep(self, *, now: datetime) -> None:
        """Forget counters without an open slot."""
        for quota, counters in list(self._slots.items()):
            gone = [identity for identity, slots in counters.items() if all(slot.ends <= now for slot in slots)]
            for identity in gone:
                del counters[identity]
            self._count -= len(gone)
            if not counters:
                del self._slots[quota]

    def _of(self, quota: str, identity: str) -> list[Kept]:
        return self._slots.get(quota, {}).get(identity, [])

    def _keep(self, quota: str, identity: str, slots: list[Kept]) -> None:
        counters = self._slots.setdefault(quota, {})
        if identity not in counters:
            self._count += 1
        counters[identity] = slots
        if self._count > self._most:
            largest = max(self._slots.values(), key=len)
            oldest = list(islice(largest, max(1, self._most // 1000)))
            for one in oldest:
                del largest[one]
            self._count -= len(oldest)


class Guarded(Counters):
    """Counters that may be away; then those of this process count on, or nobody does and callers hear `Away`."""

    def __init__(self, first: Counters, spare: ProcessCounters | None) -> None:
        self._first, self._spare = first, spare
        self.away = False

    async def settle(self, asks: Sequence[Ask], *, now: datetime) -> list[Standing]:
        """Ask the first, or the spare while it is away."""
        try:
            standings = await self._first.settle(asks, now=now)
        except Away:
            self.away = True
            if self._spare is None:
                raise
            return await self._spare.settle(asks, now=now)
        self.away = False
        return standings

    async def reset(self, quota: str, identity: str) -> None:
        """Forget with both."""
        if self._spare is not None:
            await self._spare.reset(quota, identity)
        await self._first.reset(quota, identity)
