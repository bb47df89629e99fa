"""What is looked at inside a request: sizes here, policies and contents by asking the control process.

One Lua filter behind `body`, off but on routes that need it. A script and not `ext_authz`: it reads the secret from its
file, where a configuration would hold it; it says the reason in the access record, where `ext_authz` can only answer;
and each question is a plain POST, which gateways elsewhere pass on.
"""

from __future__ import annotations

from importlib.resources import files

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import replies
from kronborg.gateway.envoy.filters import phantom
from kronborg.gateway.envoy.filters.inspect import quoted
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.policies import needs_decision
from kronborg.gateway.reasons import REASONS

NAME = "guard"
_TYPE = "envoy.extensions.filters.http.lua.v3."
_FOLDER = "kronborg.gateway.envoy.filters"
_REASONS = ("headers_too_large", "policy_denied")
_DETAILS = {
    414: "The path, or its query, is too long.",
    415: "A body of this type is not taken here.",
    422: "The request is not as this service describes it.",
}


def is_used(snapshot: Snapshot) -> bool:
    """Whether some route needs it."""
    return any(settings_of(route) for route in snapshot.routes)


def listener_filter(snapshot: Snapshot, proxy: Proxy) -> dict[str, JsonObject]:
    """Off unless a route turns it on; left out where none does."""
    if not is_used(snapshot):
        return {}
    lua = typed(_TYPE + "Lua", default_source_code={"inline_string": script(proxy)}, clear_route_cache=False)
    return {NAME: {"name": NAME, "disabled": True, "typed_config": lua}}


def route_config(route: Route) -> JsonObject | None:
    """On, with what this route asks; None when that is nothing."""
    settings = settings_of(route)
    return typed(_TYPE + "LuaPerRoute", filter_context=settings) if settings else None


def settings_of(route: Route) -> dict[str, JsonValue]:
    """What the script is told: bounds on the head, and whether to ask, with the body or without. Texts only."""
    told: dict[str, JsonValue] = {}
    if route.sizes is not None:
        for name in ("target", "parameters", "headers", "header_bytes"):
            bound = getattr(route.sizes, name)
            if bound is not None:
                told[name] = str(bound)
    decided = not route.public and needs_decision(route.policy, route.name)
    if route.content is not None:
        told["ask"] = "body"
    elif decided:
        told["ask"] = "head"
    if "ask" in told:
        told["route"] = route.name
        if decided:
            told["claims"] = "yes"
    return told


def script(proxy: Proxy) -> str:
    """The Lua source with the place of the secret and the answers filled in."""
    source = files(_FOLDER).joinpath("guard.lua").read_text()
    values = {
        "@SECRET_FILE@": quoted(str(proxy.secret)),
        "@CLUSTER@": quoted(phantom.CLUSTER),
        "@ANSWERS@": _answers(),
    }
    for mark, value in values.items():
        source = source.replace(mark, value)
    return source


def _answers() -> str:
    """Per reason the status and the problem body (RFC 9457) up to the request id, as a Lua table."""
    lines = []
    for one in REASONS.values():
        if one.stage != "content" and one.name not in _REASONS:
            continue
        problem = replies.problem(one.status, reason=one.name, detail=_DETAILS.get(one.status))
        text = orjson.dumps({**problem, "request_id": ""}).decode().removesuffix('"}')
        lines.append(f"  {one.name} = {{ status = {quoted(str(one.status))}, problem = {quoted(text)} }},")
    return "{\n" + "\n".join(lines) + "\n}"
