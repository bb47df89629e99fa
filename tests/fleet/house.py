"""A control plane in one folder and a gateway that joined it in another, as real processes; and an echoing service."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path as FilePath
from typing import Any, Literal, TypeVar

from gateway.live import Answer, Echo, Live, Quiet, wait_until
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.config import Settings, load_settings
from kronborg.control import prepare_files
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.migrate import migrate
from kronborg.fleet.authority import open_authority
from kronborg.fleet.nodes import invite
from kronborg.fleet.show import shown
from kronborg.gateway import store
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.limits import live as limits
from kronborg.limits.live import Live as Counter
from kronborg.limits.model import Mode, Quota
from kronborg.supervise import die_with_parent
from kronborg.tokens.audience import Target
from kronborg.tokens.engine import open_engine
from kronborg.tokens.issue import issue_for_client
from ports import free_port

CATALOGUE = "https://shop.example/catalogue"
CART = "https://shop.example/cart"
MODES: tuple[Mode, ...] = ("leased", "counted")
T = TypeVar("T")
KRONBORG = FilePath(sys.executable).with_name("kronborg")


@dataclass(frozen=True)
class At:
    """As much of a `Live` as asking takes."""

    port: int

    @property
    def proxy(self) -> At:
        return self


@dataclass
class House:
    """The control plane: its settings and processes. `edge` is the folder of the gateway elsewhere."""

    folder: FilePath
    settings: Settings
    upstream: Quiet
    edge_port: int
    edge_control: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def edge(self) -> FilePath:
        return self.folder / "edge"

    def start(self, name: str, *argv: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                argv, stdout=log, stderr=log, preexec_fn=die_with_parent, start_new_session=True
            )

    def start_control(self) -> None:
        data = ("--file", str(self.settings.file), "--data", str(self.settings.data))
        self.start("control", sys.executable, "-m", "kronborg.run", "control", *data)
        self.wait(lambda: get(f"{self.settings.control.url}/readyz") == b"ready\n")

    def start_gateway(self) -> None:
        """The joined gateway: its Envoy and its edge process."""
        self.start("gateway", str(KRONBORG), "run", "gateway", "--data", str(self.edge))
        self.wait(lambda: get(f"http://127.0.0.1:{self.edge_control}/readyz") == b"ready\n")
        self.wait(lambda: get(f"http://127.0.0.1:{self.edge_port}/healthz") is not None)

    def wait(self, fine: Callable[[], bool]) -> None:
        try:
            wait_until(fine, seconds=30)
        except TimeoutError as error:
            logs = [path.read_text()[-3000:] for path in (*self.folder.glob("*.log"), *self.edge.glob("logs/*.log"))]
            raise AssertionError("\n".join(logs)) from error

    def start_local(self) -> None:
        """The gateway of the control plane's own machine, from its disk."""
        self.start("local", str(KRONBORG), "run", "gateway", "--data", str(self.settings.data))
        self.wait(lambda: get(f"{self.settings.gateway.url}/healthz") is not None)

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def end(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
            process.kill()
            process.wait()

    def get(self, path: str, token: str | None = None) -> Answer:
        """Ask the gateway that joined."""
        return Live.request(At(self.edge_port), "GET", path, token=token)  # type: ignore[arg-type]

    def status(self, path: str, token: str | None = None) -> int:
        """The same, 0 when nobody answers."""
        with suppress(OSError):
            return self.get(path, token).status
        return 0

    def invite(self, name: str = "berlin") -> str:
        async def work() -> str:
            database = await Database.open(self.settings.database_url)
            try:
                vault, now = self.settings.vault(), clock.now()
                authority = await open_authority(database, vault, now=now)
                assert self.settings.fleet is not None
                url = self.settings.fleet.url
                return str(await invite(database, vault, authority, name, url=url, actor="test", now=now))
            finally:
                await database.close()

        return asyncio.run(work())

    def join(self, token: str, data: FilePath | None = None) -> subprocess.CompletedProcess[str]:
        ports = ("--port", str(self.edge_port), "--control-port", str(self.edge_control), "--concurrency", "1")
        argv = [str(KRONBORG), "gateway", "join", token, "--data", str(data or self.edge), *ports]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("KRONBORG_")}
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=clean)

    def fleet(self) -> dict[str, dict[str, Any]]:
        """What `kronborg fleet list --json` says, by name."""
        where = ("--file", str(self.settings.file), "--data", str(self.settings.data))
        done = subprocess.run(
            [str(KRONBORG), "fleet", "list", "--json", *where], capture_output=True, text=True, timeout=60, check=True
        )
        return {one["name"]: one for one in json.loads(done.stdout)["gateways"]}

    def version_of(self, name: str) -> int:
        """What a gateway said last that it serves."""

        async def work(database: Database) -> int:
            async with database.read() as session:
                return next((one.version for one in await shown(session, now=clock.now()) if one.name == name), 0)

        return asyncio.run(_with_database(self.settings, work))

    def used(self, quota: str) -> list[Counter]:
        """The counters of a quota, as the control plane keeps them."""

        async def work(database: Database) -> list[Counter]:
            return await limits.live(database, now=clock.now(), quota=quota)

        return asyncio.run(_with_database(self.settings, work))

    def publish(self, *names: str) -> int:
        """Routes of these names besides those there are; the version."""

        async def work(database: Database) -> int:
            now = clock.now()
            async with database.write() as session:
                for name in names:
                    await store.put_route(
                        session, Route(name, Path("prefix", f"/{name}"), "echo", public=True), now=now
                    )
                snapshot = await publish_declared(
                    session,
                    issuer=self.settings.issuer,
                    gateway_url=self.settings.gateway_url,
                    author="test",
                    now=now,
                )
                return snapshot.version

        return asyncio.run(_with_database(self.settings, work))

    def furnish(self) -> tuple[str, str, str]:
        """Two APIs, two routes, a client, and tokens of it: a JWT, and two reference tokens."""

        async def work(database: Database) -> tuple[str, str, str]:
            settings, now = self.settings, clock.now()
            engine = await open_engine(
                database, settings.vault(), issuer=settings.issuer, session_idle=timedelta(hours=1), now=now
            )
            async with database.write() as session:
                shelf = ApiDraft(CATALOGUE, "Catalogue", (Scope("catalogue:read", "Read"),))
                cart = ApiDraft(CART, "Cart", (Scope("cart:read", "Read"),), token_format="reference")
                await save_api(session, shelf, actor="t", now=now)
                await save_api(session, cart, actor="t", now=now)
                scopes = ("catalogue:read", "cart:read")
                batch = ClientDraft("batch", "Batch", grants=("client_credentials",), scopes=scopes)
                await save_client(session, batch, actor="t", now=now)
                port = self.upstream.server_address[1]
                await store.put_service(session, Service("echo", (f"http://127.0.0.1:{port}",)), now=now)
                for name, audience in (("catalogue", CATALOGUE), ("cart", CART)):
                    route = Route(name, Path("prefix", f"/{name}"), "echo", audience=audience, scopes=(f"{name}:read",))
                    await store.put_route(session, route, now=now)
                for mode in MODES:
                    quota = Quota(mode, 40, unit="month", mode=mode)
                    path = Path("prefix", f"/{mode}")
                    route = Route(mode, path, "echo", audience=CATALOGUE, quotas=(quota,))
                    await store.put_route(session, route, now=now)
                await publish_declared(
                    session, issuer=settings.issuer, gateway_url=settings.gateway_url, author="t", now=now
                )
            hour = timedelta(hours=1)
            kinds: tuple[tuple[str, str, Literal["jwt", "reference"]], ...] = (
                (CATALOGUE, "catalogue:read", "jwt"),
                (CART, "cart:read", "reference"),
                (CART, "cart:read", "reference"),
            )
            tokens = [
                await issue_for_client(engine, "batch", Target(uri, (scope,), form, hour), now=now)
                for uri, scope, form in kinds
            ]
            return tokens[0].access_token, tokens[1].access_token, tokens[2].access_token

        return asyncio.run(_with_database(self.settings, work))


async def _with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    database = await Database.open(settings.database_url)
    try:
        return await work(database)
    finally:
        await database.close()


def get(url: str) -> bytes | None:
    """The body of an answer; None when nobody answers, or says no."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bytes(answer.read())
    except OSError:
        return None


@contextmanager
def house(folder: FilePath) -> Iterator[House]:
    """A control plane, running, with routes and a client; no gateway of its own."""
    ports = {name: free_port() for name in ("gateway", "identity", "control", "worker", "fleet")}
    listeners = "".join(f"  {name}: {{ port: {ports[name]} }}\n" for name in ("identity", "control", "worker"))
    listeners += f"  gateway: {{ port: {ports['gateway']}, quotas: {{ legacy_headers: true }} }}\n"
    fleet = f"  fleet: {{ host: 127.0.0.1, port: {ports['fleet']}, url: 'https://127.0.0.1:{ports['fleet']}' }}\n"
    file = folder / "kronborg.yaml"
    file.write_text(f"version: 1\nserver:\n{listeners}{fleet}")
    settings = load_settings(file, folder / "data", {})
    settings.data.mkdir()
    settings.vault()
    migrate(settings.database_url)
    asyncio.run(prepare_files(settings))
    upstream = Quiet(("127.0.0.1", free_port()), Echo)
    threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
    made = House(folder, settings, upstream, free_port(), free_port())
    try:
        made.start_control()
        yield made
    finally:
        made.end()
        upstream.die()
