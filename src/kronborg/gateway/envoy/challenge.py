"""Where ACME servers look for their proof: asked of the control process, over a way so narrow that nothing starves."""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.filters import access, body, inspect, jwt
from kronborg.gateway.envoy.filters.phantom import KEY_HEADER
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.listener_model import ACME_PATH

CLUSTER = "challenges"
_ASKING = (jwt.NAME, access.NAME, inspect.NAME, body.NAME)
_OFF = typed("envoy.config.route.v3.FilterConfig", disabled=True)
# RFC 8555 section 8.3: a token is base64url.
_PATH = ACME_PATH.replace(".", "\\.") + "[A-Za-z0-9_-]{16,128}"
# RFC 9112 section 6.3: without these there is no body.
_BODILESS = ("content-length", "transfer-encoding")


def route(*, filters: bool = True) -> JsonObject:
    """The way to the control process; nothing of the caller's goes along but the path. `filters`: whether there are
    any that would ask for a token."""
    method: JsonObject = {"name": ":method", "string_match": {"exact": "GET"}}
    nothing: list[JsonObject] = [{"name": name, "present_match": False} for name in _BODILESS]
    return {
        "name": CLUSTER,
        "match": {"safe_regex": {"regex": _PATH}, "headers": [method, *nothing]},
        "route": {"cluster": CLUSTER, "timeout": "3s"},
        "request_headers_to_remove": ["authorization", "cookie", KEY_HEADER],
        "typed_per_filter_config": dict.fromkeys((jwt.NAME, access.NAME, inspect.NAME, body.NAME), _OFF),
    }


def clusters(proxy: Proxy) -> list[JsonObject]:
    """The control process once more, with bounds of its own: strangers may ask here."""
    if not proxy.challenges:
        return []
    address: JsonObject = {"socket_address": {"address": proxy.exchange_host, "port_value": proxy.exchange_port}}
    return [
        {
            "name": CLUSTER,
            "type": "STATIC",
            "connect_timeout": "0.5s",
            "load_assignment": {
                "cluster_name": CLUSTER,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
            "circuit_breakers": {
                "thresholds": [{"max_connections": 2, "max_pending_requests": 8, "max_requests": 8, "max_retries": 0}]
            },
        }
    ]
