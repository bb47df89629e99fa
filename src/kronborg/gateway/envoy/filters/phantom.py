"""Phantom tokens: a reference token is exchanged for a short-lived JWT before `jwt` verifies it.

The work is done by `phantom.lua` next to this file. It is off but on routes whose API takes reference tokens,
so that JWTs elsewhere do not pay for it; a reference token elsewhere is refused by `jwt` as no token at all.
"""

from __future__ import annotations

from importlib.resources import files

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed

NAME = "phantom"
CLUSTER = "exchange"
_TYPE = "envoy.extensions.filters.http.lua.v3."


def script(proxy: Proxy) -> str:
    """The Lua source with the place of the secret filled in; the secret itself stays in its file."""
    source = files("kronborg.gateway.envoy.filters").joinpath("phantom.lua").read_text()
    return source.replace("@SECRET_FILE@", _quoted(str(proxy.secret))).replace("@CLUSTER@", _quoted(CLUSTER))


def listener_filter(proxy: Proxy) -> JsonObject:
    """Off unless a route turns it on."""
    # The route was found without the token and stays: another token leads nowhere else.
    lua = typed(_TYPE + "Lua", default_source_code={"inline_string": script(proxy)}, clear_route_cache=False)
    return {"name": NAME, "disabled": True, "typed_config": lua}


def route_config() -> JsonObject:
    """On, with the listener's script: its memory is shared by all routes."""
    return typed("envoy.config.route.v3.FilterConfig", config={})


def _quoted(text: str) -> str:
    """A Lua string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
