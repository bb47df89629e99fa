"""Access records on their way from a gateway on another machine: rows as JSON, which node they are of told by us.

The gateway's reader keeps its place in the log until all is stored here, and rows are known by their place in time:
what is sent twice counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import get_args

import orjson

from kronborg.traffic.model import Decision
from kronborg.traffic.row_model import COLUMNS, NUMBERS, Row, seq_of
from kronborg.traffic.search_model import RecordStore

AT_ONCE = 500
"""Rows in one call."""
OLDEST = timedelta(days=92)
"""What is older is of no day that anybody keeps."""
AHEAD = timedelta(hours=1)
"""Clocks differ, but not by more."""
_LONGEST = 4096
_BIGGEST = (1 << 62) - 1
_MOST: Mapping[str, int] = {
    "status": 999,
    "attempts": 1000,
    "duration_us": 1 << 40,
    "upstream_us": 1 << 40,
    "bytes_in": 1 << 44,
    "bytes_out": 1 << 44,
}
"""More than a request can have. Figures add up: a few numbers without bound would end all adding up."""
_NODE, _SEQ = COLUMNS.index("node"), COLUMNS.index("seq")
_DECISIONS = frozenset(get_args(Decision))

Send = Callable[[bytes], Awaitable[bool]]
"""Brings rows to the control plane; whether it has them."""


class NotStored(Exception):
    """The control plane has not taken the rows; they are sent again."""


class RemoteRecords(RecordStore):
    """Where the reader of a gateway's log writes when the store is elsewhere. `send` runs on `loop`."""

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self._send, self._loop = send, loop

    def write(self, rows: Sequence[Row]) -> int:
        """Send rows, all or an error; called on a thread. Raises `NotStored`."""
        for start in range(0, len(rows), AT_ONCE):
            body = orjson.dumps(rows[start : start + AT_ONCE])
            if not asyncio.run_coroutine_threadsafe(self._sent(body), self._loop).result():
                raise NotStored("the control plane does not take access records now")
        return len(rows)

    async def _sent(self, body: bytes) -> bool:
        return await self._send(body)


def read_rows(body: bytes, node: str, *, now: datetime) -> list[Row]:
    """The rows of a call, as those of `node` whatever they say. Raises `ValueError` when one is none.

    Those of a time that cannot be are left out: a gateway would send them for ever, and a day far ahead never ends.
    """
    told = orjson.loads(body)
    if not isinstance(told, list) or len(told) > AT_ONCE:
        raise ValueError("the rows are none, or too many")
    first, last = seq_of(now - OLDEST), seq_of(now + AHEAD)
    return [row for one in told if first <= int((row := _row(one, node))[_SEQ]) < last]


def _row(told: object, node: str) -> Row:
    if not isinstance(told, list) or len(told) != len(COLUMNS):
        raise ValueError("a row is not as written")
    for place, (name, value) in enumerate(zip(COLUMNS, told, strict=True)):
        if name in NUMBERS:
            fine = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _BIGGEST
        elif name == "decision":
            fine = isinstance(value, str) and value in _DECISIONS
        else:
            fine = isinstance(value, str) and len(value) <= _LONGEST and "\0" not in value
        if not fine:
            raise ValueError("a value of a row is not as written")
        if name in _MOST:
            told[place] = min(value, _MOST[name])
    told[_NODE] = node
    return tuple(told)
