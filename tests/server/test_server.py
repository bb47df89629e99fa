"""The server bounds what a client may send and how slowly, and finishes what is under way when told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from kronborg import server
from kronborg.server import MAX_HEAD, serve
from ports import free_port

pytestmark = pytest.mark.anyio


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@asynccontextmanager
async def running() -> AsyncIterator[tuple[int, asyncio.Event]]:
    port, stop = free_port(), asyncio.Event()
    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    task = asyncio.create_task(serve(app, host="127.0.0.1", port=port, stop=stop))
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            break
    yield port, stop
    stop.set()
    await task


async def talk(port: int, *parts: bytes) -> bytes:
    """Send the parts, then read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


GOOD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n"


async def test_a_request_in_pieces_is_answered() -> None:
    async with running() as (port, _):
        answer = await talk(port, GOOD, b"connection: close\r\n\r\n", b"ab", b"c")

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n3")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", GOOD + b"\r\na"])
async def test_a_request_that_does_not_arrive_in_time_is_cut_off(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(server, "HEAD_WITHIN", 0.2)
    monkeypatch.setattr(server, "BODY_WITHIN", 0.2)

    async with running() as (port, _):
        answer = await talk(port, sent)

    assert answer.startswith(b"HTTP/1.1 408")


async def test_a_head_without_end_is_refused() -> None:
    async with running() as (port, _):
        answer = await talk(port, b"GET / HTTP/1.1\r\nhost: x\r\n", b"x-more: " + b"y" * MAX_HEAD)

    assert answer.startswith(b"HTTP/1.1 431")


async def test_the_timers_of_one_request_do_not_hit_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_WITHIN", 0.8)
    request = GOOD + b"\r\nabc"
    async with running() as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(1)
            await asyncio.sleep(0.45)
        writer.close()
