"""Callers over TLS, certificates of every kind, and services that ask for them: what tests of TLS share."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import HTTPServer
from pathlib import Path as FilePath

from cryptography.x509.oid import ExtendedKeyUsageOID

from client_certificates import Certified, certify
from gateway.live import Echo, Quiet
from kronborg.gateway.secret_files import Shown

NOW = datetime.now(UTC)
AUTHORITY = certify("CN=authority", NOW, authority=True)
STRANGE = certify("CN=another authority", NOW, authority=True)


def server_certificate(*hosts: str, by: Certified = AUTHORITY, days: int = 30) -> Certified:
    names = [f"ip:{host}" if host[0].isdigit() else f"dns:{host}" for host in hosts]
    return certify("CN=server", NOW, by=by, names=names, usage=ExtendedKeyUsageOID.SERVER_AUTH, days=days)


def caller_certificate(name: str = "caller", *, by: Certified | None = AUTHORITY, days: int = 30) -> Certified:
    return certify(f"CN={name}", NOW, by=by, days=days)


def shown(one: Certified) -> Shown:
    return Shown(one.pem.decode(), one.key_pem.decode(), one.certificate.not_valid_after_utc)


@dataclass
class Kept:
    """Certificates by name, as a database would have them."""

    by_name: dict[str, Certified] = field(default_factory=dict)

    async def __call__(self, names: Sequence[str]) -> Mapping[str, Shown]:
        return {name: shown(self.by_name[name]) for name in names if name in self.by_name}


@dataclass(frozen=True)
class Answered:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def reason(self) -> str:
        return str(json.loads(self.body).get("reason", ""))


@dataclass
class Caller:
    """Calls a port over TLS. `sni` is the name asked for; `own` the certificate shown."""

    folder: FilePath
    port: int
    trusted: Certified = AUTHORITY
    own: Certified | None = None
    minimum: ssl.TLSVersion | None = None
    maximum: ssl.TLSVersion | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.trusted.pem.decode())
        if self.maximum is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = self.minimum or ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = self.maximum
        if self.own is not None:
            path = self.folder / f"own-{id(self.own)}.pem"
            path.write_bytes(self.own.pem + self.own.key_pem)
            context.load_cert_chain(path)
        return context

    @contextlib.contextmanager
    def connected(self, sni: str = "localhost") -> Iterator[ssl.SSLSocket]:
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            self.context().wrap_socket(plain, server_hostname=sni) as secure,
        ):
            yield secure

    def fingerprint(self, sni: str) -> str:
        """Of the certificate that is shown for a name, whoever vouches for it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=sni) as secure,
        ):
            return hashlib.sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()

    def ask(self, path: str, *, sni: str = "localhost", host: str | None = None, token: str | None = None) -> Answered:
        with self.connected(sni) as secure:
            return asked_on(secure, path, host=host or sni, token=token)


def asked_on(secure: socket.socket, path: str, *, host: str, token: str | None = None) -> Answered:
    """One request on an open connection."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *([f"Authorization: Bearer {token}"] if token else [])]
    secure.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = http.client.HTTPResponse(secure, method="GET")
    answer.begin()
    return Answered(answer.status, answer.headers, answer.read())


@contextlib.contextmanager
def secure_service(folder: FilePath, own: Certified, *, callers: Certified | None = None) -> Iterator[int]:
    """A service over TLS; with `callers` it asks for a certificate of theirs. Its port."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.pem").write_bytes(own.pem + own.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem")
    if callers is not None:
        context.load_verify_locations(cadata=callers.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
    server: HTTPServer = Quiet(("127.0.0.1", 0), Echo)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
