"""What happens to a request that a route takes: where it goes, what is changed on the way, how long it may last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.filters import jwt
from kronborg.gateway.envoy.resource import seconds
from kronborg.gateway.envoy.route_match import is_method
from kronborg.gateway.envoy.target import Targets, bounded_name, cluster_name
from kronborg.gateway.model import METHODS, Path, Route, Snapshot
from kronborg.gateway.pattern_model import substitution
from kronborg.gateway.traffic_model import Canary, HeaderEdits, HeaderLine, Mirror, Redirect, Sticky

IDLE = timedelta(minutes=5)
"""How long a stream may be silent where its route does not say."""
CREDENTIALS = ("authorization", "cookie", "dpop", "proxy-authorization", "x-csrf-token")
"""What a copy of a request is not given."""

_COPIED = ("GET", "HEAD", "OPTIONS")
_NONE = timedelta(0)
_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_UPGRADE: tuple[JsonObject, ...] = (
    {"name": ":method", "string_match": {"exact": "GET"}},
    {"name": "upgrade", "string_match": {"exact": "websocket", "ignore_case": True}},
    {"name": "connection", "string_match": {"contains": "upgrade", "ignore_case": True}},
)


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways that a route may go: for requests with these headers, to this service or to the route's own."""

    headers: tuple[JsonObject, ...] = ()
    service: str | None = None
    copied: bool = False
    upgraded: bool = False


def ways(route: Route) -> Iterator[Way]:
    """All ways of a route, first to last; what a request needs to pass is the same on each."""
    for chosen, service in (*((_is_canary(one), one.service) for one in route.canary), (None, None)):
        headers = () if chosen is None else (chosen,)
        if route.websocket:
            yield Way((*headers, *_UPGRADE), service, upgraded=True)
        if route.mirror is None:
            yield Way(headers, service)
        elif route.mirror.unsafe or (route.methods and set(route.methods) <= set(_COPIED)):
            yield Way(headers, service, copied=True)
        else:
            copied = [method for method in _COPIED if method in (route.methods or METHODS)]
            if copied:
                yield Way((*headers, is_method(copied)), service, copied=True)
            yield Way(headers, service)


def action(route: Route, way: Way, snapshot: Snapshot, targets: Targets) -> dict[str, JsonValue]:
    """The action of a route entry on one of its ways."""
    if route.redirect is not None:
        return {"redirect": _redirect(route.path, route.redirect)}
    service = way.service or route.service
    where = targets.target(service)
    if way.service is None and route.split:
        shares = [(share.service, share.percent) for share in route.split if share.percent]
        rest = 100 - sum(percent for _, percent in shares)
        where = targets.split(route.name, [(route.service, rest), *shares] if rest else shares)
    if route.concurrency is not None and route.concurrency.shared:
        where = {"cluster": bounded_name(route.name, route.service)}
    forward: dict[str, JsonValue] = {**where, **_rewrite(route), **_times(route, way, snapshot)}
    retry = targets.retry(route)
    if not _is_endless(route, way):
        forward |= targets.times(route)
    else:
        retry = {name: value for name, value in retry.items() if name != "per_try_timeout"}
    forward["retry_policy"] = retry
    if way.upgraded:
        forward["upgrade_configs"] = [{"upgrade_type": "websocket", "enabled": True}]
    if way.copied and route.mirror is not None:
        forward["request_mirror_policies"] = [_mirror(route.mirror)]
    if route.sticky is not None:
        forward["hash_policy"] = [_hash(route.sticky)]
    return {"route": forward}


def _is_endless(route: Route, way: Way) -> bool:
    return route.stream or route.grpc or way.upgraded


def _times(route: Route, way: Way, snapshot: Snapshot) -> dict[str, JsonValue]:
    if _is_endless(route, way):
        times: dict[str, JsonValue] = {"timeout": "0s", "idle_timeout": seconds(route.idle or IDLE)}
        if route.grpc and not way.upgraded:
            longest = seconds(_NONE if route.stream else route.timeout)
            times["max_stream_duration"] = {"max_stream_duration": longest, "grpc_timeout_header_max": longest}
        return times
    times = {"timeout": seconds(route.timeout)}
    if snapshot.has_uploads:
        # The listener's own timer for bodies is off then, see `listener`.
        whole = seconds(snapshot.limits.request_time + route.timeout)
        times["max_stream_duration"] = {"max_stream_duration": whole}
    return times


def _rewrite(route: Route) -> dict[str, JsonValue]:
    rewrite = route.rewrite
    if rewrite is None:
        return {}
    changes: dict[str, JsonValue] = {}
    if rewrite.host is not None:
        changes["host_rewrite_literal"] = rewrite.host
    if rewrite.prefix is not None:
        changes |= _prefix(route.path, rewrite.prefix)
    elif rewrite.path is not None:
        changes["regex_rewrite"] = _whole(route.path, rewrite.path)
    return changes


def _prefix(path: Path, wanted: str) -> dict[str, JsonValue]:
    stem = wanted.rstrip("/")
    if not stem:
        # Replaced as it stands, `/shop/x` would become `//x`.
        pattern: JsonObject = {"regex": f"^{_literal(path.stem)}/?"}
        return {"regex_rewrite": {"pattern": pattern, "substitution": "/"}}
    return {"prefix_rewrite": stem if path.stem else f"{stem}/"}


def _whole(path: Path, wanted: str) -> JsonObject:
    names = path.pattern.names if path.pattern else ()
    regex = f"^{path.identity}$" if names else "^/.*$"
    return {"pattern": {"regex": regex}, "substitution": substitution(wanted, names) or wanted}


def _literal(text: str) -> str:
    return "".join(f"\\{letter}" if letter in ".$()*+" else letter for letter in text)


def _redirect(path: Path, redirect: Redirect) -> JsonObject:
    answer: dict[str, JsonValue] = {"response_code": _CODES[redirect.code]}
    if redirect.scheme is not None:
        answer["scheme_redirect"] = redirect.scheme
    if redirect.host is not None:
        answer["host_redirect"] = redirect.host
    if redirect.port is not None:
        answer["port_redirect"] = redirect.port
    if redirect.prefix is not None:
        answer |= _prefix(path, redirect.prefix)
    elif redirect.path is not None:
        answer["regex_rewrite"] = _whole(path, redirect.path)
    if not redirect.query:
        answer["strip_query"] = True
    return answer


def _is_canary(canary: Canary) -> JsonObject:
    if canary.header is not None:
        value: JsonObject = {"present_match": True}
        if canary.value is not None:
            value = {"string_match": {"exact": canary.value}}
        return {"name": canary.header, **value}
    wanted = "[^;]*" if canary.value is None else _quoted(canary.value)
    regex = rf"(?:.*; *)?{_quoted(canary.cookie or '')}={wanted}(?:;.*)?"
    return {"name": "cookie", "string_match": {"safe_regex": {"regex": regex}}}


def _quoted(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else f"\\{letter}" for letter in text)


def _mirror(mirror: Mirror) -> JsonObject:
    policy: dict[str, JsonValue] = {
        "cluster": cluster_name(mirror.service),
        "runtime_fraction": {"default_value": {"numerator": mirror.percent, "denominator": "HUNDRED"}},
        "disable_shadow_host_suffix_append": True,
    }
    if not mirror.credentials:
        policy["request_headers_mutations"] = [{"remove": name} for name in CREDENTIALS]
    return policy


def _hash(sticky: Sticky) -> JsonObject:
    if sticky.by == "address":
        return {"connection_properties": {"source_ip": True}}
    if sticky.by == "cookie":
        attributes = [{"name": "Secure"}, {"name": "HttpOnly"}, {"name": "SameSite", "value": "Lax"}]
        lifetime = seconds(sticky.ttl or _NONE)
        return {"cookie": {"name": sticky.name, "ttl": lifetime, "path": "/", "attributes": [*attributes]}}
    return {"header": {"header_name": jwt.SUBJECT if sticky.by == "user" else sticky.name}}


def edits(told: HeaderEdits | None) -> tuple[list[JsonObject], list[str]]:
    """The headers to add and those to remove; Envoy removes first."""
    if told is None:
        return [], []
    added = [_line(line, "OVERWRITE_IF_EXISTS_OR_ADD") for line in told.set]
    added += [_line(line, "APPEND_IF_EXISTS_OR_ADD") for line in told.append]
    return added, list(told.remove)


def _line(line: HeaderLine, how: str) -> JsonObject:
    # "%" begins a command of Envoy's.
    return {"append_action": how, "header": {"key": line.name, "value": line.value.replace("%", "%%")}}
