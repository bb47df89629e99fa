"""A real ACME server for tests: Pebble, built from its Go module by `make setup-test`, on ports of its own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from certificates import certificate
from gateway.live import wait_until
from ports import free_port


@dataclass(frozen=True)
class Pebble:
    """Where it is, and the authority of its own TLS certificate."""

    directory: str
    ca_file: Path
    http_port: int
    """Where it looks for answers to challenges, whatever the name."""


def binary(name: str) -> Path:
    found = Path(sys.executable).parent / name
    if not found.exists():
        if os.environ.get("CI"):
            raise FileNotFoundError("make setup-test builds the ACME server of these tests")
        pytest.skip("the ACME server of these tests is not built: make setup-test")
    return found


@contextlib.contextmanager
def running_pebble(folder: Path) -> Iterator[Pebble]:
    folder.mkdir(parents=True, exist_ok=True)
    _, ca_file = certificate(folder, "127.0.0.1")
    port, management, http_port = free_port(), free_port(), free_port()
    config = {
        "pebble": {
            "listenAddress": f"127.0.0.1:{port}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(ca_file),
            "privateKey": str(folder / "key.pem"),
            "httpPort": http_port,
            "tlsPort": free_port(),
            "retryAfter": {"authz": 0, "order": 0},
            "profiles": {"default": {"description": "ninety days", "validityPeriod": 7776000}},
        }
    }
    path = folder / "pebble.json"
    path.write_text(json.dumps(config))
    environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with _names(folder) as names, (folder / "pebble.log").open("wb") as log:
        argv = [str(binary("pebble")), "-config", str(path), "-dnsserver", names]
        process = subprocess.Popen(argv, env=environ, stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(port, ca_file))
            yield Pebble(f"https://127.0.0.1:{port}/dir", ca_file, http_port)
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def answering(port: int, answer: Callable[[str], str | None]) -> Iterator[None]:
    """A web server at `port` that answers challenges, as the gateway does: the token in, the text out."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = answer(self.path.removeprefix("/.well-known/acme-challenge/"))
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _names(folder: Path) -> Iterator[str]:
    """A name server for which every name is this machine."""
    port, management = free_port(), free_port()
    argv = [str(binary("pebble-challtestsrv")), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
    argv += ["-dnsserver", f"127.0.0.1:{port}", "-management", f"127.0.0.1:{management}"]
    argv += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]
    with (folder / "names.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        wait_until(lambda: _listens(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _answers(port: int, ca_file: Path) -> bool:
    context = ssl.create_default_context(cafile=str(ca_file))
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=1) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        return True
    return False
