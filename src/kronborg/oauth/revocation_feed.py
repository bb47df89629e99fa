"""The feed of revocations over HTTP: for gateways and resource servers that check JWTs by themselves.

`GET /oauth/revocations?after=N&wait=S&limit=L` with an access token for `<issuer>/api` that has the scope
`revocations:read`. See docs/reference/revocation-feed.md.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from urllib.parse import parse_qsl

import orjson

from kronborg.core.json import JsonObject
from kronborg.oauth.endpoint import Clock, Receive, Scope, Send
from kronborg.oauth.requests import Headers
from kronborg.tokens import feed
from kronborg.tokens.engine import Engine
from kronborg.tokens.feed import MAX_PAGE, Page
from kronborg.tokens.reference import resolve

SCOPE = "revocations:read"
LONGEST_WAIT = 30
MAX_WAITING = 512
"""Readers that may wait in one process; more are answered at once."""
_PARAMETERS = {"after": (0, (1 << 53) - 1), "wait": (0, LONGEST_WAIT), "limit": (1, MAX_PAGE)}
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]{1,8192}) *", re.IGNORECASE)

Refused = tuple[int, str, str]
"""Status, `error` (RFC 6750 §3.1), and what is wrong."""
Admit = Callable[[Headers, datetime], Awaitable[Refused | None]]
"""Says why the sender of these headers may not read the feed."""


class FeedEndpoint:
    """Answers with the entries after a number; waits for the first one if it is asked to."""

    def __init__(self, engine: Engine, admit: Admit, *, clock: Clock) -> None:
        self._engine, self._admit, self._clock = engine, admit, clock
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "GET":
            await _refuse(send, 405, "invalid_request", "use GET", [(b"allow", b"GET")])
            return
        refused = await self._admit(scope["headers"], self._clock())
        if refused is not None:
            status, error, detail = refused
            challenge = b"Bearer" + (f' error="{error}", scope="{SCOPE}"'.encode() if error else b"")
            await _refuse(send, status, error, detail, [(b"www-authenticate", challenge)])
            return
        asked = _asked(scope.get("query_string", b""))
        if asked is None:
            await _refuse(send, 400, "invalid_request", "after, wait and limit are numbers within bounds", [])
            return
        page = await self._read(asked.get("after", 0), asked.get("limit", MAX_PAGE), asked.get("wait", 0))
        etag = f'"{page.last}"'.encode()
        headers = [(b"cache-control", b"no-store"), (b"etag", etag)]
        unchanged = not page.entries and not page.reset
        if unchanged and any(name == b"if-none-match" and value == etag for name, value in scope["headers"]):
            await _send(send, 304, headers, b"")
            return
        await _send(send, 200, [*headers, (b"content-type", b"application/json")], orjson.dumps(_shown(page)))

    async def _read(self, after: int, limit: int, seconds: int) -> Page:
        lookup = self._engine.database.lookup
        if seconds and self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                await feed.wait(lookup, after=after, seconds=seconds)
            finally:
                self._waiting -= 1
        return await feed.read(lookup, after=after, limit=limit)


def by_token(engine: Engine) -> Admit:
    """Admit who shows an access token of a client for the admin API's audience, with the scope for this."""

    async def admit(headers: Headers, now: datetime) -> Refused | None:
        shown = [value for name, value in headers if name == b"authorization"]
        if not shown:
            # RFC 6750 §3.1: without credentials the challenge carries no error.
            return 401, "", "an access token is needed"
        bearer = _BEARER.fullmatch(shown[0])
        if len(shown) > 1 or bearer is None:
            return 400, "invalid_request", "the Authorization header is not one bearer token"
        access = await resolve(engine, bearer[1].decode("ascii"), now=now)
        # RFC 9449 §7.2: a token that is bound to a key is none to whoever merely bears it.
        if access is None or access.audience != f"{engine.issuer}/api" or "cnf" in access.claims:
            return 401, "invalid_token", "the access token is not valid here"
        if access.grant_id is not None or SCOPE not in access.scopes:
            return 403, "insufficient_scope", "the access token lacks the scope"
        return None

    return admit


def _asked(query: bytes) -> dict[str, int] | None:
    """The parameters as numbers; None when one is unknown, repeated or out of bounds."""
    asked: dict[str, int] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=10):
        lowest, highest = _PARAMETERS.get(name, (1, 0))
        if name in asked or not (value.isascii() and value.isdigit() and len(value) < 17):
            return None
        if not lowest <= int(value) <= highest:
            return None
        asked[name] = int(value)
    return asked


def _shown(page: Page) -> JsonObject:
    entries = [{k: v for k, v in feed.plain(one).items() if v is not None} for one in page.entries]
    return {"entries": entries, "last": page.last, "reset": page.reset, "more": page.more}


async def _refuse(send: Send, status: int, error: str, detail: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = orjson.dumps({"error": error or "unauthorized", "error_description": detail})
    more = [(b"cache-control", b"no-store"), (b"content-type", b"application/json")]
    await _send(send, status, [*headers, *more], body)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    if status != 304:
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
