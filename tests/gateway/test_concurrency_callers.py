"""Calls under way for each caller: bounded, and a place is free again however a call ends; at a live Envoy."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler

import pytest

from gateway.live import API, Answer, Live, Quiet, wait_until
from kronborg.gateway.limits_model import Concurrency
from kronborg.gateway.model import Path, Route, Service
from ports import free_port

ROUTE = Route("slow", Path("prefix", "/slow"), "slow", audience=API, concurrency=Concurrency(2, per="client"))
OTHER = replace(ROUTE, name="other", path=Path("prefix", "/other"))
BRIEF = replace(ROUTE, name="brief", path=Path("prefix", "/brief"), timeout=timedelta(milliseconds=300))
DOWN = replace(ROUTE, name="down", path=Path("prefix", "/down"), service="down")
OPEN = replace(
    ROUTE,
    name="open",
    path=Path("prefix", "/open"),
    audience=None,
    public=True,
    concurrency=Concurrency(1, per="address"),
)


@dataclass
class Slow:
    """A service whose answers wait until they are let, but those under `/slow/at-once`."""

    held: int = 0
    go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self) -> Quiet:
        slow = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with slow.lock:
                    slow.held += 1
                kind = self.path.rpartition("/")[2]
                if kind == "breaks":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                if kind in ("half", "torn"):
                    self.send_response(200)
                    self.send_header("content-length", "10")
                    self.end_headers()
                    self.wfile.write(b"half")
                    self.wfile.flush()
                if kind != "at-once" and kind != "torn":
                    slow.go.wait(20)
                if kind in ("half", "torn"):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        made = Quiet(("127.0.0.1", free_port()), Handler)
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        return made


@dataclass
class World:
    live: Live
    slow: Slow
    threads: ThreadPoolExecutor
    client: str = "shop-web"

    def get(self, path: str, client: str = "", **headers: str) -> Answer:
        token = None if path.startswith("/open") else self.live.token(client_id=client or self.client)
        return self.live.get(path, token=token, headers=headers)

    def hold(self, path: str, client: str = "", **headers: str) -> Future[Answer]:
        """A call that is under way until `go`."""
        before = self.slow.held
        held = self.threads.submit(self.get, path, client, **headers)
        wait_until(lambda: self.slow.held > before)
        return held

    def torn(self) -> None:
        """A call whose answer breaks off in the middle."""
        with pytest.raises(IncompleteRead):
            self.get("/slow/torn")

    def hang_up(self, path: str) -> None:
        """A call whose caller goes away while the service is at it."""
        before = self.slow.held
        token = self.live.token(client_id=self.client)
        ask = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.live.proxy.port)) as caller:
            caller.sendall(ask.encode())
            wait_until(lambda: self.slow.held > before)
            if path.endswith("half"):
                caller.recv(1)


@pytest.fixture
def world(gateway: Live) -> Iterator[World]:
    slow = Slow()
    server = slow.serve()
    services = (
        Service("slow", (f"http://127.0.0.1:{server.server_address[1]}",)),
        Service("down", (f"http://127.0.0.1:{free_port()}",)),
    )
    snapshot = gateway.snapshot(ROUTE, OTHER, BRIEF, DOWN, OPEN)
    trusted = ("127.0.0.0/8",)
    gateway.deliver(replace(snapshot, services=(*snapshot.services, *services), trusted_proxies=trusted))
    with ThreadPoolExecutor(16) as threads:
        yield World(gateway, slow, threads)
        slow.go.set()
    server.die()


def test_each_client_has_so_many_calls_under_way_on_a_route(world: World) -> None:
    first = [world.hold("/slow") for _ in range(2)]

    refused = [world.get("/slow") for _ in range(30)]
    free = [world.hold("/slow", "other-client"), world.hold("/other")]
    world.slow.go.set()
    served = [one.result().status for one in (*first, *free)]
    after = [world.get("/slow").status for _ in range(8)]

    assert {one.status for one in refused} == {503}
    assert refused[0].json()["reason"] == "concurrency"
    assert refused[0].json()["violated-policies"] == ["concurrency"]
    assert refused[0].json()["type"] == "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
    assert refused[0].headers["retry-after"] == "1"
    assert (served, after) == ([200] * 4, [200] * 8)


ENDS: dict[str, Callable[[World], object]] = {
    "answered": lambda world: world.get("/slow/at-once"),
    "the caller hangs up": lambda world: world.hang_up("/slow"),
    "the caller hangs up in the answer": lambda world: world.hang_up("/slow/half"),
    "the service breaks off": lambda world: world.get("/slow/breaks"),
    "the service breaks off in its answer": lambda world: world.torn(),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_place_is_free_again_however_the_call_ends(world: World, end: str) -> None:
    own = replace(world, client=f"client-{end.replace(' ', '-')}")
    own.hold("/slow")

    for _ in range(5):
        ENDS[end](own)
        wait_until(lambda: own.get("/slow/at-once").status == 200)
    own.hold("/slow")

    assert own.get("/slow").status == 503


def test_a_place_is_free_again_after_its_time_and_where_nobody_answers(world: World) -> None:
    late = [world.get("/brief").status for _ in range(4)]
    unanswered = [world.get("/down").status for _ in range(6)]

    assert late == [504] * 4
    assert unanswered == [503] * 6
    assert world.get("/down").json()["reason"] == "service_unreachable"


def test_an_address_stands_for_its_network(world: World) -> None:
    held = world.hold("/open", **{"X-Forwarded-For": "2001:db8:0:7::1"})

    same = [world.get("/open", **{"X-Forwarded-For": one}) for one in ("2001:db8::7:0:0:0:9", "2001:db8:0:7:ffff::")]
    others = [
        world.get("/open/at-once", **{"X-Forwarded-For": one}).status
        for one in ("2001:db8:0:8::1", "2001:db8::7", "192.0.2.7", "192.0.2.8")
    ]
    world.slow.go.set()

    assert [one.json()["reason"] for one in same] == ["concurrency"] * 2
    assert others == [200] * 4
    assert held.result().status == 200
