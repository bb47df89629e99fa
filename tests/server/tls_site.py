"""An identity process in this one, with every listener on a real port; and a real Envoy in front of it."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from client_certificates import Certified, certify
from kronborg.app import identity
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.clients.settings import ClientSettings
from kronborg.config import Address, Settings, check
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.tls import MutualTlsSettings, TlsListener
from kronborg.gateway.envoy.process import binary
from ports import free_ports

SUBJECT = "CN=batch,O=Shop"
CATALOGUE = "https://shop.example/catalogue"


@dataclass
class Running:
    """An identity process with every listener, and the authority that everybody trusts."""

    settings: Settings
    authority: Certified
    folder: Path
    database: Database
    envoy: int = 0

    async def client(self, client_id: str = "batch", **draft: Any) -> None:
        usual = ClientDraft(
            client_id, client_id, grants=("client_credentials",), scopes=("catalogue:read",), audiences=(CATALOGUE,)
        )
        usual = replace(usual, **draft)
        async with self.database.write() as session:
            await save_client(session, usual, actor="test", now=clock.now())

    async def pki_client(self, *, bound: bool = False) -> None:
        chosen = ClientSettings(tls_client_auth_subject_dn=SUBJECT, tls_client_certificate_bound_access_tokens=bound)
        await self.client(auth_method="tls_client_auth", settings=chosen)

    def http(self, port: int, own: Certified | None = None) -> httpx.AsyncClient:
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        if own is not None:
            (self.folder / "own.pem").write_bytes(own.pem + own.key_pem)
            context.load_cert_chain(self.folder / "own.pem")
        return httpx.AsyncClient(base_url=f"https://localhost:{port}", verify=context, trust_env=False)

    async def ask(
        self, port: int, own: Certified | None, *, path: str = "/oauth/token", headers: Any = None, **form: str
    ) -> httpx.Response:
        usual = {"grant_type": "client_credentials", "scope": "catalogue:read", "client_id": "batch"}
        async with self.http(port, own) as http:
            return await http.post(path, data={**usual, **form}, headers=headers)


def written(folder: Path, name: str, made: Certified) -> tuple[str, str]:
    (folder / f"{name}.pem").write_bytes(made.pem)
    (folder / f"{name}.key").write_bytes(made.key_pem)
    return str(folder / f"{name}.pem"), str(folder / f"{name}.key")


def server_certificate(authority: Certified) -> Certified:
    return certify("CN=localhost", clock.now(), by=authority, names=("dns:localhost",), usage=None)


@asynccontextmanager
async def running(template: Path, folder: Path) -> AsyncIterator[Running]:
    """An identity process in this one, on real ports."""
    shutil.copy(template, folder / "kronborg.db")
    authority = certify("CN=Shop CA", clock.now(), authority=True)
    ports = free_ports(6)
    certificate, key = written(folder, "server", server_certificate(authority))
    authorities, _ = written(folder, "authority", authority)
    settings = Settings(
        data=folder,
        issuer=f"https://localhost:{ports[1]}",
        identity=Address("127.0.0.1", ports[0]),
        tls=TlsListener("127.0.0.1", ports[1], certificate, key),
        mtls=MutualTlsSettings(
            f"https://localhost:{ports[2]}",
            authorities,
            "x-forwarded-client-cert",
            TlsListener("127.0.0.1", ports[2], certificate, key),
        ),
        gateway=Address("127.0.0.1", ports[4]),
        # What comes over our own listeners comes from 127.0.0.1, which is trusted to be no proxy here.
        trusted_proxies=("127.0.0.2",),
    )
    assert check(settings) == ()
    stop = asyncio.Event()
    serving = asyncio.create_task(identity(settings, stop))
    database = await Database.open(settings.database_url)
    try:
        for port in ports[:3]:
            await listening(port, serving)
        async with database.write() as session:
            api = ApiDraft(CATALOGUE, "Catalogue", (Scope("catalogue:read", "Read"),))
            await save_api(session, api, actor="test", now=clock.now())
        yield Running(settings, authority, folder, database, envoy=ports[3])
    finally:
        stop.set()
        await serving
        await database.close()


async def listening(port: int, serving: asyncio.Task[None] | None = None) -> None:
    for _ in range(1500):
        if serving is not None and serving.done():
            serving.result()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise TimeoutError


def tls_port(server: Running) -> int:
    assert server.settings.tls is not None
    return server.settings.tls.port


def mtls_port(server: Running) -> int:
    assert server.settings.mtls is not None
    assert server.settings.mtls.listener is not None
    return server.settings.mtls.listener.port


ENVOY = """
{"static_resources": {
  "listeners": [{
    "name": "mtls",
    "address": {"socket_address": {"address": "127.0.0.1", "port_value": LISTEN}},
    "filter_chains": [{
      "transport_socket": {"name": "tls", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": false,
        "common_tls_context": {
          "tls_certificates": [{"certificate_chain": {"filename": CERTIFICATE}, "private_key": {"filename": KEY}}],
          "validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}}}},
      "filters": [{"name": "http", "typed_config": {
       "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mtls",
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"cert": true, "chain": true},
        "route_config": {"virtual_hosts": [{"name": "identity", "domains": ["*"],
          "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "identity"}}]}]},
        "http_filters": [{"name": "router", "typed_config": {
          "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}],
  "clusters": [{
    "name": "identity",
    "type": "STATIC",
    "upstream_bind_config": {"source_address": {"address": "127.0.0.2", "port_value": 0}},
    "load_assignment": {"cluster_name": "identity", "endpoints": [{"lb_endpoints": [{"endpoint": {"address":
      {"socket_address": {"address": "127.0.0.1", "port_value": IDENTITY}}}}]}]}}]}}
"""
"""It ends TLS, lets every certificate through and passes it on, as docs/how-to/mtls.md has it. It calls the server from
an address of its own, which the server trusts."""


@asynccontextmanager
async def envoy(server: Running) -> AsyncIterator[None]:
    """Envoy on `server.envoy`, in front of the plain listener."""
    certificate, key = written(server.folder, "envoy", server_certificate(server.authority))
    config, path = ENVOY, server.folder / "envoy.json"
    for name, value in (
        ("LISTEN", server.envoy),
        ("IDENTITY", server.settings.identity.port),
        ("CERTIFICATE", certificate),
        ("KEY", key),
    ):
        config = config.replace(f": {name}", f": {json.dumps(value)}")
    await asyncio.to_thread(path.write_text, config)
    argv = [str(binary()), "-c", str(path), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]
    process = await asyncio.create_subprocess_exec(*argv)
    try:
        await listening(server.envoy)
        yield
    finally:
        process.kill()
        await process.wait()
