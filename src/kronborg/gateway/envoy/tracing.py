"""Traces by Envoy's OpenTelemetry tracer, over OTLP/HTTP to one collector; nothing at all where none is named.

W3C Trace Context: the service gets a `traceparent` whose parent is the gateway's span. What comes from outside under
these names is taken away unless callers are trusted.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy import collector
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed

CLUSTER = "collector"
_MOST = 100.0


def connection_options(proxy: Proxy) -> JsonObject:
    """What the connection manager is told; empty without a collector."""
    tracing = proxy.tracing
    if tracing is None:
        return {}
    provider = typed(
        "envoy.config.trace.v3.OpenTelemetryConfig",
        http_service=collector.service(tracing.collector, CLUSTER),
        service_name="kronborg-gateway",
    )
    share: JsonObject = {"value": min(max(tracing.percent, 0.0), _MOST)}
    return {
        "tracing": {
            "provider": {"name": "opentelemetry", "typed_config": provider},
            "random_sampling": share,
            # A caller who is trusted with a context says too whether it is traced, within the same bound.
            "client_sampling": {"value": 0},
            "overall_sampling": {"value": _MOST if tracing.trust_callers else share["value"]},
            # The tag would hold the query, in which there may be secrets.
            "max_path_tag_length": 1,
        }
    }


def early_mutations(proxy: Proxy) -> list[JsonObject]:
    """What is taken away at the door when traces of callers are not continued."""
    if proxy.tracing is None or proxy.tracing.trust_callers:
        return []
    names = ("traceparent", "tracestate", "baggage")
    return [
        {
            "name": "traces",
            "typed_config": typed(
                "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[{"remove": name} for name in names],
            ),
        }
    ]


def clusters(proxy: Proxy) -> list[JsonObject]:
    """The collector; none where none is named."""
    return [] if proxy.tracing is None else [collector.cluster(CLUSTER, proxy.tracing.collector)]
