"""The loopback endpoint where Envoy trades a reference token or a key for a short-lived JWT (the phantom token).

Plain ASGI and nothing else: one request per token and minute, from this machine's proxy only. Every answer
but the JWT is bare; the token itself is never logged.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from starlette.types import Message, Receive, Scope, Send

_LARGEST = 256
_SECRET_HEADER = b"x-kronborg-exchange"
_PREFIX = "kro_at_"
_KEYS = ("kro_key_", "kro_pat_")


@dataclass(frozen=True, slots=True)
class Phantom:
    """The JWT that stands for a reference token, and for how long it may."""

    token: str
    lifetime: timedelta
    bound: bool = False
    """Whether it is good from the address only that the proxy told."""


Exchange = Callable[[str, datetime], Awaitable[Phantom | None]]
"""Introspects a reference token; None when it is not active."""


@dataclass(frozen=True, slots=True)
class ShownKey:
    """An API key or a personal access token, the API that the route is for, and where the request came from."""

    text: str
    audience: str
    address: str


KeyExchange = Callable[[ShownKey, datetime], Awaitable[Phantom | None]]
"""Looks a key up; None when it is not valid for that API, or from there."""


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

    def __init__(
        self, exchange: Exchange, keys: KeyExchange | None = None, *, secret: str, clock: Callable[[], datetime]
    ) -> None:
        if len(secret) < 32:
            raise ValueError("the exchange secret is too short")
        self._exchange, self._keys, self._clock = exchange, keys, clock
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
        elif token is not None and token.startswith(_KEYS) and self._keys is not None:
            shown_key = ShownKey(token, _told(scope, b"x-kronborg-audience"), _told(scope, b"x-kronborg-address"))
            phantom = await self._keys(shown_key, self._clock())
        if phantom is None:
            await _answer(send, 404)
            return
        lifetime = str(int(phantom.lifetime.total_seconds())).encode()
        bound = ((b"x-kronborg-bound", b"address"),) if phantom.bound else ()
        named = ((b"x-kronborg-key", key_id(phantom.token).encode()),) if token and token.startswith(_KEYS) else ()
        await _answer(send, 200, phantom.token.encode(), (b"x-kronborg-lifetime", lifetime), *bound, *named)


def key_id(token: str) -> str:
    """The id of the key that a JWT of ours stands for: its `jti`."""
    payload = token.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["jti"])


def _told(scope: Scope, name: bytes) -> str:
    """What the proxy says in a header of its own; empty when it does not."""
    values = [value for header, value in scope["headers"] if header == name]
    return values[0].decode("ascii", "replace") if len(values) == 1 else ""


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
