"""A live gateway for tests: Envoy, an upstream that echoes what it sees, an exchange, and signed tokens."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path as FilePath
from typing import Any, cast, get_args

from joserfc import jws
from joserfc.jwk import ECKey

from kronborg.core.forwarded_certificate import CertificateHeader
from kronborg.gateway.certificate_endpoint import thumbprint_of
from kronborg.gateway.deliver import make_folder, prepare, put
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.process import envoy_argv
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.exchange import key_id
from kronborg.gateway.model import Audience, Delivery, Route, Service, Snapshot
from kronborg.gateway.quota_answers import Answers, Tell
from ports import free_port

ISSUER = "http://localhost:8081"
API = "https://shop.example/catalogue"
OTHER_API = "https://shop.example/cart"
WARMING = "/stats?filter=total_listeners_warming$"
SCOPES = ("catalogue:read", "catalogue:write")


def wait_until(fine: Callable[[], bool], *, seconds: float = 15, every: float = 0.01) -> None:
    deadline = time.monotonic() + seconds
    while not fine():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not come true")
        time.sleep(every)


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    open_connections: set[socket.socket]

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        self.__dict__.setdefault("open_connections", set()).add(connection)
        return connection, address

    def die(self) -> None:
        """Stop listening and cut every open connection, as a killed process does."""
        self.shutdown()
        self.server_close()
        for connection in self.__dict__.get("open_connections", set()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Peers that vanish are part of these tests."""


class Echo(BaseHTTPRequestHandler):
    """Answers every request with what it saw, as JSON."""

    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: otherwise the kernel waits 40 ms between them.
    wbufsize = -1
    raw_requestline: bytes

    def parse_request(self) -> bool:
        # Whatever came first on the line: what was smuggled in here need not be a request.
        requests: list[bytes] = self.server.__dict__.setdefault("requests", [])
        requests.append(self.raw_requestline)
        del requests[:-1_000_000]
        return super().parse_request()

    def answer(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(length)
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": len(body),
        }
        content = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@dataclass
class FakeExchange:
    """Answers what `answers` says; counts who asked. Not our endpoint: it stands for a control process."""

    secret: str
    answers: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    told: list[dict[str, str]] = field(default_factory=list)
    bound: set[str] = field(default_factory=set)
    shown: list[bytes] = field(default_factory=list)
    """Headers with certificates that were asked about."""
    broken: int = 0
    """The status of every answer about certificates, if there is to be no right one."""
    server: Quiet | None = None
    port: int = 0
    desk: Callable[[bytes], bytes | None] | None = None
    """Answers calls about quotas, if anybody does."""
    files: Answers | None = None
    known: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def start(self) -> None:
        exchange = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                if self.path == "/quota":
                    self.quota()
                    return
                if self.path == "/certificate":
                    self.certificate()
                    return
                token = self.rfile.read(int(self.headers.get("content-length", "0"))).decode()
                exchange.asked.append(token)
                exchange.told.append({name.lower(): value for name, value in self.headers.items()})
                status, body, lifetime = exchange.answers.get(token, (404, "", 0))
                if self.headers.get("x-kronborg-exchange") != exchange.secret or self.path != "/exchange":
                    status, body = 403, ""
                self.send_response(status)
                self.send_header("x-kronborg-lifetime", str(lifetime))
                if status == 200 and token.startswith(("kro_key_", "kro_pat_")):
                    self.send_header("x-kronborg-key", key_id(body))
                if token in exchange.bound:
                    self.send_header("x-kronborg-bound", "address")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def certificate(self) -> None:
                value = self.rfile.read(int(self.headers.get("content-length", "0")))
                exchange.shown.append(value)
                kind = str(self.headers.get("x-kronborg-certificate-header"))
                known = self.headers.get("x-kronborg-exchange") == exchange.secret and kind in get_args(
                    CertificateHeader
                )
                told = thumbprint_of(cast("CertificateHeader", kind), value) if known else ""
                self.send_response(exchange.broken or (200 if told else 404))
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told.encode())

            def quota(self) -> None:
                asked = self.rfile.read(int(self.headers.get("content-length", "0")))
                known = self.headers.get("x-kronborg-exchange") == exchange.secret
                tell = Tell.parse(self.headers.get("x-kronborg-tell", ""))
                told = exchange.told_before(tell, asked) if known and tell else None
                if told is not None and tell is not None and tell.by_file and exchange.files is not None:
                    exchange.files.leave(tell, told)
                self.send_response(503 if told is None else 200)
                self.send_header("content-length", str(len(told or b"")))
                self.end_headers()
                self.wfile.write(told or b"")

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = Quiet(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def told_before(self, tell: Tell, asked: bytes) -> bytes | None:
        """The desk's answer: a call that is made again counts once."""
        told = self.known.get((tell.worker, tell.number))
        if told is None and self.desk is not None and (told := self.desk(asked)) is not None:
            self.known[tell.worker, tell.number] = told
        return told

    def stop(self) -> None:
        assert self.server is not None
        self.server.die()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    def seen(self, name: str) -> list[str]:
        """The values of a header as the service saw it."""
        return [value for header, value in self.json()["headers"] if header == name]


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


class Live:
    """One Envoy with everything around it; `publish` brings it to other routes."""

    def __init__(self, folder: FilePath, *, workers: int = 1) -> None:
        self.workers = workers
        self.key = ECKey.generate_key("P-256", {"kid": "key-1", "alg": "ES256", "use": "sig"})
        self.keys = json.dumps({"keys": [self.key.as_dict(private=False)]})
        self.proxy = Proxy(folder=folder / "gateway", port=free_port(), exchange_port=free_port())
        self.exchange = FakeExchange(secret=make_folder(self.proxy), port=self.proxy.exchange_port)
        self.exchange.files = Answers(self.proxy.answers)
        self.exchange.start()
        self.upstream = Quiet(("127.0.0.1", free_port()), Echo)
        threading.Thread(target=self.upstream.serve_forever, args=(0.02,), daemon=True).start()
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "envoy.log"
        self.version = 0
        asyncio.run(prepare(self.snapshot(), self.keys, self.proxy))
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(envoy_argv(self.proxy.folder, concurrency=self.workers), stderr=log)
        wait_until(lambda: asyncio.run(admin.is_ready(self.proxy.admin)))

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.kill()
        self.exchange.stop()
        self.upstream.die()

    @property
    def requests(self) -> list[bytes]:
        """The first lines of what the service was asked, oldest first."""
        found: list[bytes] = self.upstream.__dict__.setdefault("requests", [])
        return found

    @property
    def service(self) -> Service:
        return Service("echo", (f"http://127.0.0.1:{self.upstream.server_address[1]}",))

    def snapshot(self, *routes: Route) -> Snapshot:
        self.version += 1
        return Snapshot(
            issuer=ISSUER,
            services=(self.service,),
            routes=routes,
            audiences=(Audience(API, SCOPES, reference=True), Audience(OTHER_API)),
            version=self.version,
        )

    def publish(self, *routes: Route) -> Delivery:
        """Only these routes from now on."""
        return self.deliver(self.snapshot(*routes))

    def deliver(self, snapshot: Snapshot) -> Delivery:
        """This snapshot from now on."""
        said = asyncio.run(put(snapshot, self.keys, self.proxy))
        assert said.status == "acked", said.reason
        # A listener that changed was taken, but answers only when it has its routes and certificates.
        wait_until(lambda: b"warming: 0\n" in asyncio.run(admin._get(self.proxy.admin, WARMING)))
        return said

    def claims(self, **changed: object) -> dict[str, object]:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": API,
            "sub": "user-1",
            "client_id": "shop-web",
            "iat": now,
            "exp": now + 300,
            "jti": os.urandom(8).hex(),
            "scope": "catalogue:read",
        }
        claims |= changed
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self, *, typ: str | None = "at+jwt", key: ECKey | None = None, kid: str = "key-1", **changed: object
    ) -> str:
        """An access token signed by the issuer; a claim set to None is left out."""
        signer = key or self.key
        header: dict[str, object] = {"alg": "ES256", "kid": kid}
        if typ is not None:
            header["typ"] = typ
        return jws.serialize_compact(header, json.dumps(self.claims(**changed)).encode(), signer, algorithms=["ES256"])

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        host: str | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host or f"localhost:{self.proxy.port}")
            pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
            if token is not None:
                pairs.append(("Authorization", f"Bearer {token}"))
            if body is not None:
                pairs.append(("Content-Length", str(len(body))))
            for name, value in pairs:
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, *, token: str | None = None, **more: object) -> Answer:
        return self.request("GET", path, token=token, **more)  # type: ignore[arg-type]

    def raw(self, request: bytes, *, seconds: float = 3) -> bytes:
        """Exactly these bytes; what came back until the gateway closed or fell silent."""
        with socket.create_connection(("127.0.0.1", self.proxy.port), timeout=seconds) as connection:
            connection.sendall(request)
            received = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while part := connection.recv(65_536):
                    received += part
                    if _whole(received):
                        break
            return received


def _whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


@contextlib.contextmanager
def running(folder: FilePath, *, workers: int = 1) -> Iterator[Live]:
    live = Live(folder, workers=workers)
    try:
        yield live
    finally:
        live.stop()
