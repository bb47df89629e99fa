"""What a verified token is asked beyond its signature and scopes: revoked, bound, strong enough, within its quota.

One Lua filter after `jwt` and `access`, put together from the parts in `parts/`. Each part `<name>.lua` defines
`local function check_<name>(request)`, which returns nothing, or the name of a reason (`gateway.reasons`) and, if need
be, response headers. `request` has `handle`, `headers`, `now_ms`, `settings` (what the route tells the parts, see
`route_config`), `token` (`scheme`, `header`, `claims`, `ours`) and `claims`; both are nil on a public route.

A part that calls another process must fetch `handle:headers()` again afterwards. Nothing is looked up per request that
was looked up for the same token before, so that the filter stays cheap: see `claims.lua`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import replies
from kronborg.gateway.envoy.filters import jwt, phantom, quota, step_up
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.reasons import REASONS

NAME = "inspect"
FOUNDATIONS = ("json", "claims", "ledger", "certificate", "address")
"""What the checks stand on, first to last."""
CHECKS = ("issuers", "revocation", "binding", "step_up", "quota")
"""The parts that decide, in their order; the first reason wins."""

STAGES = ("token", "access", "revocation", "binding", "step_up", "policy", "quota")
"""The stages whose reasons the parts may give."""

_TYPE = "envoy.extensions.filters.http.lua.v3."
_FOLDER = "kronborg.gateway.envoy.filters"


def listener_filter(snapshot: Snapshot, proxy: Proxy, *, trusted: bool = False) -> JsonObject:
    """On, unless a route turns it off: a route that says nothing is inspected. `trusted`: behind proxies of ours."""
    source: JsonObject = {"inline_string": script(snapshot, proxy, trusted=trusted)}
    lua = typed(_TYPE + "Lua", default_source_code=source, clear_route_cache=False)
    return {"name": NAME, "typed_config": lua}


def route_config(route: Route, snapshot: Snapshot, pointer: str | None = None) -> JsonObject | None:
    """What this route tells the parts; None when there is nothing to tell, and on a public route when it is off."""
    settings = settings_of(route, snapshot, pointer)
    if not settings:
        return None
    if route.public:
        settings = {**settings, "public": True}
    text = orjson.dumps(settings, option=orjson.OPT_SORT_KEYS).decode()
    return typed(_TYPE + "LuaPerRoute", filter_context={"settings": text})


def settings_of(route: Route, snapshot: Snapshot, pointer: str | None = None) -> JsonObject:
    """The settings of a route by part: one member for each part that has something to do."""
    settings: dict[str, JsonValue] = {}
    if not route.public:
        if route.when_stale is not None:
            settings["when_stale"] = route.when_stale
        if is_bound(route, snapshot):
            settings["bound"] = True
    if (asked := step_up.settings(route, pointer)) and not route.public:
        settings["step_up"] = asked
    settings |= quota.settings_of(route, snapshot)
    return settings


def is_bound(route: Route, snapshot: Snapshot) -> bool:
    """Whether only bound tokens pass: the route says so, or only such are issued for its API."""
    return route.bound == "required" or any(one.bound and one.uri == route.audience for one in snapshot.audiences)


def script(snapshot: Snapshot, proxy: Proxy, *, trusted: bool = False) -> str:
    """The Lua source: the parts in their order, then what runs them."""
    header = snapshot.certificate_header if trusted else None
    values = {
        "@ISSUER@": quoted(snapshot.issuer),
        "@ANSWERS@": _answers(),
        "@CACHED_TOKENS@": str(snapshot.limits.cached_tokens),
        "@OTHERS@": _others(snapshot),
        "@ANY_TYPE@": _any_type(snapshot),
        "@SHOWN@": _shown(snapshot),
        "@SECRET_FILE@": quoted(str(proxy.secret)),
        "@QUOTA_FOLDER@": quoted(str(proxy.answers)),
        "@CERTIFICATE_HEADER@": quoted(header) if header is not None else "nil",
        "@BINDING_CLUSTER@": quoted(phantom.CLUSTER),
        "@BINDING_SECRET_FILE@": quoted(str(proxy.secret)),
        "@DPOP_CHALLENGE@": quoted(replies.dpop_challenge()),
        "@LEDGER_FILE@": quoted(str(proxy.ledger)),
        "@STALE_AFTER_MS@": str(int(proxy.revocation.stale_after.total_seconds() * 1000)),
        "@REFUSE_WHEN_STALE@": "true" if proxy.revocation.when_stale == "refuse" else "false",
    }
    parts = "\n".join(_source(f"parts/{name}.lua") for name in (*FOUNDATIONS, *CHECKS))
    checks = ", ".join(f"check_{name}" for name in CHECKS)
    source = _source("inspect.lua").replace("@PARTS@", parts).replace("@CHECKS@", checks)
    return _filled(source, values)


def quoted(text: str) -> str:
    """A Lua string literal of any text."""
    return (
        '"' + "".join(one if one.isalnum() and one.isascii() else f"\\{byte:03d}" for one, byte in _bytes(text)) + '"'
    )


def _bytes(text: str) -> list[tuple[str, int]]:
    return [(chr(byte), byte) for byte in text.encode()]


def _others(snapshot: Snapshot) -> str:
    """The other issuers whose tokens may pass, by their `iss`, as a Lua table."""
    return "{" + ", ".join(f"[{quoted(one.issuer)}] = {quoted(one.name)}" for one in snapshot.issuers) + "}"


def _any_type(snapshot: Snapshot) -> str:
    """Those of them whose access tokens say no type of their own."""
    return "{" + ", ".join(f"[{quoted(one.issuer)}] = true" for one in snapshot.issuers if one.any_type) + "}"


def _shown(snapshot: Snapshot) -> str:
    """The claims that become headers by issuer, as a Lua table."""
    lines = (
        f"[{quoted(issuer)}] = {{{', '.join(map(quoted, names))}}}"
        for issuer, names in jwt.shown_claims(snapshot).items()
    )
    return "{" + ", ".join(lines) + "}"


def _source(name: str) -> str:
    return files(_FOLDER).joinpath(name).read_text()


def _filled(source: str, values: Mapping[str, str]) -> str:
    for mark, value in values.items():
        source = source.replace(mark, value)
    return source


def _answers() -> str:
    """Per reason the status and the problem body (RFC 9457) up to the request id, as a Lua table."""
    lines = []
    for one in REASONS.values():
        if one.stage not in STAGES:
            continue
        problem = replies.problem(one.status, reason=one.name)
        text = orjson.dumps({**problem, "request_id": ""}).decode().removesuffix('"}')
        lines.append(f"  {one.name} = {{ status = {quoted(str(one.status))}, problem = {quoted(text)} }},")
    return "{\n" + "\n".join(lines) + "\n}"
