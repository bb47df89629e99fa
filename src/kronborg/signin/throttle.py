"""Back-off for guessing that cannot lock the owner out.

Each attempt is counted *before* the password is compared, so that a thousand at once gain nothing, and given back
when it was right. A browser that has signed in as this user before carries a signed device cookie and is judged by
its own counter alone: whatever happens elsewhere, it gets its allowance. Everybody else is judged by seven: the
address, its subnet, this account from this address, this account from everywhere unknown, and two that count kinds of
bursts no honest person makes: how many accounts one address tries, and from how many addresses one account is tried.

Counters are rows keyed by a digest (no names, no addresses at rest) and are forgotten with time. All counters of an
attempt are read and written in two statements of one unit. The unit has a transaction of its own and locks its rows
in the order of their keys, so that two attempts never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kronborg.accounts.model import folded
from kronborg.core.addresses import network_of, subnet_of
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import TooMany
from kronborg.core.group_writer import Execute
from kronborg.signin.model import Allowance, ThrottleSettings
from kronborg.signin.store import (
    Counted,
    delete_old_counters,
    drop_counters,
    lock_counters,
    longest_wait,
    write_counters,
)

MAX_COUNTERS = 200_000
FORGET_AFTER = timedelta(days=1)
NO_WAIT = datetime(1970, 1, 1, tzinfo=UTC)
"""Not the moment of the attempt: another one that began a moment earlier may be counted after it."""
DISTINCT = ("spray", "spread")
"""Count a pair of account and address once, however often it is tried."""
FORGOTTEN_WHEN_RIGHT = ("pair", "device")
"""What is counted for this person in this place alone."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter that an attempt falls under."""

    kind: str
    key: bytes
    allowance: Allowance


Burst = Callable[[Execute, str], None]
"""Told, inside the unit, of the kind of a counter that has just run out: it may record an event."""


def counters_for(
    vault: Vault, settings: ThrottleSettings, *, login: str, address: str, device: str | None
) -> tuple[Counter, ...]:
    """The counters of an attempt; `device` is the id of a device known for this very account."""
    name, network = folded(login), network_of(address)

    def counter(kind: str, subject: str, allowance: Allowance) -> Counter:
        return Counter(kind, vault.digest(f"{kind}\n{subject}", context="signin.throttle"), allowance)

    if device is not None:
        return (counter("device", f"{device}\n{name}", settings.device),)
    return (
        counter("address", network, settings.address),
        counter("subnet", subnet_of(address), settings.subnet),
        counter("pair", f"{network}\n{name}", settings.pair),
        counter("account", name, settings.account),
        counter("spray", network, settings.spray),
        counter("spread", name, settings.spread),
    )


async def reserve(
    database: Database, counters: tuple[Counter, ...], *, now: datetime, burst: Burst | None = None
) -> None:
    """Count an attempt under all its counters. Raises `TooMany`, having counted nothing, while one of them waits."""
    # The cheap no: a flood writes nothing.
    _refuse(await longest_wait(database.lookup, [counter.key for counter in counters]), now)

    def unit(execute: Execute) -> None:
        seen = lock_counters(execute, [counter.key for counter in counters], now=now)
        _refuse(max(state.blocked_until for state in seen.values()), now)
        states = {}
        for counter in _that_count(counters, seen, now):
            state = _counted(seen[counter.key], counter.allowance, now)
            if burst is not None and state.failures == counter.allowance.free + 1:
                burst(execute, counter.kind)
            states[counter.key] = state
        write_counters(execute, states)

    await database.writer.run(unit, alone=True)


async def give_back(database: Database, counters: tuple[Counter, ...], *, now: datetime) -> None:
    """The attempt was right: see `give_back_in`."""
    await database.writer.run(lambda execute: give_back_in(execute, counters, now=now), alone=True)


def give_back_in(execute: Execute, counters: tuple[Counter, ...], *, now: datetime) -> None:
    """The attempt was right: uncount it, and forget what was counted for this person in this place alone.

    Part of a unit that is run `alone`.
    """
    if not counters:
        return
    seen = lock_counters(execute, [counter.key for counter in counters], now=now)
    # A pair is counted once: of several attempts at once, only the first that is right takes it back.
    pair = next((seen[counter.key].failures for counter in counters if counter.kind == "pair"), 1)
    kept, dropped = {}, []
    for counter in counters:
        state = seen[counter.key]
        failures = max(0, state.failures - (pair > 0 or counter.kind not in DISTINCT))
        if counter.kind in FORGOTTEN_WHEN_RIGHT or failures == 0:
            dropped.append(counter.key)
            continue
        # A wait that others have earned stays: signing in to an account of one's own is no way out of it.
        until = state.blocked_until if failures > counter.allowance.free else NO_WAIT
        kept[counter.key] = Counted(failures, state.last_at, until)
    if kept:
        write_counters(execute, kept)
    if dropped:
        drop_counters(execute, dropped)


async def purge_counters(session: Session, *, now: datetime) -> int:
    """Forget counters nobody has touched for a day, and the oldest beyond the bound; how many."""
    return await delete_old_counters(session, before=now - FORGET_AFTER, keep=MAX_COUNTERS)


def _refuse(until: datetime | None, now: datetime) -> None:
    if until is not None and until > now:
        raise TooMany("too many attempts to sign in", retry_after=until - now)


def _that_count(counters: tuple[Counter, ...], seen: Mapping[bytes, Counted], now: datetime) -> list[Counter]:
    """The counters that count this attempt: those of distinct pairs only when the pair is a new one."""
    pair = next((counter for counter in counters if counter.kind == "pair"), None)
    known = pair is not None and _left(seen[pair.key], pair.allowance, now)[0] > 0
    return [counter for counter in counters if not (known and counter.kind in DISTINCT)]


def _counted(state: Counted, allowance: Allowance, now: datetime) -> Counted:
    failures, since = _left(state, allowance, now)
    wait = _wait(failures + 1, allowance)
    return Counted(failures + 1, since, now + wait if wait else NO_WAIT)


def _left(state: Counted, allowance: Allowance, now: datetime) -> tuple[int, datetime]:
    """The failures that still count, and from when the next is forgotten."""
    periods = max(0, (now - state.last_at) // allowance.forget_each)
    left = max(0, state.failures - periods)
    return left, now if left == 0 else state.last_at + periods * allowance.forget_each


def _wait(failures: int, allowance: Allowance) -> timedelta:
    over = failures - allowance.free
    if over <= 0:
        return timedelta()
    factor: int = 2 ** min(over - 1, 20)
    return min(allowance.longest_wait, allowance.first_wait * factor)
