"""The probe against a real server: what it asks, what it never does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kronborg.gateway.model import Path, Route, Service, Snapshot
from kronborg.gateway.traffic_model import Rewrite
from kronborg.traffic.probe import Question, ask, probe, questions
from ports import free_port

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


class Naked(BaseHTTPRequestHandler):
    """Answers /open to anybody, sends /moved there, and asks for a token at /shut."""

    seen: list[tuple[str, str, str | None]]

    def do_GET(self) -> None:
        self.server.seen.append((self.command, self.path, self.headers.get("authorization")))  # type: ignore[attr-defined]
        self.send_response({"/open": 200, "/moved": 302}.get(self.path, 401))
        self.send_header("location", "/open")
        self.send_header("content-length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@pytest.fixture
def naked() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Naked)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def route(name: str, path: Path, **more: object) -> Route:
    return Route(name, path, "orders", audience="https://shop.example/orders", **more)  # type: ignore[arg-type]


async def test_a_service_that_answers_without_a_token_is_told_and_no_redirect_is_followed(
    naked: ThreadingHTTPServer,
) -> None:
    url = f"http://127.0.0.1:{naked.server_port}"
    routes = (
        route("open", Path("exact", "/open")),
        route("moved", Path("exact", "/moved")),
        route("shut", Path("exact", "/shut"), methods=("HEAD",)),
    )
    snapshot = Snapshot("https://id.example", (Service("orders", (url,), probe=True),), routes)

    found = await probe(snapshot, everywhere=False, now=NOW)

    assert sorted((one.url, one.method, one.outcome, one.status) for one in found) == [
        (f"{url}/moved", "GET", "refused", 302),
        (f"{url}/open", "GET", "answered", 200),
        (f"{url}/shut", "HEAD", "refused", 401),
    ]
    seen = naked.seen  # type: ignore[attr-defined]
    assert sorted(seen) == [("GET", "/moved", None), ("GET", "/open", None), ("HEAD", "/shut", None)]


def test_only_what_is_declared_protected_and_switched_on_is_asked() -> None:
    routes = (
        route("a", Path("prefix", "/a")),
        route("b", Path("template", "/b/{id}")),
        route("c", Path("exact", "/c"), methods=("POST",)),
        route("d", Path("prefix", "/d"), rewrite=Rewrite(prefix="/inner", host="orders.internal")),
        Route("e", Path("prefix", "/e"), "orders", public=True),
    )
    asked = Service("orders", ("http://10.0.0.1",))
    on, off = Snapshot("x", (asked,), routes), Snapshot("x", (Service("orders", asked.urls, probe=False),), routes)

    assert list(questions(on, everywhere=False)) == []
    assert list(questions(off, everywhere=True)) == []
    assert [(one.method, one.url, one.host) for one in questions(on, everywhere=True)] == [
        ("GET", "http://10.0.0.1/a", ""),
        ("GET", "http://10.0.0.1/inner", "orders.internal"),
    ]


def test_what_does_not_answer_is_unreachable() -> None:
    assert ask(Question("orders", f"http://127.0.0.1:{free_port()}", "/", "GET")) == ("unreachable", 0)
    assert ask(Question("orders", "ftp://127.0.0.1", "/", "GET")) == ("unreachable", 0)
