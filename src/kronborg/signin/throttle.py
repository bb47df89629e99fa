"""Back-off for guessing that cannot lock the owner out.

Each attempt is counted *before* the password is compared, so that a thousand at once gain nothing, and given back
when it was right. A browser that has signed in as this user before carries a signed device cookie and is judged by
its own counter alone: whatever happens elsewhere, it gets its allowance. Everybody else is judged by three counters:
this account from this address, this address, and this account from everywhere unknown.

Counters are rows keyed by a digest (no names, no addresses at rest) and are forgotten with time.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kronborg.accounts.model import folded
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import TooMany
from kronborg.signin.model import Allowance, ThrottleSettings
from kronborg.signin.store import delete_counter, delete_old_counters, lock_counter, read_wait, write_counter

MAX_COUNTERS = 200_000
FORGET_AFTER = timedelta(days=1)
NO_WAIT = datetime(1970, 1, 1, tzinfo=UTC)
"""Not the moment of the attempt: another one that began a moment earlier may be counted after it."""


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter that an attempt falls under."""

    kind: str
    key: bytes
    allowance: Allowance


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
        counter("pair", f"{network}\n{name}", settings.pair),
        counter("account", name, settings.account),
    )


async def reserve(database: Database, counters: tuple[Counter, ...], *, now: datetime) -> None:
    """Count an attempt under all its counters. Raises `TooMany`, having written nothing, while one of them waits."""
    keys = [counter.key for counter in counters]
    async with database.read() as session:
        _refuse(await read_wait(session, keys, now=now), now)  # the cheap no: a flood writes nothing
    async with database.write() as session:
        states = []
        # Always in the order of keys, so that two attempts never wait for each other.
        for counter in sorted(counters, key=lambda counter: counter.key):
            states.append((counter, *await lock_counter(session, counter.key, now=now)))
        _refuse(max((until for *_, until in states), default=None), now)
        for counter, failures, last_at, _ in states:
            allowance = counter.allowance
            failures, since = _forget(failures, last_at, now, allowance)
            failures += 1
            wait = _wait(failures, allowance)
            until = now + wait if wait else NO_WAIT
            await write_counter(session, counter.key, failures=failures, last_at=since, blocked_until=until)


async def give_back(session: Session, counters: tuple[Counter, ...], *, now: datetime) -> None:
    """The attempt was right: uncount it, and forget what was counted for this person in this place alone."""
    for counter in sorted(counters, key=lambda counter: counter.key):
        if counter.kind in ("pair", "device"):
            await delete_counter(session, counter.key)
            continue
        failures, last_at, until = await lock_counter(session, counter.key, now=now)
        failures = max(0, failures - 1)
        # A wait that others have earned stays: signing in to an account of one's own is no way out of it.
        until = until if failures > counter.allowance.free else NO_WAIT
        await write_counter(session, counter.key, failures=failures, last_at=last_at, blocked_until=until)


async def purge_counters(session: Session, *, now: datetime) -> int:
    """Forget counters nobody has touched for a day, and the oldest beyond the bound; how many."""
    return await delete_old_counters(session, before=now - FORGET_AFTER, keep=MAX_COUNTERS)


def _refuse(until: datetime | None, now: datetime) -> None:
    if until is not None and until > now:
        raise TooMany("too many attempts to sign in", retry_after=until - now)


def _forget(failures: int, last_at: datetime, now: datetime, allowance: Allowance) -> tuple[int, datetime]:
    """The failures that still count, and from when the next is forgotten."""
    periods = max(0, (now - last_at) // allowance.forget_each)
    left = max(0, failures - periods)
    return left, now if left == 0 else last_at + periods * allowance.forget_each


def _wait(failures: int, allowance: Allowance) -> timedelta:
    over = failures - allowance.free
    if over <= 0:
        return timedelta()
    factor: int = 2 ** min(over - 1, 20)
    return min(allowance.longest_wait, allowance.first_wait * factor)


def network_of(address: str) -> str:
    """An address as one caller: IPv6 by /64, since one household has a whole one; IPv4-mapped as IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
