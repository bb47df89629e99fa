"""Envoy's JSON: typed messages, durations, and the canonical bytes of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import orjson

from kronborg.core.json import JsonObject, JsonValue

_GOOGLEAPIS = "type.googleapis.com/"
_HEAD = b'{"version_info":"'
_READABLE_BYTES = 524_288


def typed(name: str, **fields: JsonValue) -> JsonObject:
    """A message of the type `name`, as Envoy's JSON wants an `Any`."""
    return {"@type": _GOOGLEAPIS + name, **fields}


def seconds(span: timedelta) -> str:
    """A protobuf duration: `0.2s`."""
    text = f"{span.total_seconds():.6f}".rstrip("0").rstrip(".")
    return f"{text}s"


def always() -> JsonObject:
    """A fraction that is 100 %."""
    return {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def discovery(resources: Sequence[JsonObject]) -> bytes:
    """A DiscoveryResponse file, versioned by what is in it: an unchanged file keeps its version."""
    body = orjson.dumps(resources, option=orjson.OPT_SORT_KEYS)
    version = hashlib.sha256(body).hexdigest()[:16]
    if len(body) > _READABLE_BYTES:
        # What nobody reads through is written, checked and parsed in a third of the time without its spaces.
        return b'%b%b","resources":%b}\n' % (_HEAD, version.encode(), body)
    return pretty({"version_info": version, "resources": list(resources)})


def version_of(content: bytes) -> str:
    """The version of a file that `discovery` wrote, of a large one without reading it all."""
    if content.startswith(_HEAD):
        return content[len(_HEAD) : 1024].partition(b'"')[0].decode()
    return str(orjson.loads(content)["version_info"])


def pretty(value: JsonObject) -> bytes:
    """Indented JSON with sorted keys and a last newline."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def compact(value: JsonObject) -> bytes:
    """JSON with sorted keys that only Envoy reads."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
