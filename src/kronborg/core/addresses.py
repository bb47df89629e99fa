"""Network addresses: which of them the server may call on behalf of somebody else, and which are one caller."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?)*", re.ASCII
)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.ASCII)
# The properties of `ipaddress` know the special-purpose registries of IANA as of their Python; this list does not
# depend on that, and holds what carries an IPv4 address inside and so could hide one: mapped and compatible
# addresses, NAT64, Teredo, 6to4. The last IPv4 address is public in form and the host of a cloud in fact.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


def network(text: str, *, strict: bool = True) -> Network:
    """A network from its CIDR notation. Raises `ValueError`.

    RFC 4007 section 11: what follows "%" is a zone of one machine. It may be any text at all, and none of it is an
    address that comes over a network.
    """
    if "%" in text:
        raise ValueError("an address with a zone is of one machine only")
    return ipaddress.ip_network(text, strict=strict)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from their CIDR notation. Raises `ValueError`."""
    return tuple(network(text) for text in texts)


def literal(host: str) -> Address | None:
    """The address that a host of a URL is, if it is one in its usual form."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_host(host: str) -> bool:
    """Whether this may stand in a URL: a lower-case name, or an address in its usual form.

    `2130706433`, `0177.0.0.1`, `127.1` and `0x7f.1` are addresses to a resolver and names to nobody.
    """
    address = literal(host)
    if address is not None:
        return not (isinstance(address, ipaddress.IPv6Address) and address.scope_id)
    return _NAME.fullmatch(host) is not None and _NUMBER.fullmatch(host.rpartition(".")[2]) is None


def may_call(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether to connect there: inside one of the allowed networks, or public."""
    if _within(address, allowed):
        return True
    public = address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
    return public and not _within(address, _REFUSED)


def _within(address: Address, ranges: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in ranges)


def network_of(address: str) -> str:
    """An address as one caller: IPv6 by /64, since one household has a whole one; IPv4-mapped as IPv4."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return "unknown" if parsed is None else str(parsed)


def subnet_of(address: str) -> str:
    """The network an address lies in, as large as one customer of a provider gets: IPv4 by /24, IPv6 by /48."""
    parsed = _parsed(address)
    if parsed is None:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(parsed) >> 80 << 80, 48)))
    return str(ipaddress.IPv4Network((int(parsed) >> 8 << 8, 24)))


def _parsed(address: str) -> Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
