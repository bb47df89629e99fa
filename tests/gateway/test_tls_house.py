"""A whole installation with TLS at its gateway: settings, sealed keys, tokens bound at the token endpoint, ACME."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path as FilePath

import pytest

from certificates_keeping.pebble import running_pebble
from client_certificates import certify
from gateway.live import Echo, Quiet, wait_until
from gateway.test_control import House
from gateway.tls_callers import Caller
from kronborg.certificates.acme import renew_due
from kronborg.certificates.keep import upload, wish
from kronborg.certificates.model import AcmeSettings
from kronborg.certificates.store import find_certificate
from kronborg.config import Address, Settings, check
from kronborg.control import prepare_files, proxy_of
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.migrate import migrate
from kronborg.gateway import store
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import envoy_argv
from kronborg.gateway.listener_model import Listener, ListenerTls
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.publish import publish_declared
from ports import free_port
from server.tls_site import CATALOGUE, SUBJECT, mtls_port, running, server_certificate

NAMES = ("api.kronborg.example",)


def _all_but_secrets(folder: FilePath) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent.name != "tls"]


@contextmanager
def envoy_of(settings: Settings) -> Iterator[None]:
    process = subprocess.Popen(envoy_argv(settings.data / "gateway", concurrency=1))
    try:
        wait_until(lambda: asyncio.run(admin.is_ready(proxy_of(settings).admin)))
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.anyio
@pytest.mark.spec("RFC 8705 §3")
async def test_a_token_got_over_mutual_tls_is_good_at_the_gateway_with_its_certificate_only(
    sqlite_template: FilePath, tmp_path: FilePath
) -> None:
    upstream = Quiet(("127.0.0.1", 0), Echo)
    async with running(sqlite_template, tmp_path) as server:
        await server.pki_client(bound=True)
        own = certify(SUBJECT, clock.now(), by=server.authority)
        other = certify("CN=other", clock.now(), by=server.authority)
        tls = ListenerTls(("public",), client_certificates="required", authorities=str(server.folder / "authority.pem"))
        settings = replace(server.settings, listeners=(Listener("external", port=free_port(), tls=tls),))
        assert check(settings) == ()
        shown, now = server_certificate(server.authority), clock.now()
        async with server.database.write() as session:
            pair = shown.pem.decode(), shown.key_pem.decode()
            await upload(session, settings.vault(), "public", *pair, actor="test", now=now)
            await store.put_service(session, Service("echo", (f"http://127.0.0.1:{upstream.server_port}",)), now=now)
            route = Route("read", Path("prefix", "/read"), "echo", audience=CATALOGUE)
            await store.put_route(session, route, now=now)
            await publish_declared(
                session, issuer=settings.issuer, gateway_url="https://localhost", author="test", now=now
            )
        answered = await server.ask(mtls_port(server), own)
        token = str(answered.json()["access_token"])
        await prepare_files(settings)

        def ask() -> tuple[int, str]:
            with envoy_of(settings):
                right = Caller(tmp_path, settings.listeners[0].port, trusted=server.authority, own=own)
                wrong = replace(right, own=other)
                return right.ask("/nothing", token=token).status, wrong.ask("/read", token=token).reason

        found, reason = await asyncio.to_thread(ask)
        files = await asyncio.to_thread(_all_but_secrets, tmp_path)

    upstream.server_close()
    assert (found, reason) == (404, "wrong_certificate")
    kept = [file for file in files if shown.key_pem.split(b"\n")[1] in file]
    assert not kept


@pytest.fixture
def ordering(tmp_path: FilePath) -> Iterator[tuple[House, AcmeSettings]]:
    with running_pebble(tmp_path / "pebble") as pebble:
        data, secure = tmp_path / "data", free_port()
        data.mkdir()
        acme = AcmeSettings(pebble.directory, ("operator@kronborg.example",), terms_agreed=True, ca_file=pebble.ca_file)
        ports = {"gateway": free_port(), "control": free_port()}
        file = tmp_path / "kronborg.yaml"
        file.write_text(
            f"""version: 1
server:
  control: {{ port: {ports["control"]} }}
  gateway:
    acme: {{ directory: "{acme.directory}", terms_agreed: true, ca_file: "{acme.ca_file}" }}
    listeners:
      external: {{ port: {secure}, tls: {{ certificates: [public] }} }}
      plain: {{ port: {pebble.http_port}, redirect: {secure} }}
"""
        )
        listeners = (
            Listener("external", port=secure, tls=ListenerTls(("public",))),
            Listener("plain", port=pebble.http_port, redirect=secure),
        )
        settings = Settings(data=data, control=Address("127.0.0.1", ports["control"]), listeners=listeners, acme=acme)
        settings.vault()
        migrate(settings.database_url)
        asyncio.run(prepare_files(settings))
        house = House(settings, file, Quiet(("127.0.0.1", 0), Echo))
        try:
            house.start_envoy()
            house.start_control()
            yield house, acme
        finally:
            for child in (house.control, house.envoy):
                if child is not None:
                    child.kill()
                    child.wait()
            house.upstream.server_close()


@pytest.mark.spec("RFC 8555 §8.3")
def test_a_certificate_is_ordered_through_the_gateway_and_shown_by_it(ordering: tuple[House, AcmeSettings]) -> None:
    house, acme = ordering
    caller = Caller(house.file.parent, house.settings.listeners[0].port)

    async def order() -> str:
        database = await Database.open(house.settings.database_url)
        try:
            async with database.write() as session:
                await wish(session, "public", NAMES, actor="test", now=clock.now())
            await renew_due(database, house.settings.vault(), acme, now=clock.now())
            async with database.read() as reading:
                found = await find_certificate(reading, "public")
                assert found is not None
                assert found.failure == ""
                return found.fingerprint
        finally:
            await database.close()

    fingerprint = asyncio.run(order())

    wait_until(lambda: caller.fingerprint(NAMES[0]) == fingerprint)
    metrics = house.ask_control("/metrics").decode()
    assert 'kronborg_certificate_expires_seconds{name="public"} 7.7' in metrics
