"""The listener: connection limits, normalisation, and the filters in their one visible order.

It changes only when the signing keys, the issuer, the APIs, the limits or the proxy's own settings change; routes
and services come by RDS and CDS. A new listener would forget cached tokens and drain connections.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy import access_log, hygiene, replies, tracing
from kronborg.gateway.envoy.filters import (
    access,
    addresses,
    body,
    compressor,
    cors,
    grpc_web,
    inspect,
    jwt,
    phantom,
    router,
    spike_arrest,
)
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import seconds, typed
from kronborg.gateway.model import Snapshot

ROUTES = "routes"
"""The name under which the listener asks for its routes."""

FILTERS = (
    addresses.NAME,
    cors.NAME,
    spike_arrest.BEFORE,
    phantom.NAME,
    jwt.NAME,
    access.NAME,
    inspect.NAME,
    spike_arrest.AFTER,
    spike_arrest.SECOND,
    body.NAME,
    *compressor.NAMES,
    grpc_web.NAME,
    router.NAME,
)
"""What a request goes through, first to last."""

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_BUFFER_BYTES = 65_536
_STREAMS = 100
_WINDOW_BYTES = 262_144


def listener(snapshot: Snapshot, keys: str, proxy: Proxy, routes: JsonObject) -> JsonObject:
    """`routes` says where routes come from: `by_rds` in service, `inline` to validate."""
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": proxy.host, "port_value": proxy.port}},
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "http",
                        "typed_config": typed(
                            _HCM,
                            **_connection(snapshot, proxy),
                            **routes,
                            http_filters=_filters(snapshot, keys, proxy),
                            local_reply_config=replies.reply_config(),
                            **tracing.connection_options(proxy),
                            access_log=[access_log.access_log(proxy, trial="route_config" in routes)],
                        ),
                    }
                ]
            }
        ],
    }


def by_rds(proxy: Proxy) -> JsonObject:
    """Routes read from a file that is replaced by renaming."""
    folder = str(proxy.folder)
    return {
        "rds": {
            "route_config_name": ROUTES,
            "config_source": {
                "resource_api_version": "V3",
                "initial_fetch_timeout": "5s",
                "path_config_source": {
                    "path": f"{folder}/rds.json",
                    "watched_directory": {"path": folder},
                },
            },
        }
    }


def inline(routes: JsonObject) -> JsonObject:
    """Routes in the listener itself."""
    return {"route_config": routes}


def _filters(snapshot: Snapshot, keys: str, proxy: Proxy) -> list[JsonObject]:
    made: dict[str, JsonObject] = {
        **addresses.listener_filter(snapshot),
        cors.NAME: cors.listener_filter(),
        spike_arrest.BEFORE: spike_arrest.listener_filter(spike_arrest.BEFORE),
        phantom.NAME: phantom.listener_filter(proxy),
        jwt.NAME: jwt.listener_filter(snapshot, keys),
        access.NAME: access.listener_filter(),
        inspect.NAME: inspect.listener_filter(snapshot, proxy),
        spike_arrest.AFTER: spike_arrest.listener_filter(spike_arrest.AFTER),
        spike_arrest.SECOND: spike_arrest.listener_filter(spike_arrest.SECOND),
        body.NAME: body.listener_filter(),
        **{name: compressor.listener_filter(name) for name in compressor.NAMES},
        grpc_web.NAME: grpc_web.listener_filter(),
        router.NAME: router.listener_filter(snapshot),
    }
    return [made[name] for name in FILTERS if name in made]


def _connection(snapshot: Snapshot, proxy: Proxy) -> JsonObject:
    limits = snapshot.limits
    return {
        "stat_prefix": "gateway",
        "codec_type": "AUTO",
        "server_name": "kronborg",
        "use_remote_address": True,
        "always_set_request_id_in_response": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": limits.header_kilobytes,
        # From the first byte of the head to the last of the body: one timer bounds slow heads and slow bodies. Where
        # some route takes a body without an end, it bounds heads only, and each other route bounds its own whole.
        "request_headers_timeout" if snapshot.has_uploads else "request_timeout": seconds(limits.request_time),
        "stream_idle_timeout": seconds(limits.idle),
        "common_http_protocol_options": {
            "idle_timeout": seconds(limits.idle),
            "max_headers_count": limits.header_count,
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": _STREAMS,
            "initial_stream_window_size": _WINDOW_BYTES,
            "initial_connection_window_size": _WINDOW_BYTES * 4,
        },
        "early_header_mutation_extensions": [
            hygiene.stripping(cookies=snapshot.wants_cookies, keys=snapshot.takes_keys),
            *tracing.early_mutations(proxy),
        ],
    }
