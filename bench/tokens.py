"""Tokens per second and CPU microseconds per token: Kronborg against its floor and against oidc-provider.

All servers are up at once; rounds are interleaved, so that what the machine does meanwhile hits all alike; figures are
medians over the rounds. Every case sends the same bytes to every server that can answer it.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import orjson

from bench import floor
from bench.identity import CLIENT, JWT_API, PUBLIC, REFERENCE_API, Prepared, prepare, settings_of
from bench.load import Round, Script, always, cpu_seconds, form, load
from kronborg.core.migrate import migrate

HERE = Path(__file__).parent
CONNECTIONS = 32


@dataclass(frozen=True)
class Case:
    """One thing measured on one server."""

    name: str
    port: int
    pid: int
    scripts: tuple[Script, ...]


@dataclass(frozen=True)
class Figure:
    """The medians of one case."""

    name: str
    rate: float
    micros: float
    failures: int


@dataclass(frozen=True)
class Bar:
    """A promise: a ratio of two figures, and its limit."""

    name: str
    value: float
    limit: float
    at_most: bool

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def run(*, quick: bool = False, peer: bool = True) -> tuple[list[Figure], list[Bar]]:
    """Start everything, measure, stop everything."""
    rounds, seconds = (3, 1.5) if quick else (7, 3.0)
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="kronborg-bench-") as folder:
        cases = _start(stack, Path(folder), peer=peer)
        figures = asyncio.run(_measure(cases, rounds=rounds, seconds=seconds))
    return figures, bars(figures)


def bars(figures: Sequence[Figure]) -> list[Bar]:
    """The promises that these figures can answer."""
    by_name = {figure.name: figure for figure in figures}
    cost = {name: figure.micros for name, figure in by_name.items()}
    kept = [
        Bar("JWT: CPU against the floor", cost["kronborg jwt"] / cost["floor jwt"], 1.5, at_most=True),
        Bar("reference: CPU against the floor", cost["kronborg reference"] / cost["floor jwt"], 3, at_most=True),
        Bar(
            "introspection: CPU against the floor", cost["kronborg introspect"] / cost["floor lookup"], 2, at_most=True
        ),
        Bar("refresh: CPU against the floor", cost["kronborg refresh"] / cost["floor jwt"], 4, at_most=True),
    ]
    if "oidc-provider jwt" in by_name:
        rate = {name: figure.rate for name, figure in by_name.items()}
        kept += [
            Bar("JWT: rate against oidc-provider", rate["kronborg jwt"] / rate["oidc-provider jwt"], 2, at_most=False),
            Bar(
                "reference: rate against oidc-provider (in memory)",
                rate["kronborg reference"] / rate["oidc-provider reference"],
                0.8,
                at_most=False,
            ),
        ]
    return kept


async def _measure(cases: Sequence[Case], *, rounds: int, seconds: float) -> list[Figure]:
    seen: dict[str, list[Round]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        for case in cases:
            one = await load(case.port, case.scripts, pid=case.pid, seconds=0.5 if number == 0 else seconds)
            if number:  # the first is for warming up
                seen[case.name].append(one)
    return [
        Figure(
            name,
            median(one.rate for one in taken),
            median(one.micros for one in taken),
            sum(one.failures for one in taken),
        )
        for name, taken in seen.items()
    ]


def _start(stack: ExitStack, folder: Path, *, peer: bool) -> list[Case]:
    port = _free_port()
    settings = settings_of(folder, port)
    migrate(settings.database_url)
    prepared = asyncio.run(prepare(settings, refresh_tokens=CONNECTIONS))
    command = [sys.executable, "-m", "bench.identity", str(folder), str(port)]
    pid = stack.enter_context(_running(command, port))
    floor_port = _free_port()
    granian = [sys.executable, "-m", "granian", "--interface", "asgi", "--workers", "1", "--loop", "uvloop"]
    quiet = ["--no-ws", "--log-level", "error", "--host", "127.0.0.1", "--port", str(floor_port), "bench.floor:app"]
    floor_pid = stack.enter_context(_running([*granian, *quiet], floor_port))
    cases = [
        _case("floor jwt", floor_port, floor_pid, _credentials(floor.SECRET, "bench:read", JWT_API)),
        _case("floor lookup", floor_port, floor_pid, _introspection(floor.SECRET, floor.TOKEN)),
        *_kronborg_cases(port, pid, prepared),
    ]
    if peer:
        cases += _peer_cases(stack, prepared)
    return cases


def _kronborg_cases(port: int, pid: int, prepared: Prepared) -> list[Case]:
    reference = _credentials(prepared.secret, "bench:count", REFERENCE_API)
    token = asyncio.run(_one_token(port, pid, reference))
    return [
        _case("kronborg jwt", port, pid, _credentials(prepared.secret, "bench:read", JWT_API)),
        _case("kronborg reference", port, pid, reference),
        _case("kronborg introspect", port, pid, _introspection(prepared.secret, token)),
        Case("kronborg refresh", port, pid, tuple(_refreshing(first) for first in prepared.refresh_tokens)),
    ]


def _peer_cases(stack: ExitStack, prepared: Prepared) -> list[Case]:
    """The cases of oidc-provider; none when Node or the package is missing."""
    node, folder = shutil.which("node"), HERE / "oidc_provider"
    if node is None or not (folder / "node_modules").exists():
        sys.stderr.write("oidc-provider is left out: run npm install in bench/oidc_provider\n")
        return []
    port = _free_port()
    pid = stack.enter_context(
        _running([node, str(folder / "server.mjs"), str(port), CLIENT, prepared.secret], port, quiet=True)
    )
    return [
        _case("oidc-provider jwt", port, pid, _credentials(prepared.secret, "bench:read", JWT_API, path="/token")),
        _case(
            "oidc-provider reference",
            port,
            pid,
            _credentials(prepared.secret, "bench:count", REFERENCE_API, path="/token"),
        ),
    ]


def _case(name: str, port: int, pid: int, request: bytes) -> Case:
    return Case(name, port, pid, (always(request),) * CONNECTIONS)


def _credentials(secret: str, scope: str, resource: str, *, path: str = "/oauth/token") -> bytes:
    resource = resource.replace(":", "%3A").replace("/", "%2F")
    scope = scope.replace(":", "%3A")
    usual = f"grant_type=client_credentials&client_id={CLIENT}&client_secret={secret}"
    return form(path, f"{usual}&scope={scope}&resource={resource}")


def _introspection(secret: str, token: str) -> bytes:
    return form("/oauth/introspect", f"client_id={CLIENT}&client_secret={secret}&token={token}")


def _refreshing(first: str) -> Script:
    """Trade a refresh token, then its successor, and so on; a new run goes on where the last one stopped."""
    token = first

    def script(body: bytes) -> bytes:
        nonlocal token
        if body:
            token = orjson.loads(body)["refresh_token"]
        return form("/oauth/token", f"grant_type=refresh_token&client_id={PUBLIC}&refresh_token={token}")

    return script


async def _one_token(port: int, pid: int, request: bytes) -> str:
    bodies: list[bytes] = []

    def script(body: bytes) -> bytes:
        bodies.append(body)
        return request

    await load(port, [script], pid=pid, seconds=0.1)
    return str(orjson.loads(bodies[1])["access_token"])


@contextmanager
def _running(command: Sequence[str], port: int, *, quiet: bool = False) -> Iterator[int]:
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


def _free_port() -> int:
    """A port below the range of outgoing connections, free a moment ago."""
    for port in range(20_000, 32_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
    raise RuntimeError("no port is free")
