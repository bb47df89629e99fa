"""Durations (`30s 15m 2h 14d`) and sizes (`64KiB 1MiB`): how a file writes them, and back."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from kronborg.core import durations
from kronborg.core.durations import DURATION_PATTERN, write_duration

__all__ = [
    "DURATION_PATTERN",
    "SIZE_PATTERN",
    "Duration",
    "Size",
    "parse_duration",
    "parse_size",
    "write_duration",
    "write_size",
]

SIZE_PATTERN = r"^[0-9]{1,9}(B|KiB|MiB)$"

_SIZE = re.compile(SIZE_PATTERN.replace("$", r"\Z"))
_SIZES = {"MiB": 1 << 20, "KiB": 1 << 10, "B": 1}


def parse_duration(value: object) -> timedelta:
    """`15m` as a timedelta; a timedelta as it is. Raises pydantic's error for anything else."""
    try:
        return durations.parse_duration(value)
    except ValueError:
        raise PydanticCustomError("duration", durations.EXPECTED) from None


def parse_size(value: object) -> int:
    """`1MiB` as bytes; a whole number as bytes. Raises pydantic's error for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40:
        return value
    if isinstance(value, str) and _SIZE.match(value):
        number, unit = re.split(r"(?<=[0-9])(?=[A-Z])", value)
        return int(number) * _SIZES[unit]
    raise PydanticCustomError("size", "is not a size; write 64KiB or 1MiB, or a number of bytes")


def write_size(value: int) -> str:
    """The shortest spelling in one unit: `1MiB`."""
    for unit, length in _SIZES.items():
        if value and value % length == 0:
            return f"{value // length}{unit}"
    return f"{value}B"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30s", "15m", "2h", "14d"]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(write_size, return_type=str),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 0}],
            "examples": ["64KiB", "1MiB"],
        }
    ),
]
