"""The words that stand for a service: listeners inside the proxy, reached only as the fallback of that service."""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.envoy.target import answer_name, has_words
from kronborg.gateway.model import Service, Snapshot
from kronborg.gateway.resilience_model import Fallback
from kronborg.gateway.resilience_problems import LONGEST_ANSWER

USUAL_STATUS = 503
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def answers(snapshot: Snapshot) -> list[JsonObject]:
    """One listener for each service whose fallback is words, by name."""
    services = sorted(snapshot.services, key=lambda service: service.name)
    return [_listener(one, one.fallback) for one in services if one.fallback is not None and has_words(one.fallback)]


def _listener(service: Service, fallback: Fallback) -> JsonObject:
    name = answer_name(service.name)
    words: JsonObject = {"body": {"inline_string": fallback.body}} if fallback.body else {}
    route: JsonObject = {
        "match": {"prefix": "/"},
        "direct_response": {"status": fallback.status or USUAL_STATUS, **words},
        "response_headers_to_add": [
            {
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                "header": {"key": "content-type", "value": fallback.content_type},
            },
            # It is true of this moment only.
            {"header": {"key": "cache-control", "value": "no-store"}},
        ],
    }
    return {
        "name": name,
        "internal_listener": {},
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "http",
                        "typed_config": typed(
                            _HCM,
                            stat_prefix="answer",
                            route_config={
                                "name": name,
                                "max_direct_response_body_size_bytes": LONGEST_ANSWER,
                                "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [route]}],
                            },
                            http_filters=[{"name": "router", "typed_config": typed(_ROUTER)}],
                        ),
                    }
                ]
            }
        ],
    }
