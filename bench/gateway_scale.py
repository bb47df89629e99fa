"""What ten thousand routes cost: translating and publishing them, and each request, next to twenty routes.

`python -m bench.gateway_scale [routes]` prints one line per figure. One Envoy with one worker; requests are measured
as its CPU time, alternating between few and many routes, so that only the ratio matters.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path as Folder
from subprocess import Popen
from threading import Thread

from joserfc.jwk import ECKey

from kronborg.gateway.deliver import make_folder, prepare, put
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import envoy_argv, objection
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.translate import translate
from kronborg.gateway.model import Audience, Path, Route, Service, Snapshot
from kronborg.gateway.validate import problems_of

API = "https://shop.example/api"
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_REQUESTS = 20_000
_TICKS = os.sysconf("SC_CLK_TCK")


def routes(count: int) -> tuple[Route, ...]:
    """A mix: most of them protected, one in five a template, one in ten exact."""
    found = []
    for number in range(count):
        kind, path = "prefix", f"/area-{number % 100}/thing-{number}"
        if number % 10 == 1:
            kind = "exact"
        elif number % 5 == 0:
            kind, path = "template", f"{path}/{{id}}"
        guard: dict[str, object] = {"audience": API, "scopes": ("things:read",)} if number % 20 else {"public": True}
        found.append(Route(f"route-{number}", Path(kind, path), "origin", **guard))  # type: ignore[arg-type]
    return tuple(found)


def _snapshot(count: int, port: int, version: int) -> Snapshot:
    return Snapshot(
        issuer="http://localhost:8081",
        services=(Service("origin", (f"http://127.0.0.1:{port}",)),),
        routes=routes(count),
        audiences=(Audience(API, ("things:read",)),),
        version=version,
    )


def _serve(listening: socket.socket) -> None:
    """Answers whatever comes."""

    def answer(connection: socket.socket) -> None:
        with connection:
            while connection.recv(65_536):
                connection.sendall(_ANSWER)

    while True:
        connection, _ = listening.accept()
        Thread(target=answer, args=(connection,), daemon=True).start()


def _cpu(process: int) -> float:
    """Seconds of CPU that a process has used."""
    words = Folder(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / _TICKS


def _load(port: int, path: str, count: int) -> None:
    """So many requests over one connection, eight under way at a time."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 8
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(count // 8):
            connection.sendall(request)
            received = b""
            while received.count(b"\r\n\r\nok") < 8:
                part = connection.recv(262_144)
                if not part:
                    raise ConnectionError("the gateway closed the connection")
                received += part


def _timed(name: str, began: float) -> None:
    print(f"{name:32} {time.monotonic() - began:8.3f} s", flush=True)


async def _main(count: int, folder: Folder) -> None:
    origin = socket.create_server(("127.0.0.1", 0))
    Thread(target=_serve, args=(origin,), daemon=True).start()
    port = origin.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        proxy = Proxy(folder=folder / "gateway", port=free.getsockname()[1])
    keys = json.dumps({"keys": [ECKey.generate_key("P-256", {"kid": "1", "alg": "ES256"}).as_dict(private=False)]})
    make_folder(proxy)
    few, many = _snapshot(20, port, 1), _snapshot(count, port, 2)
    await _parts(many, keys, proxy)

    await prepare(few, keys, proxy)
    gateway = await asyncio.to_thread(Popen, envoy_argv(proxy.folder, concurrency=1))
    try:
        while not await admin.is_ready(proxy.admin):  # noqa: ASYNC110  # another process, nothing to wait for
            await asyncio.sleep(0.05)
        await _put("put, all of them new", many, keys, proxy, gateway.pid)
        changed = (*many.routes[:-1], replace(many.routes[-1], public=True, audience=None, scopes=()))
        await _put("put, one route changed", replace(many, routes=changed, version=3), keys, proxy, gateway.pid)
        await _requests(few, replace(many, version=4), keys, proxy, gateway.pid)
    finally:
        gateway.terminate()
        gateway.wait()


async def _put(name: str, snapshot: Snapshot, keys: str, proxy: Proxy, process: int) -> None:
    """Time, and CPU time of us, of what validates and of the gateway: on an idle core the sum is the time."""
    began, before, there = time.monotonic(), os.times(), _cpu(process)
    said = await put(snapshot, keys, proxy)
    after = os.times()
    assert said.status == "acked", said.reason
    _timed(name, began)
    ours = after.user + after.system - before.user - before.system
    theirs = after.children_user + after.children_system - before.children_user - before.children_system
    print(
        f"{'  CPU here, to validate, in Envoy':32} {ours:8.2f} + {theirs:.2f} + {_cpu(process) - there:.2f} s",
        flush=True,
    )


async def _parts(many: Snapshot, keys: str, proxy: Proxy) -> None:
    began = time.monotonic()
    assert problems_of(many) == ()
    _timed("problems_of", began)
    began = time.monotonic()
    files = translate(many, keys, proxy)
    _timed("translate", began)
    print(f"{'routes file':32} {len(files.rds) / 1e6:8.1f} MB", flush=True)
    began = time.monotonic()
    assert await objection(files.trial, proxy.folder / "scratch") is None
    _timed("envoy --mode validate", began)


async def _requests(few: Snapshot, many: Snapshot, keys: str, proxy: Proxy, process: int) -> None:
    """CPU per request, few and many by turns; public routes, so that only matching differs."""
    spent: dict[str, list[float]] = {"few": [], "many": []}
    for turn in range(3):
        for name, snapshot, path in (("few", few, "/area-0/thing-0/x"), ("many", many, "/area-60/thing-1060/x")):
            await put(replace(snapshot, version=10 + turn), keys, proxy)
            await asyncio.to_thread(_load, proxy.port, path, 2_000)
            before = _cpu(process)
            await asyncio.to_thread(_load, proxy.port, path, _REQUESTS)
            spent[name].append((_cpu(process) - before) / _REQUESTS * 1e6)
    medians = {name: sorted(each)[1] for name, each in spent.items()}
    print(f"{'CPU per request, 20 routes':32} {medians['few']:8.1f} us")
    print(f"{'CPU per request, ' + str(len(many.routes)) + ' routes':32} {medians['many']:8.1f} us")
    print(f"{'ratio':32} {medians['many'] / medians['few']:8.2f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, Folder(place)))
