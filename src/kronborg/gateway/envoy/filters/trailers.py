"""Trailers of requests go no further: nothing was decided on them, and some services read them as headers.

Over HTTP/1.1 the proxy drops them by itself; over HTTP/2 it would pass them on, `x-kronborg-subject` among them.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Snapshot

NAME = "trailers"


def listener_filter() -> JsonObject:
    """RFC 9110 section 6.5.1: what is not known to be safe may be discarded. gRPC has trailers in answers only."""
    every: JsonObject = {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": ".*"}}}}
    kind = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
    return {"name": NAME, "typed_config": typed(kind, mutations={"request_trailers_mutations": [every]})}


def is_used(snapshot: Snapshot) -> bool:
    """Whether some service could be sent any."""
    return any(service.http2 for service in snapshot.services)
