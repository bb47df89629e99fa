"""Answers to ACME servers (RFC 8555 section 8.3), asked by the gateway on behalf of whoever comes: plain ASGI."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from starlette.types import Receive, Scope, Send

from kronborg.certificates.store import find_challenge
from kronborg.core.db import Database

PREFIX = "/.well-known/acme-challenge/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)


class ChallengeApp:
    """`GET` with a token: what its server wants to read while its order is open; 404 for anything else."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        token = scope["path"].removeprefix(PREFIX)
        found = None
        if scope["method"] == "GET" and _TOKEN.fullmatch(token):
            async with self._database.read() as session:
                found = await find_challenge(session, token, now=self._clock())
        body = (found or "").encode()
        headers = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 404 if found is None else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
