"""Durations as files and forms write them: `30s`, `15m`, `2h`, `14d`. Nothing of pydantic: processes load this."""

from __future__ import annotations

import re
from datetime import timedelta

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
