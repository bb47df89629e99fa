"""Where OTLP goes over HTTP: a cluster of Envoy for a collector's address."""

from __future__ import annotations

from urllib.parse import urlsplit

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.resource import typed

_PORTS = {"http": 80, "https": 443}
_TRUST = "/etc/ssl/certs/ca-certificates.crt"


def service(url: str, cluster: str) -> JsonObject:
    """How an exporter names the collector at `url`, reached through `cluster`."""
    return {"http_uri": {"uri": url, "cluster": cluster, "timeout": "2s"}}


def cluster(name: str, url: str) -> JsonObject:
    """The cluster `name` for the collector at `url`; with https its certificate must be good for its name."""
    place = urlsplit(url)
    host, port = place.hostname or "", place.port or _PORTS[place.scheme]
    address: JsonObject = {"socket_address": {"address": host, "port_value": port}}
    made: dict[str, JsonValue] = {
        "name": name,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if place.scheme == "https":
        made["transport_socket"] = {
            "name": "tls",
            "typed_config": typed(
                "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                sni=host,
                auto_sni_san_validation=True,
                common_tls_context={"validation_context": {"trusted_ca": {"filename": _TRUST}}},
            ),
        }
    return made
