"""Endpoints, as Envoy wants them: one address, and the file of those that services announced themselves (EDS)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import discovery
from kronborg.gateway.envoy.target import replicas_name
from kronborg.gateway.model import Snapshot
from kronborg.gateway.registration_model import Announced

FILE = "eds.json"
_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"


def endpoint(host: str, port: int, weight: int = 1) -> JsonObject:
    """One address that calls go to."""
    place: dict[str, JsonValue] = {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}
    if weight != 1:
        place["load_balancing_weight"] = weight
    return place


def registered(proxy: Proxy) -> JsonObject:
    """Where a cluster finds the announced endpoints: a file that is replaced by renaming."""
    folder = str(proxy.folder)
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "2s",
        "path_config_source": {"path": f"{folder}/{FILE}", "watched_directory": {"path": folder}},
    }


def assignments(snapshot: Snapshot, announced: Mapping[str, Sequence[Announced]]) -> bytes:
    """The file: for each service that is announced, by name, where it is now. Equal input, equal bytes."""
    found: list[JsonObject] = []
    for service in sorted(snapshot.services, key=lambda one: one.name):
        if service.registration is None:
            continue
        there = sorted(announced.get(service.name, ()), key=lambda one: (one.address, one.port))
        found.append(
            {
                "@type": _TYPE,
                "cluster_name": replicas_name(service),
                "endpoints": [{"lb_endpoints": [endpoint(one.address, one.port, one.weight) for one in there]}],
            }
        )
    return discovery(found)
