"""Metrics by Envoy's OpenTelemetry stat sink, over OTLP/HTTP to one collector; nothing at all where none is named.

Only what is named here leaves, under names and attributes of our own: as many series whatever is published, and nothing
that a caller wrote. What counts by route and client is told by the control process, from the access records.
"""

from __future__ import annotations

from collections.abc import Mapping

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import collector
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import seconds, typed

CLUSTER = "metrics_collector"
_SINK = "envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig"
_PREFIX = "kronborg.gateway."
_DETECTOR = "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig"
_INPUT = "envoy.extensions.matching.common_inputs.stats.v3.StatFullNameMatchInput"

SENT: Mapping[str, tuple[str, Mapping[str, str]]] = {
    **{f"http.gateway.downstream_rq_{one}xx": ("requests", {"status": f"{one}xx"}) for one in range(1, 6)},
    "http.gateway.downstream_rq_active": ("active_requests", {}),
    "http.gateway.downstream_rq_time": ("request_milliseconds", {}),
    "http.gateway.downstream_cx_active": ("active_connections", {}),
    "http.gateway.downstream_cx_total": ("connections", {}),
    "http.gateway.downstream_cx_rx_bytes_total": ("bytes", {"direction": "in"}),
    "http.gateway.downstream_cx_tx_bytes_total": ("bytes", {"direction": "out"}),
    "http.gateway.downstream_cx_overload_disable_keepalive": ("overload_keepalive_disabled", {}),
    "http.gateway.downstream_rq_overload_close": ("overload_requests_refused", {}),
    "listener_manager.lds.update_rejected": ("updates_rejected", {"kind": "listeners"}),
    "cluster_manager.cds.update_rejected": ("updates_rejected", {"kind": "services"}),
    "spike_arrest.http_local_rate_limit.rate_limited": ("limited", {"limit": "spike_arrest"}),
    "rate_limit.http_local_rate_limit.rate_limited": ("limited", {"limit": "rate_limit"}),
    "server.concurrency": ("workers", {}),
    "server.live": ("live", {}),
    "server.memory_allocated": ("memory_bytes", {}),
    "server.uptime": ("uptime_seconds", {}),
}
"""What is sent: Envoy's name, then ours without its prefix, and its attributes."""


def sinks(proxy: Proxy) -> dict[str, JsonValue]:
    """Bootstrap members: the sink and how often it is told.

    Without a collector histograms are as old as the last question at the admin socket; with one they are as old as
    the last report, for whoever asks as well.
    """
    told = proxy.metrics
    if told is None:
        # Whoever asks gets the histograms of this moment, and nobody else pays for them.
        return {"stats_flush_on_admin": True}
    sink = typed(
        _SINK,
        http_service=collector.service(told.collector, CLUSTER),
        resource_detectors=[
            {
                "name": "envoy.tracers.opentelemetry.resource_detectors.static_config",
                "typed_config": typed(
                    _DETECTOR, attributes={"service.name": "kronborg-gateway", "service.instance.id": proxy.name}
                ),
            }
        ],
        emit_tags_as_attributes=False,
        custom_metric_conversions={
            "matcher_tree": {
                "input": {"name": "name", "typed_config": typed(_INPUT)},
                "exact_match_map": {"map": {name: _as(*ours) for name, ours in SENT.items()}},
            },
            "on_no_match": {"action": {"name": "drop", "typed_config": typed(_SINK + ".DropAction")}},
        },
    )
    return {
        "stats_flush_interval": seconds(told.every),
        "stats_sinks": [{"name": "envoy.stat_sinks.open_telemetry", "typed_config": sink}],
    }


def clusters(proxy: Proxy) -> list[JsonObject]:
    """The collector; none where none is named."""
    return [] if proxy.metrics is None else [collector.cluster(CLUSTER, proxy.metrics.collector)]


def _as(name: str, attributes: Mapping[str, str]) -> JsonObject:
    labels: list[JsonValue] = [{"key": key, "value": {"string_value": value}} for key, value in attributes.items()]
    told = typed(_SINK + ".ConversionAction", metric_name=_PREFIX + name, static_metric_labels=labels)
    return {"action": {"name": "as", "typed_config": told}}
