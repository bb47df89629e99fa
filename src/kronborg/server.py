"""Serves an ASGI app in this process until it is told to stop.

The server is a measured choice (see `docs/adr/`): Granian parses HTTP in Rust with bounded buffers and
header timeouts, and costs per request what Uvicorn does. Nothing else in the product knows its name.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from granian.constants import Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server
from starlette.types import ASGIApp

HEADER_TIMEOUT = 10_000
"""Milliseconds a client may take to send its request head: slow ones are cut off."""
MAX_HEAD = 64 * 1024
"""Bytes of request line and headers buffered per connection."""


async def serve(app: ASGIApp, *, host: str, port: int, stop: asyncio.Event) -> None:
    """Answer requests at `host:port` until `stop` is set, then finish those under way."""
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        backlog=1024,
        backpressure=512,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT, max_buffer_size=MAX_HEAD),
        http2_settings=HTTP2Settings(max_headers_size=MAX_HEAD, max_concurrent_streams=64),
        websockets=False,
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        server.stop()  # type: ignore[no-untyped-call]  # granian's own method
    await serving


def run_until_signalled(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `main(stop)` on uvloop; `stop` is set by SIGTERM or SIGINT."""

    async def entry() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(entry())


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
