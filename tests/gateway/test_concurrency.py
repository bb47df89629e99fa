"""Calls under way at once: bounded over all workers of a gateway, and a place is free again however a call ends."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from gateway.live import Live, Quiet, wait_until
from kronborg.gateway.envoy import admin
from kronborg.gateway.limits_model import Concurrency
from kronborg.gateway.model import Path, Route, Service
from ports import free_port

ROUTE = Route("slow", Path("prefix", "/slow"), "slow", public=True, concurrency=Concurrency(2))


@dataclass
class Slow:
    """A service that answers when it is let."""

    held: int = 0
    go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    server: Quiet | None = None

    @property
    def service(self) -> Service:
        assert self.server is not None
        return Service("slow", (f"http://127.0.0.1:{self.server.server_address[1]}",))


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with made.lock:
                made.held += 1
            made.go.wait(20)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    made.server = Quiet(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=made.server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    made.go.set()
    made.server.die()


def publish(gateway: Live, slow: Slow, *routes: Route) -> None:
    snapshot = gateway.snapshot(*routes)
    gateway.deliver(replace(snapshot, services=(*snapshot.services, slow.service)))


def test_so_many_calls_are_under_way_and_no_more_over_all_workers(two_workers: Live, slow: Slow) -> None:
    other = replace(ROUTE, name="other", path=Path("prefix", "/other"), concurrency=None)
    publish(two_workers, slow, ROUTE, other)

    with ThreadPoolExecutor(16) as threads:
        first = [threads.submit(two_workers.get, "/slow") for _ in range(2)]
        wait_until(lambda: slow.held == 2)
        beyond = [two_workers.get("/slow") for _ in range(12)]
        # Another route to the same service has places of its own.
        free = threads.submit(two_workers.get, "/other")
        wait_until(lambda: slow.held == 3)
        slow.go.set()
        served = [one.result().status for one in (*first, free)]
    after = [two_workers.get("/slow").status for _ in range(4)]

    refused = beyond[0]
    assert {one.status for one in beyond} == {503}
    assert refused.json()["reason"] == "concurrency"
    assert refused.json()["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert refused.headers["retry-after"] == "1"
    assert (served, after) == ([200] * 3, [200] * 4)


def test_a_caller_who_hangs_up_gives_the_place_back(gateway: Live, slow: Slow) -> None:
    publish(gateway, slow, replace(ROUTE, concurrency=Concurrency(1)))
    ask = b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n"

    for number in range(1, 6):
        with socket.create_connection(("127.0.0.1", gateway.proxy.port)) as caller:
            caller.sendall(ask)
            wait_until(lambda: slow.held == number)  # noqa: B023  # asked at once
            assert gateway.get("/slow").status == 503
        # The next one in this loop gets the place, so it was given back.
        wait_until(lambda: _has_place(gateway))
    slow.go.set()

    assert gateway.get("/slow").status == 200


def _has_place(gateway: Live) -> bool:
    """Whether the proxy counts nothing under way to the service."""
    told: Any = asyncio.run(admin.read_json(gateway.proxy.admin, "/clusters?format=json&filter=^bounded"))
    hosts = [host for cluster in told["cluster_statuses"] for host in cluster["host_statuses"]]
    active = [stat for host in hosts for stat in host["stats"] if stat["name"] == "rq_active"]
    return bool(active) and all(int(stat.get("value", 0)) == 0 for stat in active)
