"""JSON from strangers, strictly: no member twice, no NaN, bounded depth and size of numbers (RFC 8259 §4, §9)."""

from __future__ import annotations

import json

from kronborg.core.json import JsonValue

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
    except (ValueError, RecursionError) as error:
        raise NotJson("not JSON, or a member stands twice") from error
    if _deeper_than(value, MAX_DEPTH):
        raise NotJson("nested too deeply")
    return value


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
