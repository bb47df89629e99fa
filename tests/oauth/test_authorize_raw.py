"""Requests that no well-behaved library would send: raw bytes in the query, impossible hosts."""

from __future__ import annotations

import pytest
from starlette.types import Message

from kronborg.core.http import Edge
from oauth.flow import Flow

pytestmark = pytest.mark.anyio

PATHS = ("/oauth/authorize", "/oauth/logout", "/oauth/userinfo", "/oauth/consent", "/account/apps", "/account", "/")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("query", [b"\xff\xfe=1&client_id=web", b"client_id=\xc3\xa9", b"next=%ff&%zz", b"?" * 50])
@pytest.mark.parametrize("host", [b"localhost:8081", b"[", b"a b", b"\xff", b""])
async def test_raw_bytes_are_no_bug(flow: Flow, method: str, query: bytes, host: bytes) -> None:
    statuses = [await ask(flow, method, path, query, host) for path in PATHS]

    assert max(statuses) < 500


async def ask(flow: Flow, method: str, path: str, query: bytes, host: bytes) -> int:
    """The status of one request, sent below everything that would tidy it up."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", host), (b"accept", b"text/html"), (b"origin", b"null")],
        "client": ("127.0.0.1", 40000),
        "server": ("localhost", 8081),
    }
    await Edge(flow.site.app, secure=False)(scope, receive, send)
    status: int = sent[0]["status"]
    return status
