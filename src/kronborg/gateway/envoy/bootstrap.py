"""What Envoy is started with: where its files are, its admin socket, and what it may use at most."""

from __future__ import annotations

from collections.abc import Sequence

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import challenge, metrics, tracing
from kronborg.gateway.envoy.clusters import exchange_cluster
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Limits

_MEGABYTE = 1024 * 1024
_ADMIN_MODE = 0o600
_RUNTIME: JsonObject = {
    # Envoy refuses larger regular expressions than this; the one of `hygiene` is larger than its default.
    "re2.max_program_size.error_level": 6000,
    # RFC 9112 section 7.1: what stands between a chunk and its line end is no chunk, and others read it as another one.
    "envoy.reloadable_features.strict_chunk_parsing": True,
}
_TRACKED = 20
"""Streams are told apart by what they buffer from 2^20 bytes on: a listener's own bound is a sixteenth of that."""
# Only what delivery and the operator read; a counter nobody reads costs all the same.
_KEPT = ("cluster_manager.", "http.gateway.", "listener_manager.", "server.", "overload.")
# What breakers look at: answers that broke off, and how long calls took, which the router counts only for them.
_KEPT_TOO = r"cluster\.(?:service|replicas)\..*\.upstream_(?:rq_time|rq_rx_reset|cx_destroy_remote_with_active_rq)"
# What limits in shadow mode would refuse, and what the others do.
_KEPT_LIMITS = r"(?:spike_arrest|rate_limit)\.http_local_rate_limit\.(?:rate_limited|enforced)"
_REGEXES = (_KEPT_TOO, _KEPT_LIMITS)
_INSIDE = "envoy.extensions.bootstrap.internal_listener.v3.InternalListener"


def bootstrap(limits: Limits, proxy: Proxy) -> JsonObject:
    """The bootstrap in service: listeners and services come from files."""
    return {
        **_base(limits, proxy),
        "admin": {"address": {"pipe": {"path": str(proxy.admin), "mode": _ADMIN_MODE}}},
        "dynamic_resources": {"cds_config": _file(proxy, "cds"), "lds_config": _file(proxy, "lds")},
        "static_resources": {"clusters": _own_clusters(proxy)},
    }


def trial(limits: Limits, proxy: Proxy, listeners: Sequence[JsonObject], clusters: Sequence[JsonObject]) -> JsonObject:
    """The same with everything inside, for `envoy --mode validate`."""
    plain = [{key: part for key, part in cluster.items() if key != "@type"} for cluster in clusters]
    return {
        **_base(limits, proxy),
        "static_resources": {
            "listeners": list(listeners),
            "clusters": [*_own_clusters(proxy), *plain],
        },
    }


def _own_clusters(proxy: Proxy) -> list[JsonObject]:
    return [exchange_cluster(proxy), *challenge.clusters(proxy), *tracing.clusters(proxy), *metrics.clusters(proxy)]


def _base(limits: Limits, proxy: Proxy) -> dict[str, JsonValue]:
    patterns: list[JsonValue] = [{"prefix": prefix} for prefix in _KEPT]
    patterns += [{"safe_regex": {"regex": one}} for one in _REGEXES]
    return {
        "node": {"id": proxy.name, "cluster": "kronborg-gateway"},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": patterns}}},
        **metrics.sinks(proxy),
        "overload_manager": _overload(limits),
        "layered_runtime": {
            "layers": [
                {"name": "static", "static_layer": _RUNTIME},
                # Where the control process opens and closes breakers.
                {"name": "admin", "admin_layer": {}},
            ]
        },
        # For the words of fallbacks, which a listener inside the proxy says.
        "bootstrap_extensions": [{"name": "envoy.bootstrap.internal_listener", "typed_config": typed(_INSIDE)}],
    }


def _file(proxy: Proxy, kind: str) -> JsonObject:
    folder = str(proxy.folder)
    return {
        "resource_api_version": "V3",
        "path_config_source": {"path": f"{folder}/{kind}.json", "watched_directory": {"path": folder}},
    }


def _overload(limits: Limits) -> JsonObject:
    heap = "envoy.resource_monitors.fixed_heap"
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    max_heap_size_bytes=limits.heap_megabytes * _MEGABYTE,
                ),
            },
            {
                "name": connections,
                "typed_config": typed(
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=limits.connections,
                ),
            },
        ],
        "actions": [
            # In this order as memory fills: idle connections go sooner, then memory is given back, answers close their
            # connections, the streams that hold most are reset, and at last nothing new is taken.
            _shorter_timeouts(heap),
            _action("envoy.overload_actions.shrink_heap", heap, 0.9),
            _action("envoy.overload_actions.disable_http_keepalive", heap, 0.92),
            _reset_streams(heap),
            _action("envoy.overload_actions.stop_accepting_requests", heap, 0.95),
            _action("envoy.overload_actions.stop_accepting_connections", heap, 0.98),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": _TRACKED},
    }


def _shorter_timeouts(resource: str) -> JsonObject:
    """From four fifths of the memory on, idle connections and streams are given less and less time."""
    timers = [
        {"timer": timer, "min_scale": {"value": 5}}
        for timer in ("HTTP_DOWNSTREAM_CONNECTION_IDLE", "HTTP_DOWNSTREAM_STREAM_IDLE")
    ]
    scaled = {"scaling_threshold": 0.8, "saturation_threshold": 0.95}
    return {
        "name": "envoy.overload_actions.reduce_timeouts",
        "triggers": [{"name": resource, "scaled": scaled}],
        "typed_config": typed("envoy.config.overload.v3.ScaleTimersOverloadActionConfig", timer_scale_factors=timers),
    }


def _reset_streams(resource: str) -> JsonObject:
    """The streams that hold most memory are reset, more of them the nearer the end is."""
    scaled = {"scaling_threshold": 0.93, "saturation_threshold": 0.98}
    name = "envoy.overload_actions.reset_high_memory_stream"
    return {"name": name, "triggers": [{"name": resource, "scaled": scaled}]}


def _action(name: str, resource: str, value: float) -> JsonObject:
    return {"name": name, "triggers": [{"name": resource, "threshold": {"value": value}}]}
