"""Services that misbehave, for chaos tests: raw sockets, so that nothing is put right on the way out."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Misbehave = Callable[["Upstream", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """A service on a loopback port. `conduct` may be changed at any time; `calls` counts what reached it."""

    def __init__(self, conduct: Misbehave) -> None:
        self.conduct = conduct
        self.calls: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        self._ready.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _main(self) -> None:
        self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
        server = await asyncio.start_server(self._meet, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        meetings = asyncio.all_tasks() - {asyncio.current_task()}
        for task in meetings:
            task.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)
        await asyncio.sleep(0)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method = head.split(b" ", 1)[0].decode()
                self.calls[method] += 1
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        self.bodies.append(await reader.readexactly(int(line.split(b":")[1])))
                await self.conduct(self, reader, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    def stop(self) -> None:
        """Nobody listens there any more."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=5)


async def good(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(GOOD)


async def error(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


async def hang(_own: Upstream, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def reset(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    raise ConnectionResetError


async def reset_in_body(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.transport.abort()
    raise ConnectionResetError


async def hang_in_body(_own: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
    await writer.drain()
    await reader.read(1)


async def too_short(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
    await writer.drain()
    raise ConnectionResetError


async def too_long(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen")


async def two_lengths(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\nokokok")


async def byte_by_byte(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for byte in GOOD:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)


async def huge_headers(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx-huge: " + b"a" * 200_000 + b"\r\ncontent-length: 0\r\n\r\n")


async def no_http(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01 nonsense\r\n\r\n")


def flapping(period: int) -> Misbehave:
    """Good and bad in turns of `period` calls."""

    async def conduct(own: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bad = (own.calls.total() // period) % 2
        await (reset if bad else good)(own, reader, writer)

    return conduct


def slow(seconds: float) -> Misbehave:
    async def conduct(_own: Upstream, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(GOOD)

    return conduct
