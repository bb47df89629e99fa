"""What a gateway says about itself, as JSON and back. What comes from elsewhere is bounded, and refused when wrong."""

from __future__ import annotations

import orjson

from kronborg.core.db import from_micros, to_micros
from kronborg.core.json import JsonObject
from kronborg.fleet.model import Standing, Took

LONGEST = 2000
LARGEST = 16 * 1024
_MOST = 2**53
_TEXTS = ("kronborg", "envoy", "digest", "reason")
_NUMBERS = ("version", "offered", "uptime", "connections", "requests", "revocation_ms", "buffered")
_TOOK: dict[str, Took] = {"acked": "acked", "rejected": "rejected", "none": "none"}


class Malformed(ValueError):
    """A report is not as `encode` writes it."""


def encode(standing: Standing) -> JsonObject:
    """A report as JSON."""
    return {
        **{name: getattr(standing, name)[:LONGEST] for name in _TEXTS},
        **{name: getattr(standing, name) for name in _NUMBERS},
        "at": to_micros(standing.at),
        "took": standing.took,
        "live": standing.live,
    }


def decode(content: bytes | str) -> Standing:
    """The report that `encode` made this of. Raises `Malformed`."""
    if len(content) > LARGEST:
        raise Malformed("the report is too large")
    try:
        plain = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise Malformed("the report is no JSON") from None
    if not isinstance(plain, dict):
        raise Malformed("the report is no object")
    texts = {name: _text(plain.get(name, "")) for name in _TEXTS}
    numbers = {name: _number(plain.get(name, 0)) for name in _NUMBERS}
    took = _TOOK.get(str(plain.get("took")))
    if took is None:
        raise Malformed("the report does not say what became of the offer")
    return Standing(
        at=from_micros(_number(plain.get("at"))),
        took=took,
        live=plain.get("live") is True,
        kronborg=texts["kronborg"],
        envoy=texts["envoy"],
        digest=texts["digest"],
        reason=texts["reason"],
        version=numbers["version"],
        offered=numbers["offered"],
        uptime=numbers["uptime"],
        connections=numbers["connections"],
        requests=numbers["requests"],
        revocation_ms=numbers["revocation_ms"],
        buffered=numbers["buffered"],
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or "\0" in value:
        raise Malformed("a text of the report is too long or none")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value < _MOST:
        raise Malformed("a number of the report is out of range or none")
    return value
