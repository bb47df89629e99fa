"""`X-Forwarded-For` is believed from our own proxies, and nobody else's word counts."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from kronborg.core.forwarded import Forwarded

pytestmark = pytest.mark.anyio


async def whoami(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    answer: Response = PlainTextResponse(request.client.host if request.client else "")
    await answer(scope, receive, send)


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, nonsense", "127.0.0.1"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "", "127.0.0.1"),
    ],
)
async def test_the_nearest_address_that_is_not_ours_is_the_caller(peer: str, forwarded: str, caller: str) -> None:
    transport = httpx.ASGITransport(Forwarded(whoami, ("127.0.0.1", "10.0.0.0/8")), client=(peer, 1))

    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        answer = await http.get("/", headers={"x-forwarded-for": forwarded} if forwarded else {})

    assert answer.text == caller
