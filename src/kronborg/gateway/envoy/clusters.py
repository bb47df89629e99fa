"""Services as Envoy clusters: replicas, connection reuse, bounds on what waits."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast
from urllib.parse import urlsplit

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy import tls
from kronborg.gateway.envoy.endpoints import endpoint, registered
from kronborg.gateway.envoy.filters.phantom import CLUSTER as EXCHANGE
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import seconds, typed
from kronborg.gateway.envoy.target import (
    answer_name,
    bounded_name,
    cluster_name,
    has_words,
    instead_name,
    members,
    replicas_name,
)
from kronborg.gateway.envoy.upstream_health import bounds, health
from kronborg.gateway.model import Service, Snapshot
from kronborg.gateway.resilience_model import Replica

__all__ = ["cluster_name", "clusters", "exchange_cluster"]

_TYPE = "envoy.config.cluster.v3.Cluster"
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PORTS = {"http": 80, "https": 443}
# Python's servers close an idle connection after 5 s; the gateway must be the one that closes first.
_IDLE = timedelta(seconds=4)
_EXCHANGES = {"max_connections": 8, "max_pending_requests": 256, "max_requests": 256, "max_retries": 0}


def clusters(snapshot: Snapshot, proxy: Proxy) -> list[JsonObject]:
    """The clusters of all services, by name, each followed by what answers in its place."""
    found: list[JsonObject] = []
    services = {service.name: service for service in snapshot.services}
    for name in sorted(services):
        found += _clusters(services[name], services, proxy)
    # Equal callers are sent to equal replicas by a hash of what a route names.
    hashed = {replicas_name(services[name]) for name in snapshot.sticky & set(services)}
    found = [{**one, "lb_policy": "MAGLEV"} if one["name"] in hashed else one for one in found]
    return [*found, *_bounded(snapshot, {str(one["name"]): one for one in found})]


def _bounded(snapshot: Snapshot, found: Mapping[str, JsonObject]) -> list[JsonObject]:
    """A cluster for each route that bounds its calls under way.

    The proxy counts the requests of a cluster over all workers, and gives a place back however a request ends: a
    script of ours would never hear of a caller who hung up.
    """
    own: list[JsonObject] = []
    services = {service.name: service for service in snapshot.services}
    for route in sorted(snapshot.routes, key=lambda one: one.name):
        whole = found.get(cluster_name(route.service))
        if route.concurrency is None or not route.concurrency.shared or whole is None:
            continue
        cluster = {
            **whole,
            "name": bounded_name(route.name, route.service),
            "circuit_breakers": bounds(services[route.service], requests=route.concurrency.count),
        }
        if (where := whole.get("eds_cluster_config")) is not None:
            named = cast("JsonObject", where)
            cluster["eds_cluster_config"] = {"service_name": cluster_name(route.service), **named}
        own.append(cluster)
    return own


def exchange_cluster(proxy: Proxy) -> JsonObject:
    """The control process's endpoint for reference tokens."""
    return {
        "name": EXCHANGE,
        "type": "STATIC",
        "connect_timeout": "0.5s",
        "load_assignment": {
            "cluster_name": EXCHANGE,
            "endpoints": [{"lb_endpoints": [endpoint(proxy.exchange_host, proxy.exchange_port)]}],
        },
        "circuit_breakers": {"thresholds": [_EXCHANGES]},
        "typed_extension_protocol_options": _options(http2=False),
    }


def _clusters(service: Service, services: Mapping[str, Service], proxy: Proxy) -> list[JsonObject]:
    found = [_cluster(service, proxy)]
    if service.fallback is not None:
        found.insert(0, _aggregate(cluster_name(service.name), members(service, services), service))
    if has_words(service.fallback):
        found.append(_answer(service.name))
    elif service.breaker is not None:
        other = services.get(service.fallback.service or "") if service.fallback else None
        name = instead_name(service.name)
        found.append(_nobody(name) if other is None else _aggregate(name, members(other, services), other))
    return found


def _cluster(service: Service, proxy: Proxy) -> JsonObject:
    """The replicas of a service."""
    name = replicas_name(service)
    cluster: dict[str, JsonValue] = {
        "@type": f"type.googleapis.com/{_TYPE}",
        "name": name,
        "connect_timeout": seconds(service.connect_timeout),
        "circuit_breakers": bounds(service),
        "typed_extension_protocol_options": _options(http2=service.http2),
        **health(service),
    }
    if service.registration is not None:
        return {
            **cluster,
            **_announced_tls(service, proxy),
            "type": "EDS",
            "lb_policy": "LEAST_REQUEST",
            "eds_cluster_config": {"eds_config": registered(proxy)},
        }
    replicas = service.replicas or tuple(Replica(url) for url in service.urls)
    places = [urlsplit(replica.url) for replica in replicas]
    numeric = all(_is_address(place.hostname or "") for place in places)
    cluster |= {
        "type": "STATIC" if numeric else "STRICT_DNS",
        "lb_policy": "LEAST_REQUEST" if len(places) > 1 else "ROUND_ROBIN",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [
                {
                    "lb_endpoints": [
                        endpoint(place.hostname or "", place.port or _PORTS[place.scheme], replica.weight)
                        for place, replica in zip(places, replicas, strict=True)
                    ]
                }
            ],
        },
    }
    if not numeric:
        cluster["dns_lookup_family"] = "V4_PREFERRED"
        cluster["dns_refresh_rate"] = seconds(service.dns_refresh)
    if places[0].scheme == "https":
        host = places[0].hostname or ""
        cluster["transport_socket"] = tls.upstream(service, host, proxy, address=_is_address(host))
    return cluster


def _announced_tls(service: Service, proxy: Proxy) -> JsonObject:
    """Replicas announce addresses, which no certificate is for: the service says which names are."""
    if service.tls is None:
        return {}
    return {"transport_socket": tls.upstream(service, "", proxy, address=False)}


def _aggregate(name: str, parts: Sequence[str], service: Service) -> JsonObject:
    """Several clusters as one: calls go to the first that has a replica which is well."""
    kind = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"
    return {
        "@type": f"type.googleapis.com/{_TYPE}",
        "name": name,
        "connect_timeout": seconds(service.connect_timeout),
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {"name": "aggregate", "typed_config": typed(kind, clusters=list(parts))},
        "circuit_breakers": bounds(service),
    }


def _answer(service: str) -> JsonObject:
    """The way to the words of a fallback: a listener inside the proxy, reached without a socket."""
    name = instead_name(service)
    inside: JsonObject = {"address": {"envoy_internal_address": {"server_listener_name": answer_name(service)}}}
    return {
        "@type": f"type.googleapis.com/{_TYPE}",
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": inside}]}]},
        "typed_extension_protocol_options": _options(http2=False),
    }


def _nobody(name: str) -> JsonObject:
    """Nobody to call: calls are refused with 503 at once."""
    return {
        "@type": f"type.googleapis.com/{_TYPE}",
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name},
    }


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _options(*, http2: bool) -> JsonObject:
    protocol: JsonObject = {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}}
    return {
        _OPTIONS: typed(
            _OPTIONS,
            common_http_protocol_options={"idle_timeout": seconds(_IDLE)},
            explicit_http_config=protocol,
        )
    }
