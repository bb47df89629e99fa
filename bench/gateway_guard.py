"""What a guarded request costs, and that others pay nothing: `python -m bench.gateway_guard`.

One Envoy worker and one control endpoint. CPU per request of both processes, for a route without a guard, one with
bounds on its head, one whose JSON is looked at and held against a document, one with a policy that must be asked.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path as FilePath

sys.path[:0] = [str(FilePath(__file__).parents[1] / "tests")]

import psutil  # noqa: E402

from gateway.guarding import Desk, described, serving  # noqa: E402
from gateway.live import API, Live  # noqa: E402
from kronborg.gateway.content_model import Bots, Content, Sizes  # noqa: E402
from kronborg.gateway.model import Path, Route  # noqa: E402

REQUESTS = 3000
ITEM = {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}, "name": {"type": "string"}}}
SCHEMA = {"type": "object", "properties": {"items": {"type": "array", "items": ITEM}}}
POST = {"post": {"requestBody": {"content": {"application/json": {"schema": SCHEMA}}}}}
DOCUMENT = {"openapi": "3.1.0", "info": {"title": "Shop", "version": "1"}, "paths": {"/described": POST}}
BODY = json.dumps({"items": [{"price": n, "name": f"item {n}"} for n in range(20)]}).encode()
POLICY = "permit(principal, action, resource) when { context.claims.level > 3 };"


def routes(*, guarded: bool) -> tuple[Route, ...]:
    """All routes, or only the one that asks for nothing."""
    plain = Route("plain", Path("prefix", "/plain"), "echo", public=True)
    if not guarded:
        return (plain,)
    return (
        plain,
        Route("sizes", Path("prefix", "/sizes"), "echo", public=True, sizes=Sizes(2000, 20, 40, 8000)),
        Route("bots", Path("prefix", "/bots"), "echo", public=True, bots=Bots()),
        Route("described", Path("prefix", "/described"), "echo", public=True, content=Content(validate="enforce")),
        Route("policy", Path("prefix", "/policy"), "echo", audience=API, policy=POLICY),
    )


def _serve(secret: str, port: int, ready: Callable[[], None], stop: Callable[[], bool]) -> None:
    desk = Desk(secret)
    desk.routes = {route.name: route for route in routes(guarded=True)}
    desk.documents = {"echo": described(json.dumps(DOCUMENT).encode())}
    with serving(desk, port):
        ready()
        stop()


def measure(live: Live, guard: psutil.Process, path: str, body: bytes | None, token: str | None) -> tuple[float, float]:
    """Microseconds of CPU per request: of Envoy, and of the endpoint."""
    assert live.process is not None
    envoy = psutil.Process(live.process.pid)
    connection = http.client.HTTPConnection("127.0.0.1", live.proxy.port)
    headers = {"content-type": "application/json", "user-agent": "bench"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    before = [sum(one.cpu_times()[:2]) for one in (envoy, guard)]
    for _ in range(REQUESTS):
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    after = [sum(one.cpu_times()[:2]) for one in (envoy, guard)]
    connection.close()
    return tuple((late - early) / REQUESTS * 1e6 for early, late in zip(before, after, strict=True))  # type: ignore[return-value]


def main() -> None:
    """Measure each twice and print the smaller."""
    with tempfile.TemporaryDirectory() as folder:
        live = Live(FilePath(folder))
        live.exchange.stop()
        ready, stop = multiprocessing.Event(), multiprocessing.Event()
        told = (live.exchange.secret, live.proxy.exchange_port, ready.set, stop.wait)
        child = multiprocessing.get_context("fork").Process(target=_serve, args=told, daemon=True)
        child.start()
        ready.wait(20)
        guard = psutil.Process(child.pid)
        token = live.token(level=4)
        live.publish(*routes(guarded=False))
        time.sleep(0.5)
        rows: list[tuple[str, str, bytes | None, str | None]] = [
            ("plain, no guard in the snapshot", "/plain", None, None)
        ]
        show(live, guard, rows)
        live.publish(*routes(guarded=True))
        time.sleep(0.5)
        rows = [
            ("plain, guarded routes beside it", "/plain", None, None),
            ("plain, 1 KB of JSON", "/plain", BODY, None),
            ("bounds on the head", "/sizes", None, None),
            ("rules against bots", "/bots", None, None),
            ("1 KB of JSON against a document", "/described", BODY, None),
            ("policy that is asked, with a token", "/policy", None, token),
        ]
        show(live, guard, rows)
        stop.set()
        child.join(10)
        live.kill()
        live.upstream.die()


def show(live: Live, guard: psutil.Process, rows: list[tuple[str, str, bytes | None, str | None]]) -> None:
    """One line each."""
    for name, path, body, token in rows:
        runs = [measure(live, guard, path, body, token) for _ in range(2)]
        envoy, python = (min(run[at] for run in runs) for at in (0, 1))
        print(f"{name:38} Envoy {envoy:6.0f} us   control process {python:6.0f} us", flush=True)


if __name__ == "__main__":
    main()
