"""The last filter: sends the request on."""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Snapshot

NAME = "router"


def listener_filter(snapshot: Snapshot) -> JsonObject:
    """Without Envoy's own headers and spans; with its statistics only when some breaker looks at them."""
    counted = any(service.breaker is not None for service in snapshot.services)
    return {
        "name": NAME,
        "typed_config": typed(
            "envoy.extensions.filters.http.router.v3.Router",
            suppress_envoy_headers=True,
            dynamic_stats=counted,
        ),
    }
