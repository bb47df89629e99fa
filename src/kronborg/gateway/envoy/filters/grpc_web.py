"""gRPC-Web: pages of browsers speak gRPC over ordinary requests; off but on routes of services that speak gRPC."""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed

NAME = "grpc_web"


def listener_filter() -> JsonObject:
    """Off unless a route turns it on."""
    kind = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb"
    return {"name": NAME, "disabled": True, "typed_config": typed(kind)}


def route_config() -> JsonObject:
    """On; there is nothing to set."""
    return typed("envoy.config.route.v3.FilterConfig", config={})
