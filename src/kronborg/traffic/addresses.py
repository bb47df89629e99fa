"""Blocking an address: every gateway refuses its requests within a second, whatever they bring, until it is over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from kronborg.core.addresses import network as plain_network
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.tokens.feed import Notice, tell
from kronborg.tokens.feed_store import hold_numbers
from kronborg.traffic import addresses_store as store
from kronborg.traffic.addresses_store import BlockedAddress

MOST = 500
"""How many may be blocked at once: a gateway asks every request for all of them."""
LONGEST = timedelta(days=7)
MOST_REASON = 500
_WIDEST_4, _WIDEST_6 = 16, 32
_MAPPED = 96

Network = IPv4Network | IPv6Network


def network_of(text: str) -> Network:
    """The address or network of a text, an IPv4 one in its own spelling. Raises `Invalid` for what is too wide too."""
    try:
        network = plain_network(text.strip(), strict=False)
    except ValueError:
        raise Invalid(Problem("network", "is no address and no network", "write 192.0.2.7 or 2001:db8::/64")) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is not None and network.prefixlen >= _MAPPED:
        network = ip_network((mapped, network.prefixlen - _MAPPED))
    widest = _WIDEST_4 if network.version == 4 else _WIDEST_6
    if network.prefixlen < widest or (mapped is not None and network.version == 6):
        raise Invalid(Problem("network", "is too wide", f"block at most /{_WIDEST_4}, of IPv6 /{_WIDEST_6}, at once"))
    return network


def warnings_of(network: Network, *, own: str, proxies: Sequence[str]) -> Iterator[str]:
    """Whom else it might lock out."""
    if _holds(network, own):
        yield "You yourself are using the console from this address."
    if network.is_loopback or network.network_address.is_loopback:
        yield "This is this machine: whatever calls the gateway from here is refused too."
    if any(_meet(network, ip_network(proxy, strict=False)) for proxy in proxies):
        yield "A trusted proxy is in it. What it asks by itself is refused; what it passes on is not."


async def block_address(
    database: Database, text: str, *, reason: str, lasts: timedelta, actor: str, now: datetime
) -> BlockedAddress:
    """Block it from now on. Raises `Invalid`."""
    network, told = network_of(text), " ".join(reason.split())
    problems = []
    if not told or len(told) > MOST_REASON or not told.isprintable():
        problems.append(Problem("reason", "is empty or longer than 500 characters", "say why it is blocked"))
    if not timedelta(minutes=1) <= lasts <= LONGEST:
        problems.append(Problem("lasts", "is out of range", "use a minute to 7 days"))
    if problems:
        raise Invalid(*problems)
    made = BlockedAddress(_told(network), told, actor, now, now + lasts)

    def unit(execute: Execute) -> bool:
        hold_numbers(execute)
        if store.count_others(execute, made.network) >= MOST:
            return False
        store.put_blocked(execute, made)
        detail = {"reason": told, "until": made.until.isoformat()}
        record_in(execute, "address.blocked", actor=actor, subject=made.network, now=now, detail=detail)
        tell(execute, (Notice("address", made.network, until=made.until),), now=now)
        return True

    if not await database.writer.run(unit):
        raise Invalid(Problem("network", "is one too many", f"lift another: at most {MOST} are blocked at once"))
    return made


async def lift_address(database: Database, network: str, *, actor: str, now: datetime) -> None:
    """Let it call again. Raises `NotFound`."""

    def unit(execute: Execute) -> bool:
        hold_numbers(execute)
        if not store.drop_blocked(execute, network):
            return False
        record_in(execute, "address.lifted", actor=actor, subject=network, now=now)
        # An end that is past lifts what was said before.
        tell(execute, (Notice("address", network, until=now - timedelta(seconds=2)),), now=now)
        return True

    if not await database.writer.run(unit):
        raise NotFound("this address is not blocked, or no more")


def _told(network: Network) -> str:
    """An address alone is written without its length."""
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def _holds(network: Network, address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found) in network


def _meet(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
