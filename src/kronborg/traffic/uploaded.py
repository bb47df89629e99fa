"""Access records on their way from a gateway on another machine: rows as JSON, which node they are of told by us.

The gateway's reader keeps its place in the log until all is stored here, and rows are known by their place in time:
what is sent twice counts once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import orjson

from kronborg.traffic.row_model import COLUMNS, NUMBERS, Row
from kronborg.traffic.search_model import RecordStore

AT_ONCE = 500
"""Rows in one call."""
_LONGEST = 4096
_BIGGEST = (1 << 62) - 1
_NODE = COLUMNS.index("node")

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


def read_rows(body: bytes, node: str) -> list[Row]:
    """The rows of a call, as those of `node` whatever they say. Raises `ValueError` when one is none."""
    told = orjson.loads(body)
    if not isinstance(told, list) or len(told) > AT_ONCE:
        raise ValueError("the rows are none, or too many")
    return [_row(one, node) for one in told]


def _row(told: object, node: str) -> Row:
    if not isinstance(told, list) or len(told) != len(COLUMNS):
        raise ValueError("a row is not as written")
    for name, value in zip(COLUMNS, told, strict=True):
        if name in NUMBERS:
            fine = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _BIGGEST
        else:
            fine = isinstance(value, str) and len(value) <= _LONGEST and "\0" not in value
        if not fine:
            raise ValueError("a value of a row is not as written")
    told[_NODE] = node
    return tuple(told)
