"""A server that somebody else runs: answers what it is told, remembers what it was asked, on a loopback port.

    async with outside() as there:
        there.answers["/jwks"] = Answer(b'{"keys": []}')
        url = there.url("/jwks")        # http://127.0.0.1:12345/jwks
        there.asked                     # every request, in order

Only a `Fetcher(("127.0.0.0/8",))` calls it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ports import free_port

LOOPBACK = ("127.0.0.0/8", "::1/128")
"""What a fetcher has to allow to reach it."""


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Answer:
    """What is answered. `raw` is sent in place of everything else; `until` is waited for in the middle of the body."""

    body: bytes = b""
    media_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    until: asyncio.Event | None = None


@dataclass
class Outside:
    """The server. An answer may be made from the request."""

    port: int
    scheme: str = "http"
    host: str = "127.0.0.1"
    answers: dict[str, Answer | Callable[[Asked], Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def url(self, path: str, host: str | None = None) -> str:
        return f"{self.scheme}://{host or self.host}:{self.port}{path}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await _request(reader)
            self.asked.append(asked)
            answer = self.answers.get(asked.path.partition("?")[0], Answer(b"{}", status=404))
            await _send(writer, answer(asked) if callable(answer) else answer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def outside(tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> AsyncIterator[Outside]:
    """A running server; https with `tls`."""
    there = Outside(free_port(), "https" if tls else "http", f"[{host}]" if ":" in host else host)
    server = await asyncio.start_server(there.handle, host, there.port, ssl=tls)
    try:
        yield there
    finally:
        server.close()


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, path, headers, body)


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    if answer.raw is not None:
        writer.write(answer.raw)
        await writer.drain()
    else:
        headers = {"content-type": answer.media_type, "content-length": str(len(answer.body)), **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{lines}connection: close\r\n\r\n".encode())
        await writer.drain()
    if answer.until is not None:
        await answer.until.wait()
    if answer.raw is None:
        writer.write(answer.body)
        await writer.drain()
