"""An installation for chaos: control process, Envoy, service and Valkey, each of which may die or lose its clock."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.live import API, Echo, Quiet, wait_until
from gateway.test_control import House
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.config import Address, load_settings
from kronborg.control import prepare_files, proxy_of
from kronborg.core.db import Database
from kronborg.core.migrate import migrate
from kronborg.gateway import store
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

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
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


class ChaosHouse(House):
    """A house whose control process is told another time through a file."""

    @property
    def clock(self) -> Path:
        return self.settings.data / "control.clock"

    def shift(self, by: timedelta) -> None:
        """From now on the clock of a control process that was started for it is wrong by so much."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{by.total_seconds():+.0f}\n")
        fresh.replace(self.clock)

    def environment(self) -> dict[str, str]:
        """For a process whose clock can be shifted. Envoy does not run with it, so nothing can be published then."""
        told = {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_NO_CACHE": "1"}
        return {**os.environ, **told, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def start_control(self, *, shifted: bool = False) -> None:
        argv = [sys.executable, "-m", "kronborg.run", "control"]
        argv += ["--file", str(self.file), "--data", str(self.settings.data)]
        self.control = subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=self.environment() if shifted else None)
        wait_until(lambda: self.ask_control("/readyz") == b"ready\n", seconds=30)

    def start_envoy(self) -> None:
        argv = envoy_argv(self.settings.data / "gateway", concurrency=2, log_level="error")
        self.envoy = subprocess.Popen(argv)
        wait_until(lambda: asyncio.run(admin.is_ready(proxy_of(self.settings).admin)))

    @contextmanager
    def without_disk(self) -> Iterator[None]:
        """Nothing that the control process writes finds room."""
        assert self.control is not None
        soft, hard = resource.prlimit(self.control.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.control.pid, resource.RLIMIT_FSIZE, (1, hard))
        try:
            yield
        finally:
            resource.prlimit(self.control.pid, resource.RLIMIT_FSIZE, (soft, hard))

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
        """An API, a client and two routes: one plain, one whose calls are counted by day."""
        now = datetime.now(UTC)
        service = Service("echo", (f"http://127.0.0.1:{self.upstream.server_address[1]}",))
        counted = Route(
            "counted", RoutePath("prefix", "/counted"), "echo", audience=API, quotas=(Quota("day", 1_000_000),)
        )
        async with self.database() as database:
            await self._engine(database)
            async with database.write() as session:
                await save_api(
                    session, ApiDraft(API, "Catalogue", (Scope("catalogue:read", "Read"),)), actor="t", now=now
                )
                client = ClientDraft("batch", "Batch", grants=("client_credentials",), scopes=("catalogue:read",))
                await save_client(session, client, actor="t", now=now)
                await store.put_service(session, service, now=now)
        await self._publish((READ, counted))


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
def house(folder: Path, valkey: Server) -> Iterator[ChaosHouse]:
    """A running one, furnished and serving."""
    data = folder / "data"
    data.mkdir()
    gateway, control = free_port(), free_port()
    file = folder / "kronborg.yaml"
    file.write_text(
        f"version: 1\nserver:\n  control:\n    port: {control}\n  gateway:\n    port: {gateway}\n"
        f"    quotas: {{counters: valkey, valkey: '{valkey.url}'}}\n"
    )
    settings = load_settings(file, data)
    assert settings.gateway == Address("127.0.0.1", gateway)
    settings.vault()
    migrate(settings.database_url)
    upstream = Quiet(("127.0.0.1", free_port()), Echo)
    threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
    made = ChaosHouse(settings, file, upstream)
    made.shift(timedelta())
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
