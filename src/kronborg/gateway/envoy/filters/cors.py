"""CORS for routes that name web origins; off everywhere else."""

from __future__ import annotations

import re

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import METHODS, Route

NAME = "cors"
_TYPE = "envoy.extensions.filters.http.cors.v3."
# What the Model Context Protocol's HTTP transport sends and reads stands here too.
_ALLOWED = (
    "authorization, content-type, idempotency-key, last-event-id, mcp-method, mcp-name, mcp-protocol-version, "
    "mcp-session-id, x-csrf-token, x-idempotency-key, x-requested-with"
)
_EXPOSED = "mcp-session-id, retry-after, www-authenticate, x-request-id"


def listener_filter() -> JsonObject:
    """Off unless a route turns it on."""
    return {"name": NAME, "disabled": True, "typed_config": typed(_TYPE + "Cors")}


def route_config(route: Route) -> JsonObject | None:
    """The route's origins, matched whole; None when it has none."""
    if route.cors is None:
        return None
    return typed(
        _TYPE + "CorsPolicy",
        allow_origin_string_match=[_origin(origin) for origin in sorted(route.cors.origins)],
        allow_methods=", ".join(route.methods or METHODS),
        allow_headers=", ".join((_ALLOWED, *route.cors.headers)),
        expose_headers=", ".join((_EXPOSED, *route.cors.exposed)),
        max_age=str(int(route.cors.max_age.total_seconds())),
        allow_credentials=route.cors.credentials,
    )


def _origin(origin: str) -> JsonObject:
    """An origin as it stands, or every name below one: `https://*.shop.example`."""
    scheme, star, rest = origin.partition("*.")
    if not star:
        return {"exact": origin}
    return {"safe_regex": {"regex": rf"{re.escape(scheme)}(?:[a-z0-9-]+\.)+{re.escape(rest)}"}}


def is_preflight(route: Route) -> list[JsonObject]:
    """Header conditions of a CORS preflight for a method of this route (Fetch standard, CORS-preflight fetch)."""
    methods = "|".join(re.escape(method) for method in sorted(route.methods or METHODS))
    return [
        {"name": ":method", "string_match": {"exact": "OPTIONS"}},
        {"name": "origin", "present_match": True},
        {"name": "access-control-request-method", "string_match": {"safe_regex": {"regex": methods}}},
    ]
