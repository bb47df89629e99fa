"""Compression of answers: Brotli before gzip, on routes that ask for it; requests are never decompressed.

What is compressed already stays as it is, and event streams are no candidates: only the types named here are.
"""

from __future__ import annotations

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Route

GZIP = "compressor_gzip"
BROTLI = "compressor_brotli"
NAMES = (GZIP, BROTLI)

_TYPE = "envoy.extensions.filters.http.compressor.v3."
_LIBRARIES = {
    GZIP: typed("envoy.extensions.compression.gzip.compressor.v3.Gzip", compression_level="COMPRESSION_LEVEL_5"),
    BROTLI: typed("envoy.extensions.compression.brotli.compressor.v3.Brotli", quality=4),
}
_SMALLEST = 256
_TYPES = (
    "application/graphql-response+json",
    "application/javascript",
    "application/json",
    "application/problem+json",
    "application/xml",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/xml",
)


def listener_filter(name: str) -> JsonObject:
    """Off unless a route turns it on."""
    return {
        "name": name,
        "disabled": True,
        "typed_config": typed(
            _TYPE + "Compressor",
            compressor_library={"name": name, "typed_config": _LIBRARIES[name]},
            response_direction_config={
                "common_config": {
                    "min_content_length": _SMALLEST,
                    "content_type_matcher": [{"prefix": kind, "ignore_case": True} for kind in _TYPES],
                },
                # RFC 9110 section 8.8.3.3: another encoding needs another strong tag.
                "disable_on_etag_header": True,
            },
            choose_first=name == BROTLI,
        ),
    }


def route_config(route: Route) -> JsonObject | None:
    """On; None where the route does not ask for it."""
    if not route.compress:
        return None
    return typed(_TYPE + "CompressorPerRoute", overrides={"response_direction_config": {}})
