"""Serves an ASGI app in this process until it is told to stop.

Which server is a measured choice (docs/adr/0007): Uvicorn with httptools costs an app of ours a fifth less processor
time per request than Granian. What it lacks is added here: a request head is bounded in size, and a request must
arrive in time, so that nobody holds connections by sending slowly. Nothing else in the product knows the server's name.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kronborg.core.client_certificate import CERTIFICATES
from kronborg.core.tls import peer_certificates

HEAD_WITHIN = 10.0
"""Seconds a client may take to send the request line and the headers; as long may it stay silent at first."""
BODY_WITHIN = 30.0
"""Seconds it may take for the rest."""
MAX_HEAD = 64 * 1024
"""Bytes of request line and headers."""
KEEP_ALIVE = 60
"""Seconds a connection may idle between two requests."""
MAX_CONNECTIONS = 4096
"""Connections, or requests under way, beyond which the answer is 503."""
STOP_WITHIN = 5
"""Seconds that requests under way have to finish when the process is told to stop."""


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with a bound on the size of a head and on the time a request takes to arrive.

    A request that arrives in one piece, as nearly all do, never arms a timer.
    """

    _seen = 0
    _deadline: asyncio.TimerHandle | None = None
    _certificates: tuple[bytes, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the parent
        """A new connection has to say something soon."""
        super().connection_made(transport)
        self._arm(HEAD_WITHIN)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._certificates = peer_certificates(tls)

    def on_message_begin(self) -> None:
        """A new request, of whom TLS says it is."""
        super().on_message_begin()
        if self._certificates:
            self.scope[CERTIFICATES] = self._certificates  # type: ignore[typeddict-unknown-key]  # our own

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then see whether more has to come, and how soon."""
        super().data_received(data)
        cycle = self.cycle
        # The parent makes a scope when a request begins, and a cycle with that scope when its head is complete.
        if cycle is None or cycle.scope is not self.scope:
            self._seen += len(data)
            if self._seen > MAX_HEAD:
                self._end(b"431 Request Header Fields Too Large")
            elif self._deadline is None:
                self._arm(HEAD_WITHIN)
        elif cycle.more_body:
            if self._seen or self._deadline is None:
                self._arm(BODY_WITHIN)
            self._seen = 0
        elif self._deadline is not None:
            self._disarm()
            self._seen = 0

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._end, b"408 Request Timeout")

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, status: bytes) -> None:
        self._disarm()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()


class _Server(uvicorn.Server):
    """Uvicorn's server without its signal handlers: `run_until_signalled` has those."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    tls: ssl.SSLContext | None = None,
    share: bool = False,
    own: socket.socket | None = None,
) -> None:
    """Answer requests at `host:port` until `stop` is set, then finish those under way; over TLS with a context.

    With `share` other processes may listen there too, each with a share of the connections. `own` is a socket that
    listens already, for this process alone: by it the supervisor asks whether this very process is ready.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=1024,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=STOP_WITHIN,
    )
    config.load()
    config.ssl = tls
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    # What was made at the start stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):  # another libc has no such call
        ctypes.CDLL(None).malloc_trim(0)  # 3 MB that only the start needed
    ending = asyncio.create_task(end())
    try:
        sockets = None if not share and own is None else [*_listening(host, port, share=share), *([own] if own else [])]
        await server.serve(sockets)
    finally:
        ending.cancel()
        stop.set()


def _listening(host: str, port: int, *, share: bool) -> list[socket.socket]:
    """Sockets bound to every address of the host. With `share`, Linux spreads connections over all who listen there."""
    opened = []
    for family, kind, number, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        one = socket.socket(family, kind, number)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        opened.append(one)
    return opened


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
