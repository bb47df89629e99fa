"""Calls from browsers: allowed to the web origins that clients registered, and to nobody else."""

from __future__ import annotations

from datetime import datetime

from kronborg.oauth.requests import Headers
from kronborg.tokens.engine import Engine

VARY = (b"vary", b"origin")


async def cors_headers(engine: Engine, headers: Headers, *, methods: bytes, now: datetime) -> list[tuple[bytes, bytes]]:
    """The response headers for a call with these request headers: none without an origin, only `Vary` for one that
    nobody registered.

    `methods` is the list for a preflight, like `b"POST"`. An answer that caches may keep says `Vary` in any case.
    """
    origin = preflight = None
    for name, value in headers:
        if name == b"origin":
            origin = value
        elif name == b"access-control-request-method":
            preflight = value
    if origin is None:
        return []
    apis = await engine.directory.apis(now=now)
    if origin.decode("latin-1") not in apis.web_origins:
        return [VARY]
    allowed = [VARY, (b"access-control-allow-origin", origin)]
    if preflight is None:
        return [
            *allowed,
            (b"access-control-expose-headers", b"www-authenticate, dpop-nonce, x-request-id, retry-after"),
        ]
    return [
        *allowed,
        (b"access-control-allow-methods", methods),
        (b"access-control-allow-headers", b"authorization, content-type, dpop"),
        (b"access-control-max-age", b"600"),
    ]
