"""The JSON values that cross our edges, as a type, and the strict reading of an object that somebody else wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import orjson

JsonValue = None | bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
JsonObject = Mapping[str, JsonValue]


def read_object(raw: bytes) -> JsonObject:
    """The one JSON object that these bytes are. Raises `ValueError`.

    No member stands twice (RFC 8259 §4 leaves open which would count), and there is nothing in it that another reader
    would not take: NaN, half a surrogate pair, numbers beyond 64 bits.
    """
    value = _read(raw)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def read_list(raw: bytes) -> Sequence[JsonValue]:
    """The one JSON list that these bytes are, read as strictly. Raises `ValueError`."""
    value = _read(raw)
    if not isinstance(value, list):
        raise ValueError("not a JSON list")
    return value


def _read(raw: bytes) -> JsonValue:
    try:
        text = raw.decode()
        value: JsonValue = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        orjson.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError("not JSON, or a member stands twice") from error
    return value


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


def _no_constant(_name: str) -> JsonValue:
    raise ValueError("NaN and Infinity are not JSON")
