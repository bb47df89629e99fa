"""Proxies in front of the gateway whose word is taken for where a request came from, and by which scheme.

Connections from their networks get a filter chain of their own; every other connection meets the chain it would meet
without any of this, so that nothing a stranger writes can reach what reads these headers.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.access_model import networks_of
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Snapshot

FORWARDED = ("x-forwarded-for", "x-forwarded-proto")
"""What these proxies may always say."""
_ENVOYS = "x-forwarded-client-cert"


def believed(snapshot: Snapshot) -> tuple[str, ...]:
    """The headers that these proxies may write: the certificate of a caller too, where the settings name its header."""
    return FORWARDED if snapshot.certificate_header is None else (*FORWARDED, snapshot.certificate_header)


def certificates(snapshot: Snapshot) -> str:
    """What becomes of Envoy's own header about certificates on these connections."""
    return "ALWAYS_FORWARD_ONLY" if snapshot.certificate_header == _ENVOYS else "SANITIZE"


def match(snapshot: Snapshot) -> JsonObject:
    """Connections that come from these proxies themselves."""
    return {"source_prefix_ranges": _ranges(snapshot)}


def connection(snapshot: Snapshot) -> JsonObject:
    """Whose address a request has that came through them: read from the right, the first that is none of theirs.

    When all are theirs, or one is no address, it is that of the connection.
    """
    detection = typed(
        "envoy.extensions.http.original_ip_detection.xff.v3.XffConfig",
        xff_trusted_cidrs={"cidrs": _ranges(snapshot)},
        skip_xff_append=True,
    )
    return {
        "use_remote_address": False,
        "original_ip_detection_extensions": [{"name": "trusted-proxies", "typed_config": detection}],
    }


def told(snapshot: Snapshot) -> dict[str, JsonValue]:
    """Services are told the one address that lists, limits and records go by, and nothing that a caller wrote."""
    if not snapshot.trusted_proxies:
        return {}
    header: JsonObject = {"key": "x-forwarded-for", "value": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}
    told: dict[str, JsonValue] = {
        "request_headers_to_add": [{"append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "header": header}]
    }
    if snapshot.certificate_header is not None:
        # It was for the gateway: a service that took it for the caller's own word would believe anybody who gets there.
        told["request_headers_to_remove"] = [snapshot.certificate_header]
    return told


def _ranges(snapshot: Snapshot) -> list[JsonObject]:
    return [_range(network) for network in networks_of(snapshot.trusted_proxies)]


def _range(network: IPv4Network | IPv6Network) -> JsonObject:
    return {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}
