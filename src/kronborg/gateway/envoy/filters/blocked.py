"""Addresses that an operator blocked: asked first of every request, by a file that changes within a second.

Natively, by extension discovery: the listener stays as it is, and so does what its scripts remember. Without a blocked
address the filter has no rules and asks nothing (1.5 us a request); 500 cost 22 us.
"""

from __future__ import annotations

from collections.abc import Sequence

from kronborg.core.json import JsonObject
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.envoy.filters import addresses
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import discovery, typed

NAME = "blocked"
_CONFIG = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
_URL = f"type.googleapis.com/{addresses.RBAC}"


def listener_filter(proxy: Proxy, *, trial: bool) -> JsonObject:
    """What the file says. A listener waits for it: nobody passes because it was not read yet."""
    if trial:
        return {"name": NAME, "typed_config": typed(addresses.RBAC)}
    source: JsonObject = {
        "resource_api_version": "V3",
        "path_config_source": {
            "path": str(proxy.blocked),
            "watched_directory": {"path": str(proxy.blocked.parent)},
        },
    }
    return {"name": NAME, "config_discovery": {"config_source": source, "type_urls": [_URL]}}


def content(networks: Sequence[str]) -> bytes:
    """The file that refuses these addresses and networks."""
    rules = addresses.rules(Addresses(deny=tuple(sorted(networks)))) if networks else {}
    return discovery([{"@type": _CONFIG, "name": NAME, "typed_config": typed(addresses.RBAC, **rules)}])
