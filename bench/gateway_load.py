"""A closed-loop HTTP/1.1 load generator on keep-alive connections, and the CPU time of another process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path


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
    """CPU time of all threads of a process so far, in nanosecond resolution where the kernel gives it."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


class _Caller(asyncio.Protocol):
    """One connection that asks, waits for the whole answer, and asks the next."""

    def __init__(self, requests: Sequence[bytes], start: int, ending: bytes) -> None:
        self._requests, self._next, self._ending = requests, start, ending
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.answered = self.failed = 0
        self.going = True
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        self._next = (self._next + 1) % len(self._requests)
        self._transport.write(self._requests[self._next])

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        if not data.endswith(self._ending):
            self._buffer = data
            if len(data) > 65_536 or (b"\r\n\r\n" in data and not data.startswith(b"HTTP/1.1 200")):
                self.failed += 1
                assert self._transport is not None
                self._transport.close()
            return
        self._buffer = b""
        self.answered += 1
        if self.going:
            self._ask()
        else:
            assert self._transport is not None
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


async def load(
    port: int, requests: Sequence[bytes], *, ending: bytes, pid: int, seconds: float, connections: int = 32
) -> Round:
    """Ask for `seconds` over `connections` connections; every answer must be 200 and end with `ending`."""
    loop = asyncio.get_running_loop()
    stride = max(1, len(requests) // connections)
    callers: list[_Caller] = []
    cpu, start = cpu_seconds(pid), time.perf_counter()
    for number in range(connections):
        _, caller = await loop.create_connection(partial(_Caller, requests, number * stride, ending), "127.0.0.1", port)
        callers.append(caller)
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.going = False
    await asyncio.wait([caller.closed for caller in callers], timeout=5)
    took = time.perf_counter() - start
    return Round(
        requests=sum(caller.answered for caller in callers),
        failures=sum(caller.failed for caller in callers),
        seconds=took,
        cpu=cpu_seconds(pid) - cpu,
    )


def concurrency() -> str:
    """The machine in a word."""
    return f"{os.cpu_count()} cores"
