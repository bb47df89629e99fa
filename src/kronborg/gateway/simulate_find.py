"""Which route takes a request: hosts, paths and conditions, in the order in which the proxy asks them.

The order itself comes from the translation (`envoy/route_match.py`), so that the two cannot drift apart; here it is
only made fast to walk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kronborg.gateway.envoy.filters.spike_arrest import weight_guards
from kronborg.gateway.envoy.route_match import by_path, twin_match, twisted
from kronborg.gateway.linear import Fits, matcher
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.model import METHODS, WELL_KNOWN, Cors, Route, Snapshot
from kronborg.gateway.protected_resource import describe
from kronborg.gateway.simulate_nouns import Call
from kronborg.gateway.traffic_model import Condition

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?")
Guard = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Group:
    """The routes of one path, in the order in which they are asked."""

    routes: tuple[Route, ...]
    pattern: Fits | None
    twin: Fits | None
    guards: tuple[tuple[Route, tuple[Guard, ...]], ...]

    def takes(self, path: str) -> bool:
        """Whether the path fits."""
        if self.pattern is not None:
            return self.pattern(path)
        own = self.routes[0].path
        return path == own.stem or (own.kind == "prefix" and path.startswith(own.stem + "/"))


@dataclass(frozen=True, slots=True)
class Table:
    """What one host name serves. `wide` holds all that take longer paths, by how these begin."""

    exact: Mapping[str, Group]
    twins: frozenset[str]
    wide: Mapping[str, Sequence[Group]]
    lengths: tuple[int, ...]
    documents: frozenset[str]
    documents_first: bool
    twisted: re.Pattern[str]

    def group(self, path: str) -> Group | None:
        """The routes of the most specific path; None where nothing stands, or where it is closed on purpose."""
        found = self.exact.get(path)
        if found is not None or path in self.twins:
            return found
        for length in self.lengths:
            for group in self.wide.get(path[:length], ()) if length <= len(path) else ():
                if group.takes(path):
                    return group
                if group.twin is not None and group.twin(path):
                    return None
        return None


def tables_of(snapshot: Snapshot, here: Listener) -> dict[str, Table]:
    """What each host name serves at a listener, `*.shop.example` among them."""
    by_host: dict[str | None, list[Route]] = {}
    for route in (one for one in snapshot.routes if here.serves(one.listeners)):
        by_host.setdefault(route.host, []).append(route)
    general = by_host.get(None, [])
    shared = _table(general, snapshot)
    tables = {host: shared for host in snapshot.hosts if host not in by_host}
    for host, own in by_host.items():
        if host is not None:
            tables[host] = _table([*own, *(general if host in snapshot.hosts else ())], snapshot)
    return tables


def table_for(tables: Mapping[str, Table], host: str) -> Table | None:
    """What a host name is served: its own, or that of the longest pattern that it fits."""
    match = _HOST.fullmatch(host.lower())
    name = "" if match is None else match[1] or match[2] or ""
    found = tables.get(name)
    while found is None and "." in name[1:]:
        name = name[name.index(".", 1) :]
        found = tables.get("*" + name)
    return found


def _table(routes: Sequence[Route], snapshot: Snapshot) -> Table:
    prefixes = {route.path.stem for route in routes if route.path.kind == "prefix"}
    exact: dict[str, Group] = {}
    twins: set[str] = set()
    wide: dict[str, list[Group]] = {}
    for same_path in by_path(routes):
        path, twin = same_path[0].path, twin_match(same_path, prefixes)
        group = _group(same_path, twin)
        if path.kind == "exact":
            exact[path.stem] = group
            if twin is not None:
                twins.add(path.stem + "/")
        else:
            wide.setdefault(path.literal, []).append(group)
    first = any(f"{WELL_KNOWN}/".startswith(f"{route.path.stem}/") for route in routes if route.path.kind != "exact")
    return Table(
        exact,
        frozenset(twins - exact.keys()),
        wide,
        tuple(sorted({len(literal) for literal in wide}, reverse=True)),
        frozenset(describe(routes, snapshot).documents),
        first,
        re.compile(twisted(routes), re.ASCII),
    )


def _group(same_path: Sequence[Route], twin: object) -> Group:
    path = same_path[0].path
    pattern = None if path.kind in ("exact", "prefix") else matcher(path.identity)
    guards = tuple((route, tuple(found)) for route in same_path if (found := weight_guards(route)))
    closed = matcher(f"(?:{path.identity})/") if twin is not None and pattern is not None else None
    return Group(tuple(same_path), pattern, closed, guards)


def odd_weight(group: Group, call: Call) -> str | None:
    """The header that states a weight which is none (400); None when all is well."""
    for route, guards in group.guards:
        for name, least, most in guards:
            said = call.headers.get(name)
            if said is None or not conditions_hold(route, call) or not _takes(route, call):
                continue
            plain = re.fullmatch(r"0|[1-9][0-9]{0,9}", said)
            if plain is None or not least <= int(said) <= most:
                return name
    return None


def chosen(group: Group, call: Call) -> Route | None:
    """The first route of the path whose method and conditions fit."""
    return next((one for one in group.routes if _takes(one, call) and conditions_hold(one, call)), None)


def misfit(group: Group, call: Call) -> Literal[404, 405]:
    """What a request gets that fits the path and none of its routes; as `route_match.closing` says it."""
    if any(not route.methods for route in group.routes):
        return 404
    taken = {method for route in group.routes for method in route.methods}
    plain = {method for route in group.routes if not route.headers and not route.query for method in route.methods}
    return 404 if call.method in taken - plain else 405


def methods_of(group: Group) -> tuple[str, ...]:
    """The methods that the path takes at all."""
    taken = {method for route in group.routes for method in route.methods or METHODS}
    return tuple(method for method in METHODS if method in taken)


def _takes(route: Route, call: Call) -> bool:
    return not route.methods or call.method in route.methods


def conditions_hold(route: Route, call: Call) -> bool:
    """Whether every condition on headers and query parameters holds."""
    if not route.headers and not route.query:
        return True
    # Each parameter counts by its first value, undecoded, as the proxy reads it.
    query = call.path.partition("?")[2]
    said: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        said.setdefault(name, value)
    return all(_holds(one, call.headers.get(one.name), header=True) for one in route.headers) and all(
        _holds(one, said.get(one.name), header=False) for one in route.query
    )


def _holds(condition: Condition, value: str | None, *, header: bool) -> bool:
    if condition.exact is None and condition.prefix is None and condition.regex is None:
        return (value is not None) == ((condition.present is not False) != condition.inverted)
    if value is None:
        if not condition.inverted:
            return False
        if not header:
            return True
        value = ""
    if condition.exact is not None:
        fits = value == condition.exact
    elif condition.prefix is not None:
        fits = value.startswith(condition.prefix)
    else:
        fits = matcher(condition.regex or "")(value)
    return fits != condition.inverted


def is_allowed_origin(cors: Cors, origin: str) -> bool:
    """Whether web pages of this origin may call, by name or as one of the names below another."""
    for one in cors.origins:
        scheme, star, rest = one.partition("*.")
        if one == origin or (star and matcher(rf"{re.escape(scheme)}(?:[a-z0-9-]+\.)+{re.escape(rest)}")(origin)):
            return True
    return False
