"""Routes: the most specific path decides, a method it does not take is 405, and the end is 404.

A request whose method fits no route of the deciding path never falls through to a shorter one, which might
ask for less. The most specific host decides alone, as it does in Envoy: a route for `*.shop.example` is not asked for
a name that another route names itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import cast

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import canary_host, challenge, direct, limit_headers, replies, trusted_proxies
from kronborg.gateway.envoy.clusters import cluster_name
from kronborg.gateway.envoy.filters import (
    access,
    addresses,
    body,
    bots,
    compressor,
    concurrency,
    cors,
    grpc_web,
    guard,
    inspect,
    jwt,
    phantom,
    spike_arrest,
)
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.envoy.route_action import action, edits, ways
from kronborg.gateway.envoy.route_match import by_path, closing, is_method, path_match, route_match, twin_match, twisted
from kronborg.gateway.envoy.route_tree import FEW, Block, matcher
from kronborg.gateway.envoy.target import Targets
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.model import METHODS, WELL_KNOWN, Route, Snapshot
from kronborg.gateway.protected_resource import Described, describe

_ENDLESS = 1 << 62
# Whatever follows the colon counts as a port when Envoy looks for the host, and services build addresses from it.
_AUTHORITY = r"(?:[^:\[\]@/]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_ONLY = Listener()
# A policy that allows nobody.
_CLOSED = typed("envoy.extensions.filters.http.rbac.v3.RBACPerRoute", rbac={"rules": {"action": "ALLOW"}})


def route_table(snapshot: Snapshot, here: Listener = _ONLY, *, challenges: bool = False) -> JsonObject:
    """The RouteConfiguration of a listener: one virtual host for all names with the same routes, and a closed rest.

    What is served elsewhere only is not there at all. With `challenges` ACME servers are answered, under any name.
    """
    first = [challenge.route()] if challenges and here.tls is None else []
    by_host: dict[str | None, list[Route]] = {}
    for route in snapshot.routes:
        if here.serves(route.listeners):
            by_host.setdefault(route.host, []).append(route)
    shared: list[str] = []
    hosts: list[JsonObject] = []
    targets = Targets.of(snapshot)
    for host in sorted({*snapshot.hosts, *(host for host in by_host if host)}):
        if host not in by_host:
            shared.append(host)
            continue
        general = by_host.get(None, []) if host in snapshot.hosts else []
        hosts.append(_virtual_host([host], [*by_host[host], *general], snapshot, targets, first))
    if shared:
        hosts.append(_virtual_host(shared, by_host.get(None, []), snapshot, targets, first))
    hosts.append(canary_host.virtual_host(snapshot))
    # Without this an unknown or a doubled Host would meet the filters instead of a plain answer.
    rest = [*first, direct.health(), direct.answer({"prefix": "/"}, 421)]
    hosts.append({"name": "elsewhere", "domains": ["*"], "routes": rest})
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": here.table,
        "ignore_port_in_host_matching": True,
        **trusted_proxies.told(snapshot),
        "max_direct_response_body_size_bytes": direct.LARGEST_DOCUMENT,
        "virtual_hosts": hosts,
    }


def _virtual_host(
    names: list[str], served: list[Route], snapshot: Snapshot, targets: Targets, challenges: list[JsonObject]
) -> JsonObject:
    described = describe(served, snapshot)
    documents = [Block(path, False, entries) for path, entries in direct.documents(described)]
    # They come last, where they cost no other request anything, unless a route would take them for its own.
    first = any(f"{WELL_KNOWN}/".startswith(f"{route.path.stem}/") for route in served if route.path.kind != "exact")
    paths = _blocks(served, snapshot, targets, described)
    blocks = [*documents, *paths] if first else [*paths, *documents]
    before, after = [*challenges, *_refusals(served)], [direct.answer({"prefix": "/"}, 404)]
    host: dict[str, JsonValue] = {
        "name": names[0],
        "domains": [f"[{name}]" if ":" in name else name for name in names],
    }
    if len(blocks) > FEW:
        host["typed_per_filter_config"] = _hoisted([entry for block in blocks for entry in block.entries])
        host["matcher"] = matcher(blocks, before, after)
    else:
        host["routes"] = [*before, *(entry for block in blocks for entry in block.entries), *after]
    return host


def _hoisted(entries: Iterable[JsonObject]) -> JsonObject:
    """What most entries tell a filter, told once for all; it is taken out of them, and others say what they mean.

    Only of filters that every entry tells something: what is left unsaid would mean another thing then.
    """
    configs = [cast("dict[str, JsonValue]", entry["typed_per_filter_config"]) for entry in entries]
    told: dict[str, JsonValue] = {}
    for name in (access.NAME, jwt.NAME, body.NAME):
        if not all(name in one for one in configs):
            continue
        written = [orjson.dumps(one[name]) for one in configs]
        # Never "off": what is open says so itself.
        often = Counter(text for one, text in zip(configs, written, strict=True) if one[name] != direct.OFF)
        for most, _ in often.most_common(1):
            told[name] = orjson.loads(most)
            for one, text in zip(configs, written, strict=True):
                if text == most:
                    del one[name]
    return told


def _refusals(routes: Iterable[Route]) -> list[JsonObject]:
    odd_method: JsonObject = {**is_method(METHODS), "invert_match": True}
    odd_host: JsonObject = {
        "name": ":authority",
        "string_match": {"safe_regex": {"regex": _AUTHORITY}},
        "invert_match": True,
    }
    return [
        direct.health(),
        direct.answer({"prefix": "/", "headers": [odd_host]}, 400),
        direct.answer({"prefix": "/", "headers": [odd_method]}, 405, allow=METHODS),
        direct.answer({"safe_regex": {"regex": twisted(routes)}}, 400),
    ]


def _blocks(routes: Iterable[Route], snapshot: Snapshot, targets: Targets, described: Described) -> Iterator[Block]:
    """The entries of each path, in the order in which they are asked."""
    routes = tuple(routes)
    prefixes = {route.path.stem for route in routes if route.path.kind == "prefix"}
    for same_path in by_path(routes):
        path = path_match(same_path[0].path)
        entries = [_preflight(path, route) for route in same_path if route.cors]
        entries += [direct.answer(match, 400) for route in same_path for match in _odd_weights(path, route)]
        for route in same_path:
            entries += _entries(path, route, snapshot, targets, described.pointers.get(route.name))
        entries += closing(path, same_path)
        twin = twin_match(same_path, prefixes)
        if twin is not None:
            entries.append(direct.answer(twin, 404))
        yield Block(same_path[0].path.literal, same_path[0].path.kind != "exact", entries)


def _odd_weights(path: JsonObject, route: Route) -> Iterator[JsonObject]:
    """Requests that state a weight that is none, of two lines or out of range; without the header nothing is stated."""
    for name, least, most in spike_arrest.weight_guards(route):
        odd: JsonObject = {
            "name": name,
            "string_match": {"safe_regex": {"regex": limit_headers.numbers(least, most)}},
            "invert_match": True,
        }
        present: JsonObject = {"name": name, "present_match": True}
        yield route_match(path, route, present, odd)


def _entries(
    path: JsonObject, route: Route, snapshot: Snapshot, targets: Targets, pointer: str | None
) -> Iterator[JsonObject]:
    """A route on all its ways."""
    common = _common(route, snapshot, targets, pointer)
    configs = _filter_configs(route, snapshot, pointer)
    if route.grpc:
        # Bodies are not held back, so the bound is on what is told beforehand.
        longer: JsonObject = {"name": "content-length", "range_match": {"start": route.max_body + 1, "end": _ENDLESS}}
        yield direct.answer(route_match(path, route, longer), 413)
    for way in ways(route):
        unheld = {body.NAME: direct.OFF} if way.upgraded or route.grpc else {}
        yield {
            **common,
            "match": route_match(path, route, *way.headers),
            **action(route, way, snapshot, targets),
            "typed_per_filter_config": {**configs, **unheld},
        }


def _common(route: Route, snapshot: Snapshot, targets: Targets, pointer: str | None) -> JsonObject:
    """What does not depend on the way."""
    added, dropped = edits(route.request_headers)
    removed = ["cookie"] if snapshot.wants_cookies and not route.cookies else []
    if route.public:
        # Nobody verified it here, so nobody behind should take it for verified.
        removed.append("authorization")
    if snapshot.takes_keys:
        removed.append(phantom.KEY_HEADER)
    added += targets.headers(route)
    hinted = replies.hints(route, pointer, bound=inspect.is_bound(route, snapshot))
    common: dict[str, JsonValue] = {
        "name": route.name,
        "metadata": {"filter_metadata": {replies.METADATA: hinted}},
        "request_headers_to_remove": [*removed, *dropped],
    }
    if added:
        common["request_headers_to_add"] = [*added]
    answered, hidden = edits(route.response_headers)
    stated = [*limit_headers.passed(route, legacy=snapshot.limits.legacy_headers), *answered]
    if not route.public and inspect.is_bound(route, snapshot):
        stated.append(replies.next_nonce())
    if stated:
        common["response_headers_to_add"] = stated
    if hidden:
        common["response_headers_to_remove"] = [*hidden]
    return common


def _filter_configs(route: Route, snapshot: Snapshot, pointer: str | None) -> JsonObject:
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
    inspected = inspect.route_config(route, snapshot, pointer)
    if inspected is not None:
        configs[inspect.NAME] = inspected
    optional = {
        bots.NAME: bots.route_config(route, snapshot),
        guard.NAME: guard.route_config(route),
        concurrency.NAME: concurrency.route_config(route),
    }
    for name, config in optional.items():
        if config is not None:
            configs[name] = config
    configs |= dict(spike_arrest.route_configs(route, snapshot.limits))
    origins = cors.route_config(route)
    if origins is not None:
        configs[cors.NAME] = origins
    if route.compress:
        configs |= dict.fromkeys(compressor.NAMES, compressor.route_config(route))
    if route.grpc:
        configs[grpc_web.NAME] = grpc_web.route_config()
    return configs


def _preflight(path: JsonObject, route: Route) -> JsonObject:
    """Preflights carry no token: `cors` answers those of named origins, and `access`, closed, refuses the rest.

    The cors filter ignores routes that end in a direct response, so this one names a cluster it never reaches.
    """
    return {
        "match": {**path, "headers": cors.is_preflight(route)},
        "route": {"cluster": cluster_name(route.service)},
        "typed_per_filter_config": {
            jwt.NAME: direct.OFF,
            access.NAME: _CLOSED,
            body.NAME: direct.OFF,
            inspect.NAME: direct.OFF,
            cors.NAME: cors.route_config(route),
        },
    }
