"""The bound on request bodies: held back until whole, refused with 413 beyond the route's `max_body`."""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route

NAME = "body"
_TYPE = "envoy.extensions.filters.http.buffer.v3."
_SMALLEST = 1


def listener_filter() -> JsonObject:
    """No body at all where no route says otherwise."""
    return {"name": NAME, "typed_config": typed(_TYPE + "Buffer", max_request_bytes=_SMALLEST)}


def route_config(route: Route) -> JsonObject:
    """The route's own bound."""
    return typed(_TYPE + "BufferPerRoute", buffer={"max_request_bytes": route.max_body})
