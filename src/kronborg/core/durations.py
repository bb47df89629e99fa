"""Durations as files and forms write them: `30s`, `15m`, `2h`, `14d`. Nothing of pydantic: processes load this.

`Span` and `Octets` mark the fields of frozen values that the HTTP and config edges read so: `timeout: Span`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

DURATION_PATTERN = r"^[0-9]{1,7}(ms|s|m|h|d)$"
_DURATION = re.compile(DURATION_PATTERN.replace("$", r"\Z"))
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
EXPECTED = "is not a duration; write 30s, 15m, 2h or 14d"


def parse_duration(value: object) -> timedelta:
    """`15m` as a timedelta; a timedelta as it is. Raises `ValueError` for anything else."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and _DURATION.match(value):
        number, unit = re.split(r"(?<=[0-9])(?=[a-z])", value)
        return int(number) * _UNITS[unit]
    raise ValueError(EXPECTED)


def write_duration(value: timedelta) -> str:
    """The shortest spelling in one unit: `15m`, never `900s`; below a millisecond is cut off."""
    if not value:
        return "0s"
    for unit, length in _UNITS.items():
        if value % length == timedelta(0):
            return f"{value // length}{unit}"
    return f"{value // _UNITS['ms']}ms"


class _AsWritten:
    """Tells pydantic, where it is loaded at all, to read a field as files write it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from kronborg.core import quantities

        return handler.generate_schema(getattr(quantities, self._name))


Span = Annotated[timedelta, _AsWritten("Duration")]
"""A duration in a frozen value that the edges read as `15m`."""
Octets = Annotated[int, _AsWritten("Size")]
"""A number of bytes in a frozen value that the edges read as `64KiB`."""
