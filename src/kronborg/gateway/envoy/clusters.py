"""Services as Envoy clusters: replicas, connection reuse, bounds on what waits."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from urllib.parse import urlsplit

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.filters.phantom import CLUSTER as EXCHANGE
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import seconds, typed
from kronborg.gateway.model import Service, Snapshot

_TYPE = "envoy.config.cluster.v3.Cluster"
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PORTS = {"http": 80, "https": 443}
_TRUST = "/etc/ssl/certs/ca-certificates.crt"
# Python's servers close an idle connection after 5 s; the gateway must be the one that closes first.
_IDLE = timedelta(seconds=4)
_WAITING = {"max_connections": 1024, "max_pending_requests": 1024, "max_requests": 4096, "max_retries": 16}
_EXCHANGES = {"max_connections": 8, "max_pending_requests": 256, "max_requests": 256, "max_retries": 0}


def cluster_name(service: str) -> str:
    """The cluster of a service; the prefix keeps it apart from our own."""
    return f"service.{service}"


def clusters(snapshot: Snapshot) -> list[JsonObject]:
    """The clusters of all services, by name."""
    return [_cluster(service) for service in sorted(snapshot.services, key=lambda service: service.name)]


def exchange_cluster(proxy: Proxy) -> JsonObject:
    """The control process's endpoint for reference tokens."""
    return {
        "name": EXCHANGE,
        "type": "STATIC",
        "connect_timeout": "0.5s",
        "load_assignment": {
            "cluster_name": EXCHANGE,
            "endpoints": [{"lb_endpoints": [_endpoint(proxy.exchange_host, proxy.exchange_port)]}],
        },
        "circuit_breakers": {"thresholds": [_EXCHANGES]},
        "typed_extension_protocol_options": _options(http2=False),
    }


def _cluster(service: Service) -> JsonObject:
    places = [urlsplit(url) for url in service.urls]
    name = cluster_name(service.name)
    numeric = all(_is_address(place.hostname or "") for place in places)
    cluster: dict[str, JsonValue] = {
        "@type": f"type.googleapis.com/{_TYPE}",
        "name": name,
        "type": "STATIC" if numeric else "STRICT_DNS",
        "connect_timeout": seconds(service.connect_timeout),
        "lb_policy": "LEAST_REQUEST" if len(places) > 1 else "ROUND_ROBIN",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {
                    "lb_endpoints": [
                        _endpoint(place.hostname or "", place.port or _PORTS[place.scheme]) for place in places
                    ]
                }
            ],
        },
        "circuit_breakers": {"thresholds": [_WAITING]},
        "typed_extension_protocol_options": _options(http2=service.http2),
    }
    if not numeric:
        cluster["dns_lookup_family"] = "V4_PREFERRED"
    if places[0].scheme == "https":
        cluster["transport_socket"] = _tls(places[0].hostname or "", http2=service.http2)
    return cluster


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _endpoint(host: str, port: int) -> JsonObject:
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}


def _options(*, http2: bool) -> JsonObject:
    protocol: JsonObject = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
    return {
        _OPTIONS: typed(
            _OPTIONS,
            common_http_protocol_options={"idle_timeout": seconds(_IDLE)},
            explicit_http_config=protocol,
        )
    }


def _tls(host: str, *, http2: bool) -> JsonObject:
    """TLS to the service, with its name checked against the system's authorities."""
    named: JsonObject = {"san_type": "IP_ADDRESS" if _is_address(host) else "DNS", "matcher": {"exact": host}}
    context: dict[str, JsonValue] = {
        "common_tls_context": {
            "alpn_protocols": ["h2"] if http2 else ["http/1.1"],
            "validation_context": {
                "trusted_ca": {"filename": _TRUST},
                "match_typed_subject_alt_names": [named],
            },
        }
    }
    if not _is_address(host):
        context["sni"] = host
    return {
        "name": "tls",
        "typed_config": typed("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", **context),
    }
