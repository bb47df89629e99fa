"""Routes: the most specific path decides, a method it does not take is 405, and the end is 404.

A request whose method fits no route of the deciding path never falls through to a shorter one, which might
ask for less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import direct, limit_headers, replies
from kronborg.gateway.envoy.clusters import cluster_name
from kronborg.gateway.envoy.filters import access, addresses, body, cors, inspect, jwt, phantom, spike_arrest
from kronborg.gateway.envoy.listener import ROUTES
from kronborg.gateway.envoy.resource import seconds
from kronborg.gateway.envoy.target import Targets
from kronborg.gateway.model import METHODS, WELL_KNOWN, Path, Route, Snapshot
from kronborg.gateway.protected_resource import Described, describe

# ";" and "\\", plain or encoded, encoded control characters, and what a second decoding would turn into
# a dot, slash, backslash or semicolon. Encoded slashes are refused before routing; letters, digits and "-._~"
# Envoy decodes itself (RFC 3986 section 6.2.2.2).
_ENCODED = "3b|5c|7f|[01][0-9a-f]|25(?:2e|2f|3b|5c)"
# The other characters of a route's path Envoy compares as they stand, while a service reads "%3A" as ":". Encoded
# they are ordinary (`a%40b.example`), so each is refused only where the path of some route has it.
_SPECIAL = "!$&'()*+,=:@"


def route_table(snapshot: Snapshot) -> JsonObject:
    """The RouteConfiguration: one virtual host for all names with the same routes, and a closed rest."""
    by_routes: dict[tuple[Route, ...], list[str]] = {}
    for host in sorted({*snapshot.hosts, *(route.host for route in snapshot.routes if route.host)}):
        general = host in snapshot.hosts
        served = tuple(route for route in snapshot.routes if route.host == host or (route.host is None and general))
        by_routes.setdefault(served, []).append(host)
    hosts = [_virtual_host(names, served, snapshot) for served, names in by_routes.items()]
    # Without this an unknown or a doubled Host would meet the filters instead of a plain answer.
    hosts.append(
        {"name": "elsewhere", "domains": ["*"], "routes": [direct.health(), direct.answer({"prefix": "/"}, 421)]}
    )
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": direct.LARGEST_DOCUMENT,
        "virtual_hosts": hosts,
    }


def _virtual_host(names: list[str], served: tuple[Route, ...], snapshot: Snapshot) -> JsonObject:
    described = describe(served, snapshot)
    documents = list(direct.documents(described))
    # They come last, where they cost no other request anything, unless a route would take them for its own.
    first = any(f"{WELL_KNOWN}/".startswith(f"{route.path.stem}/") for route in served if route.path.kind == "prefix")
    return {
        "name": names[0],
        "domains": [f"[{name}]" if ":" in name else name for name in names],
        "routes": [
            *_refusals(served),
            *(documents if first else ()),
            *_ordered(served, snapshot, described),
            *(() if first else documents),
            direct.answer({"prefix": "/"}, 404),
        ],
    }


def _twisted(routes: Iterable[Route]) -> str:
    """The regular expression of the paths that a service could read as another path than the one decided on."""
    special = sorted({letter for route in routes for letter in route.path.value if letter in _SPECIAL})
    encoded = "|".join((_ENCODED, *(f"{ord(letter):02x}" for letter in special)))
    return rf"(?i).*(?:[;\\]|%(?:{encoded})).*"


def _refusals(routes: Iterable[Route]) -> list[JsonObject]:
    odd_method: JsonObject = {
        "name": ":method",
        "string_match": {"safe_regex": {"regex": "|".join(METHODS)}},
        "invert_match": True,
    }
    return [
        direct.health(),
        direct.answer({"prefix": "/", "headers": [odd_method]}, 405, allow=METHODS),
        direct.answer({"safe_regex": {"regex": _twisted(routes)}}, 400),
    ]


def _rank(route: Route) -> tuple[int, int, str]:
    """Exact paths first, then the longest prefix."""
    value = route.path.stem
    return (0 if route.path.kind == "exact" else 1, -len(value), value)


def _ordered(routes: Iterable[Route], snapshot: Snapshot, described: Described) -> list[JsonObject]:
    routes = tuple(routes)
    targets = Targets.of(snapshot)
    prefixes = {route.path.stem for route in routes if route.path.kind == "prefix"}
    entries: list[JsonObject] = []
    for _, group in groupby(sorted(routes, key=lambda route: (_rank(route), route.name)), key=_rank):
        same_path = list(group)
        path = _path(same_path[0].path)
        entries += [_preflight(path, route) for route in same_path if route.cors]
        entries += [direct.answer(match, 400) for route in same_path for match in _odd_weights(path, route)]
        entries += [_entry(path, route, snapshot, targets, described.pointers.get(route.name)) for route in same_path]
        if all(route.methods for route in same_path):
            taken = {method for route in same_path for method in route.methods}
            entries.append(direct.answer(path, 405, allow=[method for method in METHODS if method in taken]))
        if _has_open_twin(same_path, prefixes):
            entries.append(direct.answer({"path": same_path[0].path.value + "/"}, 404))
    return entries


def _has_open_twin(same_path: Sequence[Route], prefixes: set[str]) -> bool:
    """Whether the path with a slash after it, which many services take for the same, would fall to a wider route."""
    path = same_path[0].path
    guarded = any(not route.public for route in same_path)
    return path.kind == "exact" and guarded and not path.value.endswith("/") and path.value not in prefixes


def _path(path: Path) -> JsonObject:
    stem = path.stem
    if path.kind == "exact":
        return {"path": stem}
    return {"path_separated_prefix": stem} if stem else {"prefix": "/"}


def _odd_weights(path: JsonObject, route: Route) -> Iterator[JsonObject]:
    """Requests that state a weight that is none, of two lines or out of range; without the header nothing is stated."""
    for name, least, most in spike_arrest.weight_guards(route):
        odd: JsonObject = {
            "name": name,
            "string_match": {"safe_regex": {"regex": limit_headers.numbers(least, most)}},
            "invert_match": True,
        }
        present: JsonObject = {"name": name, "present_match": True}
        yield {**path, "headers": [*_methods(route), present, odd]}


def _methods(route: Route) -> list[JsonObject]:
    """The condition on the method; for one method a comparison, which is cheaper than an expression."""
    if not route.methods:
        return []
    allowed: JsonObject = {"safe_regex": {"regex": "|".join(sorted(route.methods))}}
    if len(route.methods) == 1:
        allowed = {"exact": route.methods[0]}
    return [{"name": ":method", "string_match": allowed}]


def _entry(path: JsonObject, route: Route, snapshot: Snapshot, targets: Targets, pointer: str | None) -> JsonObject:
    removed = ["cookie"] if snapshot.wants_cookies and not route.cookies else []
    if route.public:
        # Nobody verified it here, so nobody behind should take it for verified.
        removed.append("authorization")
    if snapshot.takes_keys:
        removed.append(phantom.KEY_HEADER)
    return {
        "name": route.name,
        "match": {**path, "headers": _methods(route)} if route.methods else path,
        "metadata": {"filter_metadata": {replies.METADATA: replies.hints(route, pointer)}},
        "route": {
            **targets.target(route.service),
            "timeout": seconds(route.timeout),
            "retry_policy": targets.retry(route),
        },
        **({"request_headers_to_add": added} if (added := targets.headers(route)) else {}),
        "request_headers_to_remove": removed,
        "typed_per_filter_config": _filter_configs(route, snapshot),
    }


def _filter_configs(route: Route, snapshot: Snapshot) -> JsonObject:
    """What each filter is told on this route; on a public one, the filters that ask for a token are off."""
    configs: dict[str, JsonValue] = {body.NAME: body.route_config(route)}
    if route.public:
        configs |= direct.OPEN
    else:
        configs[jwt.NAME] = jwt.route_config(route, snapshot)
        configs[access.NAME] = access.route_config(route, snapshot)
        if phantom.is_used(route, snapshot):
            configs[phantom.NAME] = phantom.route_config(route)
    if route.addresses is not None:
        configs[addresses.NAME] = addresses.route_config(route, snapshot)
    inspected = inspect.route_config(route, snapshot)
    if inspected is not None:
        configs[inspect.NAME] = inspected
    configs |= dict(spike_arrest.route_configs(route, snapshot.limits))
    origins = cors.route_config(route)
    if origins is not None:
        configs[cors.NAME] = origins
    return configs


def _preflight(path: JsonObject, route: Route) -> JsonObject:
    """Preflights carry no token: `cors` answers those of named origins, and `access`, closed, refuses the rest.

    The cors filter ignores routes that end in a direct response, so this one names a cluster it never reaches.
    """
    return {
        "match": {**path, "headers": cors.is_preflight()},
        "route": {"cluster": cluster_name(route.service)},
        "typed_per_filter_config": {
            jwt.NAME: direct.OFF,
            inspect.NAME: direct.OFF,
            cors.NAME: cors.route_config(route),
        },
    }
