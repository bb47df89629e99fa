"""Protocol endpoints as bare ASGI applications: read a form, answer JSON, turn refusals into OAuth errors.

These are the hottest paths of the product; a request object, a form parser and a response object in front of them
would cost more than what they do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from kronborg.core.client_certificate import CERTIFICATES, certificates_of
from kronborg.core.errors import Overloaded, TooMany
from kronborg.core.json import JsonObject
from kronborg.oauth.call import Call
from kronborg.oauth.cors import cors_headers
from kronborg.oauth.errors import InvalidClient, InvalidRequest, OAuthError
from kronborg.oauth.requests import MAX_FORM, Headers, header, is_form, parse_form
from kronborg.tokens.engine import Engine

Scope = MutableMapping[str, Any]
"""An ASGI scope or message; its shape is that of the ASGI specification."""
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
Clock = Callable[[], datetime]

REPEATABLE = ("resource", "audience")
"""RFC 8707 §2, RFC 8693 §2.1: the parameters that may stand more than once."""

# RFC 6749 §5.1: nothing that holds a token may be cached; neither may a refusal.
_NO_STORE = (b"cache-control", b"no-store")
_PRAGMA = (b"pragma", b"no-cache")


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer that is not plain JSON, a signed one for example, or needs header fields of its own."""

    body: bytes
    media_type: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


Answer = JsonObject | Encoded | None


class FormEndpoint:
    """An endpoint that takes a POSTed form: token, introspection, revocation."""

    def __init__(
        self,
        engine: Engine,
        answer: Callable[[Call], Awaitable[Answer]],
        *,
        clock: Clock,
        browsers: bool,
        status: int = 200,
    ) -> None:
        self._engine, self._answer, self._clock = engine, answer, clock
        self._browsers, self._status = browsers, status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Whatever goes wrong in it is an OAuth error; a bug is raised to the edge."""
        now = self._clock()
        extra: list[tuple[bytes, bytes]] = []
        if self._browsers:
            extra = await cors_headers(self._engine, scope["headers"], methods=b"POST", now=now)
        if scope["method"] == "OPTIONS" and self._browsers:
            await respond(send, 204, b"", extra)
            return
        if scope["method"] != "POST":
            await respond(send, 405, _error("invalid_request", "use POST"), [*extra, (b"allow", b"POST")])
            return
        try:
            call = await read_call(scope, receive, issuer=self._engine.issuer, now=now)
            answer = await self._answer(call)
        except OAuthError as refusal:
            more = [*extra, *_challenge(refusal), *refusal.headers]
            await respond(send, refusal.status, _error(refusal.error, refusal.detail), more)
        except TooMany as refusal:
            wait = str(max(1, round(refusal.retry_after.total_seconds()))).encode()
            body = _error("invalid_client", refusal.detail)
            await respond(send, 429, body, [*extra, (b"retry-after", wait)])
        except Overloaded as refusal:
            body = _error("temporarily_unavailable", refusal.detail)
            await respond(send, 503, body, [*extra, (b"retry-after", b"1")])
        else:
            if isinstance(answer, Encoded):
                more = [*extra, *answer.headers]
                await respond(send, self._status, answer.body, more, media_type=answer.media_type)
            else:
                await respond(send, self._status, b"" if answer is None else orjson.dumps(answer), extra)


async def read_call(scope: Scope, receive: Receive, *, issuer: str, now: datetime) -> Call:
    """The form of a request, with what is needed to authenticate it. Raises `InvalidRequest`."""
    headers: Headers = scope["headers"]
    # RFC 6749 §2.3.1, §3.2: never in the query, where logs and histories keep it.
    if scope.get("query_string"):
        raise InvalidRequest("parameters belong into the body, not into the query")
    if not is_form(header(headers, b"content-type") or b""):
        raise InvalidRequest("the body must be application/x-www-form-urlencoded")
    if header(headers, b"content-encoding") is not None:
        raise InvalidRequest("the body must not be compressed")
    client = scope.get("client")
    address = client[0] if client else ""
    form = parse_form(await read_body(receive), repeatable=REPEATABLE)
    url = issuer + scope["path"]
    return Call(form, headers, address, now, url, certificates_of(scope) if CERTIFICATES in scope else ())


async def read_body(receive: Receive) -> bytes:
    """The whole body, at most 32 KiB. Raises `InvalidRequest` when it is longer or breaks off."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidRequest("the request broke off")
        part: bytes = message.get("body", b"")
        body = body + part if body else part
        if len(body) > MAX_FORM:
            raise InvalidRequest("the request is too large")
        if not message.get("more_body", False):
            return body


async def respond(
    send: Send, status: int, body: bytes, extra: list[tuple[bytes, bytes]], *, media_type: bytes = b"application/json"
) -> None:
    """Send an answer that nobody may store."""
    headers = [(b"content-type", media_type), _NO_STORE, _PRAGMA, (b"content-length", str(len(body)).encode()), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _error(error: str, description: str) -> bytes:
    return orjson.dumps({"error": error, "error_description": description})


def _challenge(refusal: OAuthError) -> list[tuple[bytes, bytes]]:
    # RFC 6749 §5.2: a client that used the Authorization header is told the scheme; RFC 9110 §15.5.2 wants a
    # challenge with every 401.
    if isinstance(refusal, InvalidClient):
        return [(b"www-authenticate", b'Basic realm="kronborg", charset="UTF-8"')]
    return []
