"""An installation for benchmarks: database, the real control process, a gateway, and a service behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.gateway_world import ENDING, envoy_file, free_port
from kronborg.clients.model import ApiDraft
from kronborg.clients.register import save_api
from kronborg.config import Address, Settings
from kronborg.control import prepare_files, proxy_of
from kronborg.core.db import Database
from kronborg.core.migrate import migrate
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import binary, envoy_argv
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.model import Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.store import put_route, put_service
from kronborg.opening import engine_for
from kronborg.tokens.engine import Engine

SERVICE = "origin"
"""The name of the service behind it."""


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class House:
    """A running installation; `gateway` is the process of its Envoy."""

    settings: Settings
    database: Database
    engine: Engine
    proxy: Proxy
    gateway: int

    async def publish(self) -> int:
        """Publish what is declared; the number of the version."""
        async with self.database.write() as session:
            published = await publish_declared(
                session,
                issuer=self.settings.issuer,
                gateway_url=self.settings.gateway_url,
                author="bench",
                now=now(),
            )
        return published.version


@contextlib.asynccontextmanager
async def house(folder: Path, api: ApiDraft, routes: Sequence[Route], *, workers: int) -> AsyncIterator[House]:
    """All of it, with `routes` published; they go to `SERVICE`."""
    children: list[subprocess.Popen[bytes]] = []
    try:
        found = await _started(folder, api, routes, workers, children)
        try:
            yield found
        finally:
            await found.database.close()
    finally:
        for child in children:
            child.kill()
            child.wait()


async def _started(
    folder: Path, api: ApiDraft, routes: Sequence[Route], workers: int, children: list[subprocess.Popen[bytes]]
) -> House:
    file, upstream = folder / "kronborg.yaml", free_port()
    gateway, control = free_port(), free_port()
    file.write_text(f"version: 1\nserver:\n  gateway: {{port: {gateway}}}\n  control: {{port: {control}}}\n")
    data = folder / "data"
    data.mkdir()
    settings = Settings(
        file=file, data=data, gateway=Address("127.0.0.1", gateway), control=Address("127.0.0.1", control)
    )
    settings.vault()
    await asyncio.to_thread(migrate, settings.database_url)
    database = await Database.open(settings.database_url)
    engine = await engine_for(settings, database, now=now())
    async with database.write() as session:
        await save_api(session, api, actor="bench", now=now())
        await put_service(session, Service(SERVICE, (f"http://127.0.0.1:{upstream}",)), now=now())
        for route in routes:
            await put_route(session, route, now=now())
    found = House(settings, database, engine, proxy_of(settings), 0)
    await found.publish()
    answer = {"status": 200, "body": {"inline_string": ENDING.decode()}}
    (folder / "upstream.json").write_text(json.dumps(envoy_file(upstream, {"direct_response": answer}, [])))
    argv = [str(binary()), "-c", str(folder / "upstream.json"), "--concurrency", "1", "--disable-hot-restart"]
    await prepare_files(settings)
    own = [sys.executable, "-m", "kronborg.run", "control", "--file", str(file), "--data", str(data)]
    served = envoy_argv(found.proxy.folder, concurrency=workers, log_level="error")
    for command in ([*argv, "-l", "error"], served, own):
        children.append(await asyncio.to_thread(_start, command, folder / f"{len(children)}.log"))
    await _until_up(found.proxy)
    return House(settings, database, engine, found.proxy, children[1].pid)


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out)


async def _until_up(proxy: Proxy) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # another process is waited for
        if await admin.is_ready(proxy.admin) and not proxy.ledger.read_bytes().endswith(b"h 0 0 -\n"):
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("the installation did not come up")
