"""The listener: connection limits, normalisation, and the filters in their one visible order.

It changes only when the signing keys, the issuer, the APIs, the limits or the proxy's own settings change; routes,
services and certificates come by RDS, CDS and SDS. A new listener would forget cached tokens and drain connections.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import access_log, challenge, hygiene, replies, tls, tracing, trusted_proxies
from kronborg.gateway.envoy.filters import (
    access,
    addresses,
    blocked,
    body,
    bots,
    compressor,
    concurrency,
    cors,
    grpc_web,
    guard,
    inspect,
    jwt,
    misdirected,
    phantom,
    router,
    spike_arrest,
    trailers,
)
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import seconds, typed
from kronborg.gateway.listener_model import DEFAULT, Listener
from kronborg.gateway.model import Snapshot

FILTERS = (
    "hsts",
    misdirected.NAME,
    blocked.NAME,
    addresses.NAME,
    cors.NAME,
    bots.NAME,
    spike_arrest.BEFORE,
    phantom.NAME,
    jwt.NAME,
    access.NAME,
    inspect.NAME,
    spike_arrest.AFTER,
    spike_arrest.SECOND,
    concurrency.NAME,
    body.NAME,
    guard.NAME,
    *compressor.NAMES,
    grpc_web.NAME,
    trailers.NAME,
    router.NAME,
)
"""What a request goes through, first to last."""

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_BUFFER_BYTES = 65_536
_STREAMS = 100
_HTTP, _HTTPS = 80, 443
_HANDSHAKE = "10s"
_INSPECTOR = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
_WINDOW_BYTES = 262_144


def listener(snapshot: Snapshot, keys: str, proxy: Proxy, here: Listener, routes: JsonObject) -> JsonObject:
    """`routes` says where routes come from: `by_rds` in service, `inline` to validate."""
    chains = [_chain(_http(snapshot, keys, proxy, here, routes, trusted=False), proxy, here)]
    if snapshot.trusted_proxies:
        behind = _chain(_http(snapshot, keys, proxy, here, routes, trusted=True), proxy, here)
        chains.insert(0, {"name": "behind", "filter_chain_match": trusted_proxies.match(snapshot), **behind})
    return _bound(chains, here)


def _http(
    snapshot: Snapshot, keys: str, proxy: Proxy, here: Listener, routes: JsonObject, *, trusted: bool
) -> JsonObject:
    """What becomes of requests; with `trusted` of those that come through proxies in front of the gateway."""
    return typed(
        _HCM,
        **_connection(snapshot, proxy, trusted=trusted),
        **routes,
        http_filters=_filters(snapshot, keys, proxy, here, trusted=trusted, trial="route_config" in routes),
        local_reply_config=replies.reply_config(),
        **tracing.connection_options(proxy),
        access_log=[
            access_log.access_log(
                proxy,
                listener=_name(here),
                trial="route_config" in routes,
                reports=access_log.reports(snapshot),
            )
        ],
    )


def redirecting(snapshot: Snapshot, proxy: Proxy, here: Listener, *, trial: bool = False) -> JsonObject:
    """A plain listener that sends everybody to HTTPS, and answers ACME servers; to our own hosts and to no other."""
    port: JsonObject = {} if here.redirect == _HTTPS and here.port == _HTTP else {"port_redirect": here.redirect}
    first: list[JsonObject] = [challenge.route(filters=False)] if proxy.challenges else []
    sent: JsonObject = {"https_redirect": True, **port, "response_code": "PERMANENT_REDIRECT"}
    names = sorted({*snapshot.hosts, *(route.host for route in snapshot.routes if route.host)})
    ours = [f"[{name}]" if ":" in name else name for name in names]
    found: list[tuple[str, list[str], JsonObject]] = [("all", ours, {"redirect": sent})]
    found.append(("elsewhere", ["*"], {"direct_response": {"status": 421}}))
    hosts: list[JsonObject] = [
        {"name": name, "domains": [*domains], "routes": [*first, {"match": {"prefix": "/"}, **end}]}
        for name, domains, end in found
        if domains
    ]
    http = typed(
        _HCM,
        **_connection(snapshot, proxy, trusted=False),
        route_config={"name": here.table, "ignore_port_in_host_matching": True, "virtual_hosts": [*hosts]},
        http_filters=[router.listener_filter(snapshot)],
        local_reply_config=replies.reply_config(),
        access_log=[access_log.access_log(proxy, listener=_name(here), trial=trial)],
    )
    return _bound([_chain(http, proxy, here)], here)


def _chain(http: JsonObject, proxy: Proxy, here: Listener) -> JsonObject:
    """What becomes of connections, within TLS if the listener says so."""
    chain: dict[str, JsonValue] = {"filters": [{"name": "http", "typed_config": http}]}
    if here.tls is not None:
        chain["transport_socket"] = tls.transport(here.tls, here, proxy)
        chain["transport_socket_connect_timeout"] = _HANDSHAKE
    return chain


def _bound(chains: list[JsonObject], here: Listener) -> JsonObject:
    """A listener at its address."""
    made: dict[str, JsonValue] = {
        "name": _name(here),
        "address": {"socket_address": {"address": here.host, "port_value": here.port}},
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [*chains],
    }
    if here.tls is not None:
        # Reads the name that the caller asks for.
        made["listener_filters"] = [{"name": "sni", "typed_config": typed(_INSPECTOR)}]
        made["listener_filters_timeout"] = _HANDSHAKE
    return made


def _name(here: Listener) -> str:
    return "gateway" if here.name == DEFAULT else here.name


def by_rds(proxy: Proxy, here: Listener) -> JsonObject:
    """Routes read from a file that is replaced by renaming."""
    folder = str(proxy.folder)
    return {
        "rds": {
            "route_config_name": here.table,
            "config_source": {
                "resource_api_version": "V3",
                "initial_fetch_timeout": "5s",
                "path_config_source": {
                    "path": f"{folder}/{here.file}.json",
                    "watched_directory": {"path": folder},
                },
            },
        }
    }


def inline(routes: JsonObject) -> JsonObject:
    """Routes in the listener itself."""
    return {"route_config": routes}


def _filters(
    snapshot: Snapshot, keys: str, proxy: Proxy, here: Listener, *, trusted: bool, trial: bool
) -> list[JsonObject]:
    made: dict[str, JsonObject] = {
        **_of_tls(here, trusted=trusted),
        blocked.NAME: blocked.listener_filter(proxy, trial=trial),
        **addresses.listener_filter(snapshot),
        cors.NAME: cors.listener_filter(),
        **bots.listener_filter(snapshot),
        spike_arrest.BEFORE: spike_arrest.listener_filter(spike_arrest.BEFORE),
        phantom.NAME: phantom.listener_filter(proxy),
        jwt.NAME: jwt.listener_filter(snapshot, keys),
        access.NAME: access.listener_filter(),
        inspect.NAME: inspect.listener_filter(snapshot, proxy, trusted=trusted),
        spike_arrest.AFTER: spike_arrest.listener_filter(spike_arrest.AFTER),
        spike_arrest.SECOND: spike_arrest.listener_filter(spike_arrest.SECOND),
        **concurrency.listener_filter(snapshot),
        body.NAME: body.listener_filter(),
        **guard.listener_filter(snapshot, proxy),
        **{name: compressor.listener_filter(name) for name in compressor.NAMES},
        grpc_web.NAME: grpc_web.listener_filter(),
        trailers.NAME: trailers.listener_filter(),
        router.NAME: router.listener_filter(snapshot),
    }
    used = _used(snapshot)
    return [made[name] for name in FILTERS if name in made and used.get(name, True)]


def _used(snapshot: Snapshot) -> dict[str, bool]:
    """Of the filters that are off unless a route turns them on, whether one does: each costs every request its look."""
    routes = snapshot.routes
    arrests = {spike_arrest.name_for(route.spike_arrest) for route in routes if route.spike_arrest is not None}
    compressed = any(route.compress for route in routes)
    return {
        cors.NAME: any(route.cors is not None for route in routes),
        phantom.NAME: any(phantom.is_used(route, snapshot) for route in routes),
        spike_arrest.BEFORE: spike_arrest.BEFORE in arrests,
        spike_arrest.AFTER: spike_arrest.AFTER in arrests,
        spike_arrest.SECOND: any(route.rate_limit is not None for route in routes),
        **dict.fromkeys(compressor.NAMES, compressed),
        grpc_web.NAME: any(route.grpc for route in routes),
        trailers.NAME: trailers.is_used(snapshot),
    }


def _of_tls(here: Listener, *, trusted: bool) -> dict[str, JsonObject]:
    """What listeners with TLS have besides. Proxies in front of us carry many hosts over one connection."""
    if here.tls is None:
        return {}
    stays = tls.stays(here.tls)
    return {
        **({} if stays is None else {"hsts": stays}),
        **({} if trusted else {misdirected.NAME: misdirected.listener_filter()}),
    }


def _connection(snapshot: Snapshot, proxy: Proxy, *, trusted: bool) -> JsonObject:
    limits = snapshot.limits
    more = trusted_proxies.believed(snapshot) if trusted else ()
    return {
        "stat_prefix": "gateway",
        "codec_type": "AUTO",
        "server_name": "kronborg",
        **(trusted_proxies.connection(snapshot) if trusted else {"use_remote_address": True}),
        # Who a caller is, is never read from a header that it sent.
        "forward_client_cert_details": trusted_proxies.certificates(snapshot) if trusted else "SANITIZE",
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
            hygiene.stripping(cookies=snapshot.wants_cookies, keys=snapshot.takes_keys, more=more),
            *tracing.early_mutations(proxy),
        ],
    }
