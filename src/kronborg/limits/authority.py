"""The one who says what is left: reads what gateways tell, counts it, hands out leases, and writes the answer.

A gateway's call is lines of text, five for each counter: quota, identity, what was spent, what is wanted and what is
needed at least. The answer has one line for each: units granted, used, and in how many milliseconds the lease ends and
(part of) the quota is free again: gateways have clocks of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kronborg.limits.counters_model import Ask, Counters, Standing
from kronborg.limits.model import Quota
from kronborg.limits.window_model import slot_at

MOST_RECORDS = 512
LONGEST = 512 * 1024
"""Bytes of one call."""
MOST_UNITS = 10**9
_GONE = timedelta(seconds=1)

ROLLING_LEASE = timedelta(seconds=5)
"""How long a lease of a rolling quota is good. Its units age out as if they were spent at the end of it."""

Quotas = Callable[[str], Awaitable[Mapping[str, Quota]]]
"""The quotas in force, by name; the argument is one that the caller expects among them."""


class Malformed(Exception):
    """A call that no gateway of ours makes."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a gateway says of one counter."""

    quota: str
    identity: str
    spent: int
    wanted: int
    least: int


@dataclass(slots=True)
class Authority:
    """Answers the gateway of one node, and those that ask through it."""

    counters: Counters
    quotas: Quotas
    node: str
    apart: bool = False
    """Whether the counters are this node's alone, whatever a quota says."""

    async def settle(self, body: bytes, *, now: datetime, node: str = "") -> bytes:
        """Count what is told, grant what is wanted; `node` asks, else our own. Raises `Malformed`, `counters.Away`."""
        asks, kinds = [], list[Quota | None]()
        for record in parse(body):
            quota = (await self.quotas(record.quota)).get(record.quota)
            kinds.append(quota)
            if quota is not None:
                asks.append(self._ask(quota, record, now, node or self.node))
        standings = iter(await self.counters.settle(asks, now=now))
        lines = []
        for quota in kinds:
            # A quota that is no more, of which a gateway has still something to tell: the others must not suffer.
            standing = Standing(0, 0, now + _GONE) if quota is None else next(standings)
            lease = standing.resets
            if quota is not None and quota.window == "rolling":
                lease = min(lease, now + ROLLING_LEASE)
            lines.append(f"{standing.granted} {standing.used} {_ms(lease - now)} {_ms(standing.resets - now)}\n")
        return "".join(lines).encode()

    def _ask(self, quota: Quota, record: Record, now: datetime, node: str) -> Ask:
        # A lease is spent later than it is given: its units count as if they were spent at its very end.
        late = quota.mode == "leased" and quota.window == "rolling"
        slot = slot_at(quota, now)
        if late:
            slot = replace(slot, ends=slot.ends + ROLLING_LEASE)
        identity = record.identity if quota.scope == "global" and not self.apart else f"{node}\t{record.identity}"
        return Ask(quota.name, identity, quota.count, slot, record.spent, record.wanted, record.least)


def parse(body: bytes) -> list[Record]:
    """The records of a call. Raises `Malformed`."""
    try:
        lines = body.decode(errors="surrogateescape").split("\n")
        records = [
            Record(quota, _storable(identity), int(spent), int(wanted), int(least))
            for quota, identity, spent, wanted, least in zip(*(iter(lines[:-1]),) * 5, strict=True)
        ]
    except ValueError as broken:
        raise Malformed("the call does not parse") from broken
    if lines[-1] or len(records) > MOST_RECORDS:
        raise Malformed("the call does not end, or has too many records")
    for one in records:
        if not (abs(one.spent) <= MOST_UNITS and 0 <= one.wanted <= MOST_UNITS and 0 <= one.least <= MOST_UNITS):
            raise Malformed("a number is out of range")
    return records


def _storable(identity: str) -> str:
    """Bytes that are no UTF-8 in a form that every store takes, and that no other identity has."""
    if identity.isascii():
        return identity
    return "".join(f"%{ord(one) - 0xDC00:02X}" if "\udc80" <= one <= "\udcff" else one for one in identity)


def _ms(span: timedelta) -> int:
    return max(0, int(span.total_seconds() * 1000))
