"""Child processes: started together, awaited until ready, watched, and ended by their ids.

A child that dies ends the whole, with the last lines of its log and a non-zero exit; with `restart` it is
started again instead. A child never outlives its supervisor, not even one that is killed (Linux).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from kronborg.config import Address, child_environment
from kronborg.server import port_is_free

READY_WITHIN = 30.0
STOP_WITHIN = 8.0
POLL = 0.05
RESTARTS = 5
"""Restarts of one child within a minute before the supervisor gives up on it."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process: how to start it and how to know that it is ready."""

    name: str
    argv: tuple[str, ...]
    address: Address
    ready_path: str = "/readyz"
    setting: str = ""
    """The setting that names its port, for the message when the port is taken."""
    environ: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    """Children that must be ready before this one starts."""
    shared: bool = False
    """Several children listen at its address: it is handed a socket of its own, by which it is asked if it is ready."""


class Stopped(Exception):
    """A child could not start or died. `message` says which, why, and where its log is."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


Report = Callable[[str, str], None]
"""Called with a child's name and `ready in 0.8 s`, `restarting`, …"""


def check_ports(children: Sequence[Child]) -> None:
    """Raise `Stopped` naming every port that something else holds."""
    first = {child.address: child for child in reversed(children)}.values()
    taken = [child for child in reversed(first) if not port_is_free(child.address.host, child.address.port)]
    if taken:
        lines = [
            f"{child.address.host}:{child.address.port} ({child.name}) is in use; change {child.setting or 'its port'}"
            for child in taken
        ]
        raise Stopped("Cannot start:\n  " + "\n  ".join(lines) + "\nIs Kronborg running already?")


class Supervisor:
    """Owns the children of one `kronborg up`."""

    def __init__(self, children: Sequence[Child], *, logs: Path, report: Report, restart: bool = False) -> None:
        self._children = {child.name: child for child in children}
        self._logs, self._report, self._restart = logs, report, restart
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._ready = {name: asyncio.Event() for name in self._children}
        self._own: dict[str, socket.socket] = {}
        self._stopping = False

    @property
    def pids(self) -> Mapping[str, int]:
        """The process ids of the children that were started, by name."""
        return {name: process.pid for name, process in self._processes.items()}

    async def run(self, stop: asyncio.Event, *, on_ready: Callable[[], None]) -> None:
        """Start all, call `on_ready` once, watch until `stop` is set or a child dies (`Stopped`)."""
        self._logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        tasks: set[asyncio.Task[None]] = set()
        try:
            check_ports(list(self._children.values()))
            tasks = {asyncio.create_task(self._keep(child)) for child in self._children.values()}
            stopped = asyncio.create_task(stop.wait())
            all_ready = asyncio.create_task(self._all_ready())
            waiting = {*tasks, stopped, all_ready}
            while not stop.is_set():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if all_ready in done:
                    on_ready()
                for task in done & tasks:
                    task.result()
        finally:
            self._stopping = True
            for task in tasks:
                task.cancel()
            await self._end_all()
            for one in self._own.values():
                one.close()

    async def _all_ready(self) -> None:
        for event in self._ready.values():
            await event.wait()

    async def _keep(self, child: Child) -> None:
        """Run one child for as long as the supervisor lives."""
        deaths: list[float] = []
        for need in child.needs:
            await self._ready[need].wait()
        while True:
            process = await self._start(child)
            exited = asyncio.create_task(process.wait())
            await self._until_ready(child, exited)
            code = await exited
            if self._stopping:
                return
            deaths = [t for t in deaths if t > time.monotonic() - 60] + [time.monotonic()]
            if not self._restart or len(deaths) > RESTARTS:
                raise Stopped(self._obituary(child, code))
            self._report(child.name, f"died ({_describe(code)}), starting again")
            await asyncio.sleep(0.2 * len(deaths))

    async def _start(self, child: Child) -> asyncio.subprocess.Process:
        argv, own = child.argv, self._own_socket(child)
        if own is not None:
            argv = (*argv, "--own-socket", str(own.fileno()))
        handle = os.open(self._logs / f"{child.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as log:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child_environment(child.environ),
                start_new_session=True,
                pass_fds=() if own is None else (own.fileno(),),
                umask=0o077,  # what children write, database and logs, is for nobody else
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        self._processes[child.name] = process
        return process

    def _own_socket(self, child: Child) -> socket.socket | None:
        """The socket that belongs to this one of several children at an address; kept when it is started again."""
        if child.shared and child.name not in self._own:
            self._own[child.name] = socket.create_server(("127.0.0.1", 0))
        return self._own.get(child.name)

    async def _until_ready(self, child: Child, exited: asyncio.Task[int]) -> None:
        started = time.monotonic()
        own = self._own.get(child.name)
        address = child.address if own is None else Address("127.0.0.1", own.getsockname()[1])
        url = address.url + child.ready_path
        async with httpx.AsyncClient(timeout=1.0, trust_env=False) as http:
            while not exited.done():
                with suppress(httpx.HTTPError):
                    if (await http.get(url)).status_code == 200:
                        self._ready[child.name].set()
                        self._report(child.name, f"ready in {time.monotonic() - started:.1f} s")
                        return
                if time.monotonic() - started > READY_WITHIN:
                    raise Stopped(f"{child.name} was not ready within {READY_WITHIN:.0f} s.{self._tail(child)}")
                await asyncio.wait({exited}, timeout=POLL)

    def _obituary(self, child: Child, code: int) -> str:
        return f"{child.name} stopped ({_describe(code)}).{self._tail(child)}"

    def _tail(self, child: Child) -> str:
        path = self._logs / f"{child.name}.log"
        lines = path.read_bytes()[-4096:].decode(errors="replace").splitlines()[-8:]
        return f" Its log is {path}; the last lines:\n" + "\n".join(f"    {line[:300]}" for line in lines)

    async def _end_all(self) -> None:
        """SIGTERM to each in reverse order of start, SIGKILL to what is left after a while."""
        alive = [p for p in reversed(self._processes.values()) if p.returncode is None]
        for process in alive:
            with suppress(ProcessLookupError):
                process.terminate()
        if alive:
            await asyncio.wait([asyncio.create_task(p.wait()) for p in alive], timeout=STOP_WITHIN)
        for process in alive:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def _describe(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent goes, however it goes (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
