"""A closed-loop HTTP/1.1 load generator on keep-alive connections, and the CPU time of a server's processes.

Each connection has a script: it says what to send next, given the body of the last answer, so that a refresh token
can be traded for its successor. The generator parses answers by `Content-Length` or chunks and nothing more.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
Script = Callable[[bytes], bytes]
"""From the body of the last answer (empty at first) to the next request."""


@dataclass(frozen=True)
class Round:
    """What one round saw: answers, those that were not 200, seconds, CPU seconds of the server."""

    requests: int
    failures: int
    seconds: float
    cpu: float

    @property
    def micros(self) -> float:
        """CPU microseconds of the server per request."""
        return self.cpu / max(self.requests, 1) * 1e6

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its threads and its living children, from /proc/PID/stat."""
    total = 0
    for one in _family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def form(path: str, body: str) -> bytes:
    """A POST of a form as bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def always(request: bytes) -> Script:
    """The same request again and again."""
    return lambda _body: request


class _Connection(asyncio.Protocol):
    """One connection that asks, waits for the whole answer, and asks the next."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.answered = self.failed = 0
        self.going = True
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._script(b""))

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        body = _body(data, end)
        if body is None:
            return
        self._buffer = b""
        self.answered += 1
        if not data.startswith(b"HTTP/1.1 200"):
            self.failed += 1
        assert self._transport is not None
        if self.going:
            self._transport.write(self._script(body))
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


def _body(data: bytes, end: int) -> bytes | None:
    """The body of an answer whose head ends at `end`; None while it is incomplete."""
    head = data[:end].lower()
    at = head.find(b"content-length:")
    if at >= 0:
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        return data[end + 4 :] if len(data) - end - 4 >= length else None
    if not data.endswith(b"0\r\n\r\n"):
        return None
    size, _, rest = data[end + 4 :].partition(b"\r\n")
    return rest[: int(size, 16)]


async def load(port: int, scripts: Sequence[Script], *, pid: int, seconds: float) -> Round:
    """Let every script run on a connection of its own for `seconds`."""
    loop = asyncio.get_running_loop()
    connections: list[_Connection] = []
    cpu, start = cpu_seconds(pid), time.perf_counter()
    for script in scripts:
        _, connection = await loop.create_connection(partial(_Connection, script), "127.0.0.1", port)
        connections.append(connection)
    await asyncio.sleep(seconds)
    for connection in connections:
        connection.going = False
    await asyncio.wait([connection.closed for connection in connections], timeout=5)
    took = time.perf_counter() - start
    return Round(
        requests=sum(connection.answered for connection in connections),
        failures=sum(connection.failed for connection in connections),
        seconds=took,
        cpu=cpu_seconds(pid) - cpu,
    )
