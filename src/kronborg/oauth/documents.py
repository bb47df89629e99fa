"""Public documents: metadata and JWKS, ready as bytes, with validators and for every registered origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import orjson

from kronborg.oauth.cors import VARY, cors_headers
from kronborg.oauth.discovery import admission_metadata, metadata
from kronborg.oauth.endpoint import Clock, Receive, Scope, Send
from kronborg.oauth.offered import as_offered
from kronborg.tokens.claims import told_attributes
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import etag_of

Document = Callable[[datetime], Awaitable[tuple[bytes, str]]]
_CACHE = (b"cache-control", b"public, max-age=300")


class DocumentEndpoint:
    """Answers GET and HEAD with a document and its ETag, and 304 to those who have it."""

    def __init__(self, engine: Engine, document: Document, *, clock: Clock) -> None:
        self._engine, self._document, self._clock = engine, document, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        now = self._clock()
        method = scope["method"]
        headers = await cors_headers(self._engine, scope["headers"], methods=b"GET, HEAD", now=now) or [VARY]
        if method not in ("GET", "HEAD"):
            headers.append((b"allow", b"GET, HEAD"))
            await _send(send, 204 if method == "OPTIONS" else 405, headers, b"")
            return
        body, etag = await self._document(now)
        headers += [_CACHE, (b"etag", etag.encode())]
        if any(name == b"if-none-match" and etag.encode() in value for name, value in scope["headers"]):
            await _send(send, 304, headers, b"")
            return
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await _send(send, 200, headers, b"" if method == "HEAD" else body)


def metadata_document(engine: Engine) -> Document:
    """The metadata, written anew only when the APIs changed."""
    known: tuple[object, bytes, str, object] = (None, b"", "", None)

    async def document(now: datetime) -> tuple[bytes, str]:
        nonlocal known
        apis, opt_ins = await engine.directory.apis(now=now), await engine.directory.opt_ins(now=now)
        if known[0] is not apis or known[3] is not opt_ins:
            admission = admission_metadata(engine.issuer, engine.directory.admission)
            whole = {**metadata(engine.issuer, apis, engine.mutual_tls, engine.factors), **admission}
            claims = [one.claim for one in told_attributes(engine)]
            if claims and isinstance(standard := whole["claims_supported"], list):
                whole["claims_supported"] = [*standard, *claims]
            body = orjson.dumps(as_offered(whole, *opt_ins, profile=engine.profile))
            known = (apis, body, etag_of(body), opt_ins)
        return known[1], known[2]

    return document


def jwks_document(engine: Engine) -> Document:
    """The public signing keys, the next one included."""

    async def document(now: datetime) -> tuple[bytes, str]:
        keys = await engine.keys.current(now=now)
        return keys.jwks, keys.etag

    return document


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
