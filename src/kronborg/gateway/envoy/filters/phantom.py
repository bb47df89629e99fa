"""Phantom tokens: a reference token, an API key or a personal access token is exchanged for a short-lived JWT.

The work is done by `phantom.lua` next to this file, before `jwt` verifies what came of it. It is off but on routes
whose API takes reference tokens, or which take keys, so that JWTs elsewhere do not pay for it; such a credential
elsewhere is refused by `jwt` as no token at all.
"""

from __future__ import annotations

from importlib.resources import files

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route, Snapshot

NAME = "phantom"
CLUSTER = "exchange"
KEY_HEADER = "x-api-key"
"""Where a key may be sent in place of the Authorization header; it is never passed on."""
CREDENTIAL = "x-kronborg-credential"
"""Which kind of key a request had; absent for tokens."""
_TYPE = "envoy.extensions.filters.http.lua.v3."


def script(proxy: Proxy) -> str:
    """The Lua source with the place of the secret filled in; the secret itself stays in its file."""
    folder = files("kronborg.gateway.envoy.filters")
    source = folder.joinpath("phantom.lua").read_text()
    source = source.replace("@PARTS@", folder.joinpath("parts", "address.lua").read_text())
    return source.replace("@SECRET_FILE@", _quoted(str(proxy.secret))).replace("@CLUSTER@", _quoted(CLUSTER))


def listener_filter(proxy: Proxy) -> JsonObject:
    """Off unless a route turns it on."""
    # The route was found without the token and stays: another token leads nowhere else.
    lua = typed(_TYPE + "Lua", default_source_code={"inline_string": script(proxy)}, clear_route_cache=False)
    return {"name": NAME, "disabled": True, "typed_config": lua}


def is_used(route: Route, snapshot: Snapshot) -> bool:
    """Whether a route takes anything but JWTs."""
    reference = any(audience.reference and audience.uri == route.audience for audience in snapshot.audiences)
    return reference or bool(_kinds(route))


def route_config(route: Route) -> JsonObject:
    """On, with the listener's script: its memory is shared by all routes."""
    context = {"kinds": " ".join(_kinds(route)), "audience": route.audience or ""}
    return typed(_TYPE + "LuaPerRoute", filter_context=context)


def _kinds(route: Route) -> list[str]:
    return sorted(set(route.credentials) - {"token"})


def _quoted(text: str) -> str:
    """A Lua string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
