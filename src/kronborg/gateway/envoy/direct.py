"""Routes that end at the gateway: refusals, its own health, and the metadata of protected resources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from kronborg.core.json import JsonObject, JsonValue
from kronborg.gateway.envoy.filters import access, body, inspect, jwt
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import HEALTH
from kronborg.gateway.protected_resource import Described

LARGEST_DOCUMENT = 262_144
"""Bytes; Envoy allows 4096 unless told otherwise, and an API may have two hundred scopes."""

OFF = typed("envoy.config.route.v3.FilterConfig", disabled=True)
OPEN: dict[str, JsonObject] = {jwt.NAME: OFF, access.NAME: OFF, inspect.NAME: OFF}
"""Per route: no token is asked for."""

_READING = ("GET", "HEAD", "OPTIONS")
# Public and without credentials, so any page may read it; browsers that ask first are told so.
_DOCUMENT = (
    ("content-type", "application/json"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "public, max-age=300"),
)
_PREFLIGHT = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, HEAD"),
    ("access-control-allow-headers", "*"),
    ("access-control-max-age", "600"),
)


def health() -> JsonObject:
    """The gateway's own `/healthz`, whatever the host: it says that this proxy serves, and nothing more."""
    return _end({"path": HEALTH}, 200, "ok\n")


def answer(match: JsonObject, status: int, *, allow: Sequence[str] = ()) -> JsonObject:
    """A refusal; `replies` gives it its body."""
    # RFC 9110 section 15.5.6: a 405 says what would be allowed.
    return _end(match, status, headers=(("allow", ", ".join(allow)),) if allow else ())


def documents(described: Described) -> Iterator[tuple[str, list[JsonObject]]]:
    """The metadata documents of a virtual host by their paths (RFC 9728 section 3.2)."""
    for path, members in described.documents.items():
        content = orjson.dumps(members).decode()
        yield (
            path,
            [
                _end(_of(path, {"safe_regex": {"regex": "GET|HEAD"}}), 200, content, headers=_DOCUMENT),
                _end(_of(path, {"exact": "OPTIONS"}), 204, headers=_PREFLIGHT),
                answer({"path": path}, 405, allow=_READING),
            ],
        )


def _of(path: str, method: JsonObject) -> JsonObject:
    return {"path": path, "headers": [{"name": ":method", "string_match": method}]}


def _end(match: JsonObject, status: int, text: str = "", *, headers: Sequence[tuple[str, str]] = ()) -> JsonObject:
    response: dict[str, JsonValue] = {"status": status}
    if text:
        response["body"] = {"inline_string": text}
    entry: dict[str, JsonValue] = {
        "match": match,
        "direct_response": response,
        "typed_per_filter_config": {**OPEN, body.NAME: OFF},
    }
    if headers:
        entry["response_headers_to_add"] = [{"header": {"key": key, "value": value}} for key, value in headers]
    return entry
