"""An installation for chaos: control process, Envoy, service and Valkey, with a clock and a disk that may fail them."""

from __future__ import annotations

import asyncio
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from os import statvfs
from pathlib import Path

from e2e.shifted_clock import ShiftedClock
from gateway.live import API, Echo, Quiet, wait_until
from gateway.test_control import House
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.config import Address, load_settings
from kronborg.control import prepare_files, proxy_of, source_of
from kronborg.core.db import Database
from kronborg.core.migrate import migrate
from kronborg.gateway import store
from kronborg.gateway.deliver import Deliverer
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import envoy_argv
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.limits.model import Quota
from kronborg.tokens.audience import Target
from kronborg.tokens.engine import Engine, open_engine
from kronborg.tokens.issue import issue_for_client
from kronborg.tokens.revoke import revoke_client
from limits.conftest import Server
from ports import free_port

LEASED = 400
"""Calls of a client in a day at a route with a leased quota."""
READ = Route("read", RoutePath("prefix", "/read"), "echo", audience=API, scopes=("catalogue:read",))


@dataclass
class Seen:
    """What callers got while something happened."""

    statuses: list[int] = field(default_factory=list)

    @property
    def bad(self) -> list[int]:
        return [status for status in self.statuses if status != 200]

    def more(self, count: int) -> None:
        """Wait for so many further answers."""
        wanted = len(self.statuses) + count
        wait_until(lambda: len(self.statuses) >= wanted, seconds=30)


@contextmanager
def loaded(ask: Callable[[], int], callers: int = 3) -> Iterator[Seen]:
    """Callers that ask all the time; every status that they got, 0 for none."""
    seen, over = Seen(), threading.Event()

    def go_on() -> None:
        while not over.is_set():
            try:
                seen.statuses.append(ask())
            except OSError:
                seen.statuses.append(0)

    threads = [threading.Thread(target=go_on) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        seen.more(callers)
        yield seen
        seen.more(callers)
    finally:
        over.set()
        for thread in threads:
            thread.join()


@dataclass
class ChaosHouse(House):
    """A house of which every process goes by a clock, and the gateway's folder lies on a disk, that tests can spoil."""

    clock: ShiftedClock = field(kw_only=True)
    disk: Path | None = field(kw_only=True)
    """A small file system of its own; None where none can be mounted."""

    def start_control(self) -> None:
        argv = [sys.executable, "-m", "kronborg.run", "control"]
        argv += ["--file", str(self.file), "--data", str(self.settings.data)]
        self.control = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=self.clock.environment)
        wait_until(lambda: self.ask_control("/readyz") == b"ready\n", seconds=30)

    def start_envoy(self) -> None:
        argv = envoy_argv(self.settings.data / "gateway", concurrency=2, log_level="error")
        self.envoy = subprocess.Popen(argv, env=self.clock.environment)
        wait_until(lambda: asyncio.run(admin.is_ready(proxy_of(self.settings).admin)))

    def restart_control(self, *, when_away: str) -> None:
        """From now on this is done while Valkey is away."""
        self.kill_control()
        self.file.write_text(re.sub(r"when_away: \w+", f"when_away: {when_away}", self.file.read_text()))
        self.start_control()

    @contextmanager
    def without_disk(self) -> Iterator[None]:
        """Nothing that control process and proxy write to the gateway's folder finds room."""
        if self.disk is None:
            # The next best: the control process may write nothing to any file.
            assert self.control is not None
            soft, hard = resource.prlimit(self.control.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.control.pid, resource.RLIMIT_FSIZE, (1, hard))
            yield
            resource.prlimit(self.control.pid, resource.RLIMIT_FSIZE, (soft, hard))
            return
        ballast = self.disk / "ballast"
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert statvfs(self.disk).f_bavail == 0
        yield
        ballast.unlink()

    def load(self, path: str, token: str) -> AbstractContextManager[Seen]:
        """Callers that ask all the time."""
        return loaded(lambda: self.get(path, token).status)

    def publish(self, *routes: Route) -> None:
        """These routes beside the usual one; whether they arrive is for the caller to see."""
        asyncio.run(self._publish(routes))

    async def _publish(self, routes: tuple[Route, ...]) -> None:
        now = datetime.now(UTC)
        async with self.database() as database, database.write() as session:
            for route in routes:
                await store.put_route(session, route, now=now)
            await publish_declared(
                session, issuer=self.settings.issuer, gateway_url=self.settings.gateway_url, author="t", now=now
            )

    def deliver(self, versions: Iterable[Route]) -> list[str]:
        """Publish each of these and bring it to the proxy, in place of the control process; what became of each."""
        return asyncio.run(self._deliver(versions))

    async def _deliver(self, versions: Iterable[Route]) -> list[str]:
        settings = self.settings
        said: list[str] = []
        async with self.database() as database:
            engine = await self._engine(database)

            async def keys() -> str:
                return (await engine.keys.current(now=datetime.now(UTC))).signing_jwks.decode()

            proxy = proxy_of(settings)
            deliverer = Deliverer(source_of(settings, database, keys, proxy), proxy, lambda: datetime.now(UTC))
            for route in versions:
                now = datetime.now(UTC)
                async with database.write() as session:
                    await store.put_route(session, route, now=now)
                    await publish_declared(
                        session, issuer=settings.issuer, gateway_url=settings.gateway_url, author="t", now=now
                    )
                delivery = await deliverer.turn()
                said.append("nothing" if delivery is None else delivery.status)
        return said

    def database(self) -> _Opened:
        return _Opened(self.settings.database_url)

    def token(self) -> str:
        """A fresh access token of the client."""
        return asyncio.run(self._token())

    async def _token(self) -> str:
        async with self.database() as database:
            target = Target(API, ("catalogue:read",), "jwt", timedelta(hours=1))
            issued = await issue_for_client(await self._engine(database), "batch", target, now=datetime.now(UTC))
            return issued.access_token

    def revoked(self) -> set[str]:
        """What the gateway is told to refuse of whole clients."""
        lines = proxy_of(self.settings).ledger.read_text().splitlines()
        return {line for line in lines if line.startswith("c ")}

    def revoke(self) -> None:
        """Everything that the client holds is worthless from now on."""
        asyncio.run(self._revoke())

    async def _revoke(self) -> None:
        async with self.database() as database:
            await revoke_client(await self._engine(database), "batch", actor="t", now=datetime.now(UTC))

    async def _engine(self, database: Database) -> Engine:
        settings = self.settings
        return await open_engine(
            database,
            settings.vault(),
            issuer=settings.issuer,
            session_idle=timedelta(hours=1),
            now=datetime.now(UTC),
        )

    async def furnish(self) -> None:
        """An API, a client and routes: one plain, one whose calls are counted, and two with a leased quota."""
        now = datetime.now(UTC)
        service = Service("echo", (f"http://127.0.0.1:{self.upstream.server_address[1]}",))
        quotas = {"counted": Quota("counted", 1_000_000)}
        quotas |= {one: Quota(one, LEASED, unit="day", mode="leased") for one in ("process", "closed")}
        counted = [
            Route(name, RoutePath("prefix", f"/{name}"), "echo", audience=API, quotas=(quota,))
            for name, quota in quotas.items()
        ]
        async with self.database() as database:
            await self._engine(database)
            async with database.write() as session:
                await save_api(
                    session, ApiDraft(API, "Catalogue", (Scope("catalogue:read", "Read"),)), actor="t", now=now
                )
                client = ClientDraft("batch", "Batch", grants=("client_credentials",), scopes=("catalogue:read",))
                await save_client(session, client, actor="t", now=now)
                await store.put_service(session, service, now=now)
        await self._publish((READ, *counted))


class _Opened:
    """A database for the length of a block."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> Database:
        self._database = await Database.open(self._url)
        return self._database

    async def __aexit__(self, *_: object) -> None:
        await self._database.close()


@contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A file system of a few megabytes at `folder`; None for who may not mount any."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=64m,mode=700", "kronborg-test"]
    done = subprocess.run(["mount", *options, folder], check=False, stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def house(folder: Path, valkey: Server) -> Iterator[ChaosHouse]:
    """A running one, furnished and serving."""
    data = folder / "data"
    data.mkdir()
    gateway, control = free_port(), free_port()
    file = folder / "kronborg.yaml"
    file.write_text(
        f"version: 1\nserver:\n  control:\n    port: {control}\n  gateway:\n    port: {gateway}\n"
        f"    quotas: {{ counters: valkey, valkey: '{valkey.url}', when_away: process }}\n"
    )
    settings = load_settings(file, data)
    assert settings.gateway == Address("127.0.0.1", gateway)
    settings.vault()
    migrate(settings.database_url)
    upstream = Quiet(("127.0.0.1", free_port()), Echo)
    threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
    with small_disk(data / "gateway") as disk:
        made = ChaosHouse(settings, file, upstream, clock=ShiftedClock(folder), disk=disk)
        asyncio.run(made.furnish())
        asyncio.run(prepare_files(settings))
        try:
            made.start_envoy()
            made.start_control()
            token = made.token()
            wait_until(lambda: made.get("/read", token).status == 200, seconds=30)
            yield made
        finally:
            for child in (made.control, made.envoy):
                if child is not None:
                    child.kill()
                    child.wait()
            upstream.die()
