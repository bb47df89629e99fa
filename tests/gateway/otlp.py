"""A collector that takes OTLP over HTTP, for tests of what the gateway sends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from gateway.live import Quiet
from ports import free_port


class Collector:
    """Hands each body that was sent to `path` to `take`."""

    def __init__(self, path: str, take: Callable[[bytes], None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                known = self.path == path and self.headers.get("content-type") == "application/x-protobuf"
                body = self._body()
                if known:
                    take(body)
                self.send_response(200 if known else 404)
                self.send_header("content-length", "0")
                self.end_headers()

            def _body(self) -> bytes:
                if "content-length" in self.headers:
                    return self.rfile.read(int(self.headers["content-length"]))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = Quiet(("127.0.0.1", free_port()), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}{path}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
