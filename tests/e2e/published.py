"""A web server of somebody else, with documents that the demo is allowed to fetch: https on the loopback."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ports import free_port


@dataclass(frozen=True, slots=True)
class Published:
    """What stands where; `asked` lists the paths that somebody wanted, `posted` what was brought to any."""

    url: str
    documents: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    posted: list[tuple[str, bytes]] = field(default_factory=list)

    def client(self, name: str, redirect_uri: str, **more: object) -> str:
        """Publish a client ID metadata document; its URL, which is the client's id."""
        url = f"{self.url}/{name}.json"
        document: Mapping[str, object] = {
            "client_id": url,
            "client_name": "An assistant from elsewhere",
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            **more,
        }
        self.documents[f"/{name}.json"] = json.dumps(document).encode()
        return url


@contextmanager
def publishing(tls: ssl.SSLContext) -> Iterator[Published]:
    """Serve until the end of the block."""
    port = free_port()
    published = Published(f"https://localhost:{port}")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            published.asked.append(self.path)
            self.answer(published.documents.get(self.path))

        def do_POST(self) -> None:
            published.posted.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.answer(b"{}")

        def answer(self, body: bytes | None) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield published
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
