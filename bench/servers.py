"""What `bench/tokens.py` measures: the floor, Kronborg with one and with two workers, oidc-provider, all running."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from argon2 import PasswordHasher

from bench import floor
from bench.flows import authorizing, bound, credentials, each_of, introspection, refreshing, signing_in
from bench.identity import CLIENT, JWT_API, PASSWORD, REFERENCE_API, TYPING, Prepared, prepare, settings_of
from bench.load import Script, always, cpu_seconds, get
from bench.store import big_store
from kronborg.core.migrate import migrate
from kronborg.signin.model import PasswordSettings

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One thing measured on one server. `steps` requests make one; `scripts` are made anew for so many requests."""

    name: str
    port: int
    pids: tuple[int, ...]
    scripts: Callable[[int], tuple[Script, ...]]
    steps: int = 1
    expected: int = 4000
    """Requests per second that there must be enough for."""
    paced: bool = False


@dataclass(frozen=True)
class World:
    """Everything that runs."""

    cases: list[Case]


@dataclass(frozen=True)
class Kronborg:
    """One installation that runs, with what is known about it."""

    port: int
    pids: tuple[int, ...]
    prepared: Prepared
    known: tuple[str, ...]


def start(stack: ExitStack, folder: Path, *, connections: int, peer: bool, big: bool) -> World:
    """Start every server; they end with `stack`."""
    single = _kronborg(stack, folder / "one", connections, big=big)
    double = _kronborg(stack, folder / "two", connections, big=big, workers=2)
    floor_port = free_port()
    granian = [sys.executable, "-m", "granian", "--interface", "asgi", "--workers", "1", "--loop", "uvloop"]
    quiet = ["--no-ws", "--log-level", "error", "--host", "127.0.0.1", "--port", str(floor_port), "bench.floor:app"]
    floor_pid = stack.enter_context(running([*granian, *quiet], floor_port))
    made = _Maker(connections)
    cases = [
        made.plain("floor jwt", floor_port, (floor_pid,), credentials(floor.SECRET, "bench:read", JWT_API)),
        made.plain("floor lookup", floor_port, (floor_pid,), introspection(floor.SECRET, floor.TOKEN)),
        *_cases(made, single),
        *_two_workers(made, double),
    ]
    if peer:
        cases += _peer_cases(stack, folder, made, single.prepared)
    return World(cases)


class _Maker:
    """Makes cases over so many connections."""

    def __init__(self, connections: int) -> None:
        self.connections = connections

    def plain(self, name: str, port: int, pids: tuple[int, ...], request: bytes, *, paced: bool = False) -> Case:
        """The same request always."""
        return self.scripted(name, port, pids, (always(request),) * self.connections, paced=paced)

    def scripted(
        self,
        name: str,
        port: int,
        pids: tuple[int, ...],
        scripts: tuple[Script, ...],
        *,
        steps: int = 1,
        paced: bool = False,
    ) -> Case:
        """One script for each connection."""
        return Case(name, port, pids, lambda _count: scripts, steps=steps, paced=paced)


def _kronborg(stack: ExitStack, folder: Path, connections: int, *, big: bool, workers: int = 1) -> Kronborg:
    folder.mkdir()
    known: tuple[str, ...] = ()
    port = free_port()
    settings = settings_of(folder, port, workers=workers)
    if big:
        store = big_store()
        store.copy_to(folder)
        known = store.known
    migrate(settings.database_url)
    prepared = asyncio.run(prepare(settings, connections=connections))
    command = [sys.executable, "-m", "bench.identity", str(folder), str(port), str(workers)]
    pids = tuple(stack.enter_context(running(command, port)) for _ in range(workers))
    if workers > 1:
        time.sleep(2)  # the port answers with the first of them
    return Kronborg(port, pids, prepared, known)


def _cases(made: _Maker, here: Kronborg) -> list[Case]:
    port, pids, prepared = here.port, here.pids, here.prepared
    secret = prepared.secret
    reference = credentials(secret, "bench:count", REFERENCE_API)
    tokens = here.known or (one_token(port, reference),)
    asking = [introspection(secret, token) for token in tokens]
    turns = tuple(each_of(asking, number * len(asking) // made.connections) for number in range(made.connections))
    etag = _etag(port)
    typing = tuple(signing_in(f"typist-{number}") for number in range(TYPING))

    def proofs(count: int) -> tuple[Script, ...]:
        return bound(secret, made.connections, count)

    return [
        made.plain("kronborg jwt", port, pids, credentials(secret, "bench:read", JWT_API), paced=True),
        made.plain("kronborg reference", port, pids, reference, paced=True),
        made.scripted("kronborg introspect", port, pids, turns, paced=True),
        made.scripted("kronborg refresh", port, pids, tuple(map(refreshing, prepared.refresh_tokens)), paced=True),
        made.scripted(
            "kronborg PAR, authorize, code",
            port,
            pids,
            tuple(authorizing(one, prepared.first_party_secret) for one in prepared.sessions),
            steps=3,
            paced=True,
        ),
        Case("kronborg DPoP-bound jwt", port, pids, proofs, expected=3500, paced=True),
        made.plain("kronborg discovery", port, pids, get("/.well-known/openid-configuration"), paced=True),
        made.plain("kronborg JWKS", port, pids, get("/oauth/jwks"), paced=True),
        made.plain("kronborg JWKS 304", port, pids, get("/oauth/jwks", f"If-None-Match: {etag}")),
        # As many as are let wait at once: more would be told to come back.
        made.scripted("kronborg password sign-in", port, pids, typing),
    ]


def _two_workers(made: _Maker, here: Kronborg) -> list[Case]:
    secret = here.prepared.secret
    jwt, reference = credentials(secret, "bench:read", JWT_API), credentials(secret, "bench:count", REFERENCE_API)
    return [
        made.plain("kronborg two workers jwt", here.port, here.pids, jwt),
        made.plain("kronborg two workers reference", here.port, here.pids, reference),
    ]


def _peer_cases(stack: ExitStack, folder: Path, made: _Maker, prepared: Prepared) -> list[Case]:
    """The cases of oidc-provider; none when Node or the package is missing."""
    node, home = shutil.which("node"), HERE / "oidc_provider"
    if node is None or not (home / "node_modules").exists():
        sys.stderr.write("oidc-provider is left out: run npm install in bench/oidc_provider\n")
        return []
    secret, tokens = prepared.secret, folder / "peer.json"

    def peer() -> tuple[int, tuple[int, ...]]:
        port = free_port()
        command = [node, str(home / "server.mjs"), str(port), CLIENT, secret, str(tokens), str(made.connections)]
        return port, (stack.enter_context(running(command, port, quiet=True)),)

    port, pids = peer()
    reference = credentials(secret, "bench:count", REFERENCE_API, path="/token")
    # Its store forgets all but the last thousand: what has to stay is alone in a process of its own.
    third, third_pids = peer()
    other, other_pids = peer()
    asking = introspection(secret, one_token(third, reference), path="/token/introspection")
    rotating = tuple(refreshing(one, "bench-web", path="/token") for one in json.loads(tokens.read_text()))
    return [
        made.plain("oidc-provider jwt", port, pids, credentials(secret, "bench:read", JWT_API, path="/token")),
        made.plain("oidc-provider reference", port, pids, reference),
        made.plain("oidc-provider introspect", third, third_pids, asking),
        made.scripted("oidc-provider refresh", other, other_pids, rotating),
    ]


def password_ceiling(seconds: float) -> float:
    """Comparisons with a hash per second that this machine can do, on as many threads as the product uses."""
    settings = PasswordSettings()
    hasher = PasswordHasher(settings.passes, settings.memory_kib, settings.lanes)
    encoded = hasher.hash(PASSWORD)
    until = time.perf_counter() + seconds

    def compare(_thread: int) -> int:
        done = 0
        while time.perf_counter() < until:
            hasher.verify(encoded, PASSWORD)
            done += 1
        return done

    with ThreadPoolExecutor(settings.at_once) as threads:
        return sum(threads.map(compare, range(settings.at_once))) / seconds


def one_token(port: int, request: bytes) -> str:
    """The access token of one answer."""
    return str(orjson.loads(_answer(port, request)[1])["access_token"])


def _etag(port: int) -> str:
    head, _ = _answer(port, get("/oauth/jwks"))
    line = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"etag:"))
    return line.partition(b":")[2].strip().decode()


def _answer(port: int, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of one answer; the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        parts = list(iter(lambda: connection.recv(65536), b""))
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    return head, body


@contextmanager
def running(command: Sequence[str], port: int, *, quiet: bool = False) -> Iterator[int]:
    """A server process, from the moment it listens until the block ends."""
    process = subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL if quiet else None
    )
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None:
                raise RuntimeError(f"{command[2]} stopped at once")
            time.sleep(0.05)
        else:
            raise RuntimeError(f"{command[2]} does not listen")
        cpu_seconds(process.pid)
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)


def free_port() -> int:
    """A port below the range of outgoing connections, free a moment ago."""
    start = 20_000 + os.getpid() % 1000 * 10
    for port in itertools.chain(range(start, 32_000), range(20_000, start)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise RuntimeError("no port is free")
