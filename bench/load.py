"""An HTTP/1.1 load generator on keep-alive connections, and the CPU time of a server's processes.

`load` is a closed loop: each connection asks as soon as it was answered, which shows the rate a server can give. `pace`
is an open loop: requests begin at fixed times whether or not earlier ones were answered, and are timed from the moment
they were due, so that a server that stalls cannot hide it. Each connection has a script that says what to send next.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

_TICK = os.sysconf("SC_CLK_TCK")
Script = Callable[[bytes, bytes], bytes]
"""From head and body of the last answer (empty at first) to the next request. A `ValueError` counts as a failure."""


@dataclass(frozen=True)
class Round:
    """What one round saw: answers, those that were refusals or not understood, seconds, CPU seconds of the server."""

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


@dataclass(frozen=True)
class Latency:
    """What a paced round saw: milliseconds from when a request was due to its whole answer."""

    rate: float
    p50: float
    p99: float
    worst: float
    failures: int


def cpu_seconds(*pids: int) -> float:
    """CPU time of processes, their threads and their living children, from /proc/PID/stat."""
    total = 0
    for one in _families(pids):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def _families(pids: Sequence[int]) -> list[int]:
    found = list(pids)
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def form(path: str, body: str, *headers: str) -> bytes:
    """A POST of a form as bytes."""
    more = "".join(f"{line}\r\n" for line in headers)
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def get(path: str, *headers: str) -> bytes:
    """A GET as bytes."""
    more = "".join(f"{line}\r\n" for line in headers)
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode()


def always(request: bytes) -> Script:
    """The same request again and again."""
    return lambda _head, _body: request


class _Connection(asyncio.Protocol):
    """One connection: sends what its script says, and tells when the answer is whole."""

    def __init__(self, script: Script, answered: Callable[[_Connection], None]) -> None:
        self._script, self._on_answer = script, answered
        self._head = self._body = self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.answered = self.failed = 0
        self.due = 0.0
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        """Send the next request of the script."""
        assert self._transport is not None
        try:
            request = self._script(self._head, self._body)
        except (ValueError, KeyError, IndexError):
            self.failed += 1
            request = self._script(b"", b"")
        self._transport.write(request)

    def end(self) -> None:
        """Close it; its script still learns of the last answer, which may hold the token for the next run."""
        if self._head:
            with contextlib.suppress(ValueError, KeyError, IndexError):
                self._script(self._head, self._body)
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = data = self._buffer + data if self._buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return
        body = _body(data, end)
        if body is None:
            return
        self._buffer, self._head, self._body = b"", data[:end], body
        self.answered += 1
        if data[9:10] not in b"23":
            self.failed += 1
        self._on_answer(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


def _body(data: bytes, end: int) -> bytes | None:
    """The body of an answer whose head ends at `end`; None while it is incomplete."""
    if data[9:12] in (b"204", b"304"):
        return b""
    head = data[:end].lower()
    at = head.find(b"content-length:")
    if at >= 0:
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        return data[end + 4 :] if len(data) - end - 4 >= length else None
    if not data.endswith(b"0\r\n\r\n"):
        return None
    size, _, rest = data[end + 4 :].partition(b"\r\n")
    return rest[: int(size, 16)]


async def _open(port: int, scripts: Sequence[Script], answered: Callable[[_Connection], None]) -> list[_Connection]:
    loop, opened = asyncio.get_running_loop(), []
    for script in scripts:
        _, connection = await loop.create_connection(partial(_Connection, script, answered), "127.0.0.1", port)
        opened.append(connection)
    return opened


async def load(port: int, scripts: Sequence[Script], *, pids: Sequence[int], seconds: float) -> Round:
    """Let every script run on a connection of its own for `seconds`, as fast as it is answered."""
    going = True

    def answered(connection: _Connection) -> None:
        if going:
            connection.ask()
        else:
            connection.end()

    connections = await _open(port, scripts, answered)
    cpu, start = cpu_seconds(*pids), time.perf_counter()
    for connection in connections:
        connection.ask()
    await asyncio.sleep(seconds)
    going = False
    await asyncio.wait([connection.closed for connection in connections], timeout=5)
    took = time.perf_counter() - start
    return Round(
        requests=sum(connection.answered for connection in connections),
        failures=sum(connection.failed for connection in connections),
        seconds=took,
        cpu=cpu_seconds(*pids) - cpu,
    )


async def pace(port: int, scripts: Sequence[Script], *, rate: float, seconds: float) -> Latency:
    """Let requests begin `rate` times a second, on whichever connection is free; time each from when it was due."""
    times: list[float] = []
    free: deque[_Connection] = deque()
    due: deque[float] = deque()

    def answered(connection: _Connection) -> None:
        times.append(time.perf_counter() - connection.due)
        if due:
            begin(connection, due.popleft())
        else:
            free.append(connection)

    def begin(connection: _Connection, when: float) -> None:
        connection.due = when
        connection.ask()

    connections = await _open(port, scripts, answered)
    free.extend(connections)
    for when in _schedule(rate, seconds):
        wait = when - time.perf_counter()
        # Also when it is late: answers that are there are to be read first.
        await asyncio.sleep(max(0.0, wait))
        if free:
            begin(free.popleft(), when)
        else:
            due.append(when)
    for _ in range(500):
        if len(free) == len(connections):
            break
        await asyncio.sleep(0.01)
    for connection in connections:
        connection.end()
    times.sort()
    if not times:
        raise RuntimeError("nothing was answered")
    p50, p99 = (times[min(len(times) - 1, int(len(times) * share))] * 1e3 for share in (0.5, 0.99))
    unanswered = len(due) + len(connections) - len(free)
    return Latency(rate, p50, p99, times[-1] * 1e3, sum(one.failed for one in connections) + unanswered)


def _schedule(rate: float, seconds: float) -> Iterator[float]:
    start = time.perf_counter()
    for number in range(max(1, int(rate * seconds))):
        yield start + number / rate
