"""The last filter: sends the request on."""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed

NAME = "router"


def listener_filter() -> JsonObject:
    """Without Envoy's own headers, statistics and spans per request."""
    return {
        "name": NAME,
        "typed_config": typed(
            "envoy.extensions.filters.http.router.v3.Router",
            suppress_envoy_headers=True,
            dynamic_stats=False,
        ),
    }
