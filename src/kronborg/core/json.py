"""The JSON values that cross our edges, as a type, and the one strict reading of what somebody else wrote.

No member stands twice (RFC 8259 §4 leaves open which would count), depth and size of numbers are bounded (§9), and
there is nothing in it that another reader would not take: NaN, half a surrogate pair, numbers beyond 64 bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import orjson

JsonValue = None | bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
JsonObject = Mapping[str, JsonValue]

MAX_DEPTH = 12
MAX_DIGITS = 40


class NotJson(ValueError):
    """Not JSON as we take it. The text is fixed and echoes nothing."""


def read_json(text: str) -> JsonValue:
    """The value of a JSON text. Raises `NotJson`."""
    try:
        value: JsonValue = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_int, parse_float=_float
        )
        orjson.dumps(value)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotJson("not JSON, or a member stands twice") from error
    # What opens no more than that cannot be deeper.
    if text.count("{") + text.count("[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise NotJson("nested too deeply")
    return value


def read_object(raw: bytes) -> JsonObject:
    """The one JSON object that these bytes are. Raises `NotJson`."""
    value = read_json(_decoded(raw))
    if not isinstance(value, dict):
        raise NotJson("not a JSON object")
    return value


def read_list(raw: bytes) -> Sequence[JsonValue]:
    """The one JSON list that these bytes are. Raises `NotJson`."""
    value = read_json(_decoded(raw))
    if not isinstance(value, list):
        raise NotJson("not a JSON list")
    return value


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise NotJson("not UTF-8") from error


def _deeper_than(value: JsonValue, depth: int) -> bool:
    if isinstance(value, (dict, list)):
        members = value.values() if isinstance(value, dict) else value
        return depth == 0 or any(_deeper_than(member, depth - 1) for member in members)
    return False


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(_name: str) -> JsonValue:
    raise ValueError("NaN and Infinity are not JSON")


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number is too long")
    value = int(text)
    # What no 64-bit integer holds, other readers round (RFC 8259 §6), and our own writer refuses.
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError("a number is too large")
    return value


def _float(text: str) -> float:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number is too long")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return value
