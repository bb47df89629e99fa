"""Certificate-bound tokens (RFC 8705 section 3) on a listener that asks callers for certificates."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path as FilePath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.live import API, Live, running
from kronborg.gateway.deliver import prepare
from kronborg.gateway.model import Path, Route

ROUTES = (
    Route("read", Path("prefix", "/read"), "echo", audience=API),
    Route("bound", Path("prefix", "/bound"), "echo", audience=API, bound="required"),
)
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"


def certificate(folder: FilePath, name: str) -> FilePath:
    """A self-signed certificate with its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    path = folder / f"{name}.pem"
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + plain)
    return path


def thumbprint(path: FilePath) -> str:
    der = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


@dataclass
class World:
    live: Live
    own: FilePath
    other: FilePath

    def token(self, shown: FilePath, **more: str) -> str:
        return self.live.token(cnf={"x5t#S256": thumbprint(shown), **more})

    def ask(
        self, token: str, shown: FilePath | None, *, path: str = "/read", scheme: str = "Bearer"
    ) -> tuple[int, str]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if shown is not None:
            context.load_cert_chain(shown)
        connection = http.client.HTTPSConnection("127.0.0.1", self.live.proxy.port, timeout=10, context=context)
        try:
            connection.request("GET", path, headers={"Host": "localhost", "Authorization": f"{scheme} {token}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()).get("reason", "")
        finally:
            connection.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("mtls")
    server = certificate(folder, "server")
    with running(folder) as live:
        asyncio.run(prepare(live.snapshot(*ROUTES), live.keys, live.proxy))
        listeners = live.proxy.folder / "lds.json"
        found = json.loads(listeners.read_text())
        pem = {"filename": str(server)}
        common = {
            "tls_certificates": [{"certificate_chain": pem, "private_key": pem}],
            "validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED", "trusted_ca": pem},
        }
        found["resources"][0]["filter_chains"][0]["transport_socket"] = {
            "name": "tls",
            "typed_config": {"@type": TLS, "common_tls_context": common},
        }
        listeners.write_text(json.dumps(found))
        live.kill()
        live.start()
        yield World(live, certificate(folder, "own"), certificate(folder, "other"))


@pytest.mark.spec("RFC 8705 §3")
def test_a_token_is_good_with_the_certificate_that_it_is_bound_to_and_no_other(world: World) -> None:
    token = world.token(world.own)

    assert world.ask(token, world.own)[0] == 200
    assert world.ask(token, world.other) == (401, "wrong_certificate")
    assert world.ask(token, None) == (401, "wrong_certificate")


@pytest.mark.spec("RFC 8705 §3")
def test_a_certificate_satisfies_a_route_that_takes_bound_tokens_only(world: World) -> None:
    assert world.ask(world.token(world.own), world.own, path="/bound")[0] == 200
    assert world.ask(world.live.token(), world.own, path="/bound") == (401, "not_bound")


@pytest.mark.spec("RFC 9449 §7.1")
def test_the_certificate_does_not_make_up_for_a_key(world: World) -> None:
    both = world.token(world.own, jkt="A" * 43)

    assert world.ask(both, world.own) == (401, "proof_missing")
    assert world.ask(world.token(world.own), world.own, scheme="DPoP") == (401, "not_bound")
