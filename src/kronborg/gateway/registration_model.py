"""Announced endpoints, and which addresses may be announced."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kronborg.core.addresses import network as plain_network

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# RFC 6890: addresses by which a machine reaches itself, its link, or what its cloud tells about it.
SPECIAL: tuple[_Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "224.0.0.0/3",
        "::/127",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
        "fe80::/10",
        "ff00::/8",
    )
)
"""Never meant by a wider network such as 0.0.0.0/0: only a network within one of these allows them."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One endpoint that a service announced for the time of a lease."""

    service: str
    id: str
    address: str
    port: int
    weight: int
    client_id: str
    since: datetime
    expires_at: datetime


def network(text: str) -> _Network | None:
    """A network as a file writes it; None when it is none."""
    try:
        return plain_network(text)
    except ValueError:
        return None


def numeric(text: str) -> str | None:
    """An address in the one way to write it, an IPv4 address inside an IPv6 one unwrapped; None when it is none."""
    try:
        address: _Address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    return str(address)


def allows(networks: Iterable[str], address: str) -> bool:
    """Whether `address`, as `numeric` writes it, may be announced."""
    place = ipaddress.ip_address(address)
    special = [one for one in SPECIAL if _within(place, one)]
    for text in networks:
        wanted = network(text)
        if wanted is None or not _within(place, wanted):
            continue
        if not special or any(_inside(wanted, one) for one in special):
            return True
    return False


def _within(address: _Address, wanted: _Network) -> bool:
    return address.version == wanted.version and address in wanted


def _inside(wanted: _Network, special: _Network) -> bool:
    return (
        wanted.version == special.version
        and wanted.network_address in special
        and wanted.prefixlen >= special.prefixlen
    )
