"""Token status lists over HTTP (draft-ietf-oauth-status-list §8, §9): public, cacheable, for registered origins."""

from __future__ import annotations

import re
import zlib

import orjson

from kronborg.oauth.cors import VARY, cors_headers
from kronborg.oauth.endpoint import Clock, Receive, Scope, Send
from kronborg.tokens import status_store
from kronborg.tokens.engine import Engine
from kronborg.tokens.status_lists import TTL, StatusLists
from kronborg.tokens.status_places import uri_of

PATH = "/oauth/status-lists"
_CACHE = (b"cache-control", f"public, max-age={int(TTL.total_seconds())}".encode())
_METHODS = b"GET, HEAD"
_GZIP_FROM = 1024
_ID = re.compile(r"[0-9a-f-]{36}", re.ASCII)


class StatusListEndpoint:
    """Answers with the list that the path names, or with the addresses of all."""

    def __init__(self, engine: Engine, *, clock: Clock) -> None:
        self._engine, self._clock = engine, clock
        self._lists = StatusLists(engine)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        now = self._clock()
        headers = await cors_headers(self._engine, scope["headers"], methods=_METHODS, now=now) or [VARY]
        method, query = scope["method"], scope.get("query_string", b"")
        if method not in ("GET", "HEAD"):
            await _send(send, 204 if method == "OPTIONS" else 405, [*headers, (b"allow", _METHODS)], b"")
            return
        if query.startswith(b"time=") or b"&time=" in query:
            # §8.4: who cannot tell how it was at that time says so.
            await _send(send, 501, headers, b"")
            return
        list_id = scope["path"].rpartition(PATH)[2].removeprefix("/")
        if not list_id:
            ids = await status_store.live_lists(self._engine.database.lookup, now=now)
            body = orjson.dumps({"status_lists": [uri_of(self._engine.issuer, one) for one in ids]})
            await _send(send, 200, [*headers, _CACHE, (b"content-type", b"application/json")], body, method)
            return
        found = await self._lists.published(list_id, now=now) if _ID.fullmatch(list_id) else None
        if found is None:
            await _send(send, 404, [*headers, (b"cache-control", b"no-store")], b"")
            return
        headers += [_CACHE, (b"etag", found.etag.encode())]
        if any(name == b"if-none-match" and found.etag.encode() in value for name, value in scope["headers"]):
            await _send(send, 304, headers, b"")
            return
        body, headers = _squeezed(found.token, scope, headers)
        await _send(send, 200, [*headers, (b"content-type", b"application/statuslist+jwt")], body, method)


def _squeezed(
    token: bytes, scope: Scope, headers: list[tuple[bytes, bytes]]
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The token as it is, or gzipped for who takes that: §8.2 asks for it, Base64 wastes a quarter."""
    takes = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
    if not takes or len(token) < _GZIP_FROM:
        return token, headers
    squeezer = zlib.compressobj(6, zlib.DEFLATED, 31)
    encoded = (b"content-encoding", b"gzip")
    return squeezer.compress(token) + squeezer.flush(), [*headers, encoded, (b"vary", b"accept-encoding")]


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes, method: str = "GET") -> None:
    if status not in (204, 304):
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
