"""How many calls each client, user or address may have under way on a route.

One Lua filter behind the rates, off but on routes that need it, left out where none does. The bound of a route as a
whole is Envoy's own, at the cluster: see `target.bounded_name`.
"""

from __future__ import annotations

from importlib.resources import files

import orjson

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy import replies
from kronborg.gateway.envoy.filters.inspect import quoted
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot
from kronborg.gateway.reasons import REASONS

NAME = "concurrency"
_TYPE = "envoy.extensions.filters.http.lua.v3."
_FOLDER = "kronborg.gateway.envoy.filters"


def listener_filter(snapshot: Snapshot) -> dict[str, JsonObject]:
    """Off unless a route turns it on; left out where none does."""
    if not any(route_config(route) for route in snapshot.routes):
        return {}
    lua = typed(_TYPE + "Lua", default_source_code={"inline_string": script()}, clear_route_cache=False)
    return {NAME: {"name": NAME, "disabled": True, "typed_config": lua}}


def route_config(route: Route) -> JsonObject | None:
    """On, with what this route allows; None when nobody is counted on their own."""
    asked = route.concurrency
    if asked is None or asked.shared:
        return None
    context: JsonObject = {"route": route.name, "per": asked.per, "count": str(asked.count)}
    return typed(_TYPE + "LuaPerRoute", filter_context=context)


def script() -> str:
    """The Lua source with its answers filled in."""
    lines = []
    for name in ("concurrency", "inspection_failed"):
        problem = replies.problem(REASONS[name].status, reason=name)
        text = orjson.dumps({**problem, "request_id": ""}).decode().removesuffix('"}')
        lines.append(f"  {name} = {{ status = {quoted(str(REASONS[name].status))}, problem = {quoted(text)} }},")
    folder = files(_FOLDER)
    source = folder.joinpath("concurrency.lua").read_text()
    source = source.replace("@ADDRESS@", folder.joinpath("parts", "address.lua").read_text())
    return source.replace("@ANSWERS@", "{\n" + "\n".join(lines) + "\n}")
