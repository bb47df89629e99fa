"""Which hosts, URLs and paths can be published: those that every party reads alike."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from kronborg.core.errors import Problem
from kronborg.gateway.listener_model import may_meet
from kronborg.gateway.model import HEALTH, METHODS, WELL_KNOWN, Path, Route, Snapshot

_HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# RFC 3986 section 3.3 without percent-encoding and without ";": what is decided on is what the service sees.
_PATH = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,=:@/]{0,510}")
_LONGEST_TEMPLATE = 512
_MENDS = {
    "exact": "start with /, no //, dot segments, percent-encoding, ; or query",
    "prefix": "start with /, no //, dot segments, percent-encoding, ; or query",
    "template": "write /orders/{id} or /files/{rest=**}: whole segments, up to nine places, each with its own name",
    "regex": "start with /, write a dot as \\., any segment as [^/]+, alternatives in a group, repetitions below 100",
}


def host_is_valid(host: str) -> bool:
    """A lower-case DNS name or an IP address, without port or wildcard."""
    if all(map(_HOST_LABEL.fullmatch, host.split("."))) and len(host) <= 253:
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def covers(host: str) -> bool:
    """A name as above, or `*.` before a name of two labels or more: all names below it."""
    rest = host.removeprefix("*.")
    return host_is_valid(rest) and (rest == host or ("." in rest and not rest.rpartition(".")[2].isdigit()))


def is_absolute(url: str) -> bool:
    """An http(s) URL with a host and without user, query or fragment."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url)
    host = parts.hostname or ""
    return parts.scheme in ("http", "https") and host_is_valid(host) and plain and port != 0


def path_is_valid(path: Path) -> bool:
    """Starts with a slash and is already in the form every party reads alike."""
    value = path.value
    if path.kind in ("template", "regex"):
        return len(value) <= _LONGEST_TEMPLATE and path.pattern is not None
    if _PATH.fullmatch(value) is None or "//" in value:
        return False
    return "/." not in value or not any(part in (".", "..") for part in value.split("/"))


def problems_of(route: Route) -> Iterator[Problem]:
    """What is wrong with the host, the path and the methods of a route."""
    where = f"routes.{route.name}"
    if not path_is_valid(route.path):
        yield Problem(f"{where}.path", "is not a path in normal form", _MENDS[route.path.kind])
    if route.path == Path("exact", HEALTH) or f"{route.path.stem}/".startswith(f"{WELL_KNOWN}/"):
        yield Problem(f"{where}.path", "is answered by the gateway itself", "choose another path")
    if route.host is not None and not covers(route.host):
        yield Problem(f"{where}.host", "is not a host name", "use a plain lower-case name without a port")
    for method in route.methods:
        if method not in METHODS:
            yield Problem(f"{where}.methods", "an unknown method", "use some of " + ", ".join(METHODS))
    if len(set(route.methods)) < len(route.methods):
        yield Problem(f"{where}.methods", "a method is named twice", "name it once")


def clashes(snapshot: Snapshot) -> Iterator[Problem]:
    """Two routes for the same requests: the second could never be reached."""
    taken: dict[tuple[object, ...], list[Route]] = {}
    for route in snapshot.routes:
        rivals: set[str] = set()
        asked = (frozenset(route.headers), frozenset(route.query)) if route.headers or route.query else None
        key = (route.path.kind, route.path.identity, asked)
        for host in snapshot.hosts if route.host is None else (route.host,):
            for method in route.methods or METHODS:
                others = taken.setdefault((host, method, key), [])
                rivals |= {other.name for other in others if may_meet(other.listeners, route.listeners)}
                others.append(route)
        for rival in sorted(rivals):
            yield Problem(
                f"routes.{route.name}",
                f"clashes with the route {rival}: same host, path, method and conditions",
                "change one of the two, or drop it",
            )
