"""The real control process beside a real Envoy: what is published arrives, and tokens of ours pass."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path as FilePath

import pytest

from gateway.live import Answer, Echo, Live, Quiet, wait_until
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.config import Address, Settings
from kronborg.control import prepare_files, proxy_of
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.migrate import migrate
from kronborg.gateway import store
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import envoy_argv
from kronborg.gateway.model import Limits, Path, Route, Service
from kronborg.gateway.publish import publish, publish_declared
from kronborg.tokens.audience import Target
from kronborg.tokens.engine import open_engine
from kronborg.tokens.issue import issue_for_client
from kronborg.tokens.revoke import revoke_client
from ports import free_port

CATALOGUE = "https://shop.example/catalogue"
CART = "https://shop.example/cart"


@dataclass
class House:
    """An installation: its settings, the control process and Envoy, and an echoing service."""

    settings: Settings
    file: FilePath
    upstream: Quiet
    control: subprocess.Popen[bytes] | None = None
    envoy: subprocess.Popen[bytes] | None = None

    def start_control(self) -> None:
        argv = [sys.executable, "-m", "kronborg.run", "control"]
        argv += ["--file", str(self.file), "--data", str(self.settings.data)]
        self.control = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.ask_control("/readyz") == b"ready\n", seconds=30)

    def start_envoy(self) -> None:
        self.envoy = subprocess.Popen(envoy_argv(self.settings.data / "gateway", concurrency=1))
        wait_until(lambda: asyncio.run(admin.is_ready(proxy_of(self.settings).admin)))

    def ask_control(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"{self.settings.control.url}{path}", timeout=2) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    def kill_control(self) -> None:
        assert self.control is not None
        self.control.kill()
        self.control.wait()

    def get(self, path: str, token: str | None = None) -> Answer:
        proxy = proxy_of(self.settings)
        return Live.request(_At(proxy), "GET", path, token=token)  # type: ignore[arg-type]


@dataclass
class _At:
    """As much of a `Live` as asking takes."""

    proxy: object


@pytest.fixture
def house(tmp_path: FilePath, sqlite_template: FilePath) -> Iterator[House]:
    data = tmp_path / "data"
    data.mkdir()
    ports = {name: free_port() for name in ("gateway", "control")}
    file = tmp_path / "kronborg.yaml"
    file.write_text(
        f"version: 1\nserver:\n  gateway:\n    port: {ports['gateway']}\n  control:\n    port: {ports['control']}\n"
    )
    settings = Settings(
        data=data, gateway=Address("127.0.0.1", ports["gateway"]), control=Address("127.0.0.1", ports["control"])
    )
    settings.vault()
    migrate(settings.database_url)
    upstream = Quiet(("127.0.0.1", free_port()), Echo)
    threading.Thread(target=upstream.serve_forever, args=(0.02,), daemon=True).start()
    made = House(settings, file, upstream)
    asyncio.run(prepare_files(settings))
    try:
        made.start_envoy()
        made.start_control()
        yield made
    finally:
        for child in (made.control, made.envoy):
            if child is not None:
                child.kill()
                child.wait()
        upstream.die()


async def furnish(house: House) -> tuple[str, str]:
    """Two APIs, two routes, a client, and a token of it for each API: a JWT and a reference token."""
    settings = house.settings
    database = await Database.open(settings.database_url)
    now = clock.now()
    try:
        engine = await open_engine(
            database, settings.vault(), issuer=settings.issuer, session_idle=timedelta(hours=1), now=now
        )
        service = Service("echo", (f"http://127.0.0.1:{house.upstream.server_address[1]}",))
        async with database.write() as session:
            await save_api(
                session, ApiDraft(CATALOGUE, "Catalogue", (Scope("catalogue:read", "Read"),)), actor="t", now=now
            )
            await save_api(
                session,
                ApiDraft(CART, "Cart", (Scope("cart:read", "Read"),), token_format="reference"),
                actor="t",
                now=now,
            )
            await save_client(
                session,
                ClientDraft("batch", "Batch", grants=("client_credentials",), scopes=("catalogue:read", "cart:read")),
                actor="t",
                now=now,
            )
            await store.put_service(session, service, now=now)
            for name, audience in (("catalogue", CATALOGUE), ("cart", CART)):
                route = Route(name, Path("prefix", f"/{name}"), "echo", audience=audience, scopes=(f"{name}:read",))
                await store.put_route(session, route, now=now)
            await publish_declared(
                session, issuer=settings.issuer, gateway_url=settings.gateway_url, author="t", now=now
            )
        hour = timedelta(hours=1)
        jwt = await issue_for_client(engine, "batch", Target(CATALOGUE, ("catalogue:read",), "jwt", hour), now=now)
        opaque = await issue_for_client(engine, "batch", Target(CART, ("cart:read",), "reference", hour), now=now)
        return jwt.access_token, opaque.access_token
    finally:
        await database.close()


async def publish_what_envoy_refuses(house: House) -> None:
    """A next version with a limit beyond Envoy's."""
    database = await Database.open(house.settings.database_url)
    try:
        async with database.write() as session:
            latest = await store.latest_published(session)
            assert latest is not None
            bad = replace(latest.snapshot, limits=Limits(header_kilobytes=100_000))
            await publish(session, bad, author="t", now=clock.now())
    finally:
        await database.close()


async def cut_off(house: House) -> None:
    """Revoke what the client holds."""
    settings = house.settings
    database = await Database.open(settings.database_url)
    try:
        engine = await open_engine(
            database, settings.vault(), issuer=settings.issuer, session_idle=timedelta(hours=1), now=clock.now()
        )
        await revoke_client(engine, "batch", actor="t", now=clock.now())
    finally:
        await database.close()


def test_tokens_of_both_kinds_pass_and_go_on_passing_when_control_is_killed(house: House) -> None:
    assert house.get("/catalogue").status == 404

    jwt, opaque = asyncio.run(furnish(house))
    wait_until(lambda: house.get("/catalogue").status == 401)
    structured = house.get("/catalogue/x", jwt)
    reference = house.get("/cart/x", opaque)
    swapped = (house.get("/cart", jwt).status, house.get("/catalogue", opaque).status)

    assert (structured.status, reference.status) == (200, 200)
    assert swapped == (401, 401)
    (seen,) = reference.seen("authorization")
    assert seen.startswith("Bearer ey")
    assert opaque not in reference.body.decode()
    assert reference.seen("x-kronborg-client") == ["batch"]

    house.kill_control()
    truncated = opaque[:-1] + ("A" if opaque[-1] != "A" else "B")
    statuses = [house.get(path, token).status for path, token in (("/catalogue", jwt), ("/cart", opaque))]

    assert statuses == [200, 200]
    assert house.get("/cart", truncated).status == 503
    house.start_control()
    assert house.get("/cart", truncated).status == 401


def test_control_tells_what_was_delivered_and_refuses_strangers(house: House) -> None:
    asyncio.run(furnish(house))
    wait_until(
        lambda: b'kronborg_gateway_version{proxy="gateway-1",status="acked"} 1.0' in house.ask_control("/metrics")
    )

    request = urllib.request.Request(f"{house.settings.control.url}/exchange", data=b"kro_at_x", method="POST")
    with pytest.raises(OSError, match="403"):
        urllib.request.urlopen(request, timeout=5)


def test_a_revoked_reference_token_that_nobody_cached_is_refused(house: House) -> None:
    _, opaque = asyncio.run(furnish(house))
    wait_until(lambda: house.get("/catalogue").status == 401)

    asyncio.run(cut_off(house))

    wait_until(lambda: house.get("/cart", opaque).status in (200, 401))
    assert house.get("/cart", opaque).status == 401


def test_a_version_that_the_proxy_refuses_does_not_keep_the_house_from_starting(house: House) -> None:
    jwt, _ = asyncio.run(furnish(house))
    acked = b'kronborg_gateway_version{proxy="gateway-1",status="acked"} 1.0'
    wait_until(lambda: acked in house.ask_control("/metrics"))
    asyncio.run(publish_what_envoy_refuses(house))
    for child in (house.control, house.envoy):
        assert child is not None
        child.kill()
        child.wait()

    asyncio.run(prepare_files(house.settings))
    house.start_envoy()

    assert house.get("/catalogue", jwt).status == 200
