"""A guard for tests: our endpoint as the control process has it, behind the port that Envoy asks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

from gateway.live import ISSUER, Live
from kronborg.gateway.access_model import TokenIssuer
from kronborg.gateway.documents_compile import Compiled, compile_document
from kronborg.gateway.documents_model import Described
from kronborg.gateway.documents_read import read
from kronborg.gateway.guard_endpoint import GuardApp, Rule
from kronborg.gateway.model import Route


class Desk:
    """What is published, as the endpoint sees it; tests change it."""

    def __init__(self, secret: str) -> None:
        self.routes: dict[str, Route] = {}
        self.documents: dict[str, Described] = {}
        self.issuers: tuple[TokenIssuer, ...] = ()
        self.asked = 0
        self.slow = False
        self.raw: list[tuple[Mapping[bytes, bytes], bytes]] = []
        self._app = GuardApp(self._rule, secret=secret)

    async def _rule(self, name: str) -> Rule | None:
        self.asked += 1
        if self.slow:
            await asyncio.sleep(3)
        route = self.routes.get(name)
        return None if route is None else Rule(route, self.documents.get(route.service), self.issuers, ISSUER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._app(scope, receive, send)


def compiled(content: bytes) -> Compiled:
    """A document as it is kept and made ready."""
    return compile_document(orjson.loads(read(content).content))


def described(content: bytes) -> Described:
    """A document as it is kept."""
    text = read(content)
    return Described(text.digest, text.content.encode())


@contextlib.contextmanager
def guarding(live: Live) -> Iterator[Desk]:
    """In place of the exchange of `live`, which answers again afterwards."""
    desk = Desk(live.exchange.secret)
    live.exchange.stop()
    with serving(desk, live.proxy.exchange_port):
        try:
            yield desk
        finally:
            pass
    live.exchange.start()


@contextlib.contextmanager
def serving(app: Callable[..., object], port: int) -> Iterator[None]:
    """Answers on a port of this machine until it is left."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        from gateway.live import wait_until

        wait_until(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
