"""The loopback endpoint where Envoy trades a reference token for a short-lived JWT (the phantom token).

Plain ASGI and nothing else: one request per token and minute, from this machine's proxy only. Every answer
but the JWT is bare; the token itself is never logged.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from starlette.types import Message, Receive, Scope, Send

_LARGEST = 256
_SECRET_HEADER = b"x-kronborg-exchange"
_PREFIX = "kro_at_"


@dataclass(frozen=True, slots=True)
class Phantom:
    """The JWT that stands for a reference token, and for how long it may."""

    token: str
    lifetime: timedelta


Exchange = Callable[[str, datetime], Awaitable[Phantom | None]]
"""Introspects a reference token; None when it is not active."""


def keep_secret(path: Path) -> str:
    """The secret that proxy and exchange share, made (0600) when there is none yet."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        secret = secrets.token_urlsafe(32)
        file.write(secret + "\n")
    return secret


class ExchangeApp:
    """`POST /exchange` with the token as the body: 200 and the JWT, or 404."""

    def __init__(self, exchange: Exchange, *, secret: str, clock: Callable[[], datetime]) -> None:
        if len(secret) < 32:
            raise ValueError("the exchange secret is too short")
        self._exchange, self._clock = exchange, clock
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] != "/exchange" or scope["method"] != "POST":
            await _answer(send, 404)
            return
        shown = [value for name, value in scope["headers"] if name == _SECRET_HEADER]
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._secret):
            await _answer(send, 403)
            return
        token = await _body(receive)
        phantom = None
        if token is not None and token.startswith(_PREFIX):
            phantom = await self._exchange(token, self._clock())
        if phantom is None:
            await _answer(send, 404)
            return
        lifetime = str(int(phantom.lifetime.total_seconds())).encode()
        await _answer(send, 200, phantom.token.encode(), (b"x-kronborg-lifetime", lifetime))


async def _body(receive: Receive) -> str | None:
    """The whole body as ASCII; None when it is longer than any token or is not ASCII."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > _LARGEST:
            return None
    return body.decode() if body.isascii() else None


async def _answer(send: Send, status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> None:
    start: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *headers,
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
