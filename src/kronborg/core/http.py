"""The HTTP edge: request ids, security headers, bounded bodies, and problems (RFC 9457).

Pure ASGI: the protocol endpoints are too hot for anything that builds a request object twice.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping

import orjson
from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kronborg.core.errors import Conflict, Forbidden, Invalid, NotFound, Overloaded, Refusal, TooMany
from kronborg.core.ids import next_request_id
from kronborg.core.json import JsonValue
from kronborg.core.log import bind_request_id, current_request_id, get_logger

log = get_logger("kronborg.http")

MAX_BODY = 1 << 20
"""Bytes: the largest request body any endpoint of ours reads."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_ALL = ((b"x-content-type-options", b"nosniff"),)
_DOCUMENTS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""What only matters to something that a browser shows, which JSON that may not be sniffed is not."""
_JSON = (b"content-type", b"application/json")
_HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")

requests_total = Counter("kronborg_http_requests", "Requests answered", ("method", "status"))
request_seconds = Histogram(
    "kronborg_http_request_seconds",
    "Time from the first to the last byte",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
_counters: dict[tuple[str, int], Callable[[], None]] = {}
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Edge:
    """The outermost layer: request id, security headers, metrics, and the last word on a bug."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self._data = (*_ALL, _HSTS) if secure else _ALL
        self._document = (*self._data, *_DOCUMENTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _incoming_id(scope) or next_request_id()
        bind_request_id(request_id)
        started = time.perf_counter()
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                message["headers"] = headers
                if headers[0] == _JSON:
                    headers += self._data
                else:
                    present = {name for name, _ in headers}
                    headers += [pair for pair in self._document if pair[0] not in present]
                _count(scope["method"], message["status"])
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            log.exception("bug", path=scope.get("path", ""), method=scope["method"])
            if not begun:
                await bug_problem()(scope, receive, send_with_headers)
        finally:
            request_seconds.observe(time.perf_counter() - started)


class Shortcut:
    """Hands the busiest paths straight to their endpoints, past everything that stands before the router.

    These endpoints bound their bodies and answer their refusals themselves.
    """

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, ASGIApp]) -> None:
        self.app, self._endpoints = app, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        await (endpoint or self.app)(scope, receive, send)


class LimitBody:
    """Refuse bodies above `limit` bytes: by their declared length, and again while they arrive."""

    def __init__(self, app: ASGIApp, *, limit: int = MAX_BODY) -> None:
        self.app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if declared is not None and (not declared.isdigit() or int(declared[:20]) > self._limit):
            await problem(413, "Content too large", "The request body is larger than this endpoint accepts.")(
                scope, receive, send
            )
            return
        if declared is not None:
            # The server sees to it that a body is as long as was declared (RFC 9112 §6.3).
            await self.app(scope, receive, send)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > self._limit:
                    raise HTTPException(413, "The request body is larger than this endpoint accepts.")
            return message

        await self.app(scope, bounded, send)


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    type_: str = "about:blank",
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, JsonValue] | None = None,
) -> Response:
    """An RFC 9457 answer. `detail` is fixed text; it never echoes input."""
    body = {
        "type": type_,
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": current_request_id(),
        **(extra or {}),
    }
    response = Response(orjson.dumps(body), status, media_type="application/problem+json")
    response.headers["cache-control"] = "no-store"
    MutableHeaders(raw=response.raw_headers).update(dict(headers or {}))
    return response


def bug_problem(_request: Request | None = None, _bug: Exception | None = None) -> Response:
    """The answer to a bug: that it happened and its request id, nothing more."""
    return problem(500, "Internal error", "Something went wrong on our side.")


def refusal_problem(_request: Request, refusal: Exception) -> Response:
    """The problem that answers a refusal at the admin API."""
    match refusal:
        case Invalid(problems=problems):
            wrong = [{"where": p.where, "detail": p.detail, "mend": p.mend} for p in problems]
            return problem(422, "Invalid input", "Nothing was changed; see problems.", extra={"problems": wrong})
        case TooMany(retry_after=wait):
            seconds = str(max(1, round(wait.total_seconds())))
            return problem(429, "Too many requests", refusal.detail, headers={"retry-after": seconds})
        case NotFound():
            return problem(404, "Not found", refusal.detail)
        case Conflict():
            return problem(409, "Conflict", refusal.detail)
        case Forbidden():
            return problem(403, "Forbidden", refusal.detail)
        case Overloaded():
            return problem(503, "Overloaded", refusal.detail, headers={"retry-after": "1"})
        case Refusal():
            return problem(400, "Refused", refusal.detail)
        case _:
            raise refusal


def _incoming_id(scope: Scope) -> str | None:
    """The gateway's request id, when it is well-formed."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value).decode()
    return None


def _count(method: str, status: int) -> None:
    key = (method if method in _METHODS else "OTHER", status)
    count = _counters.get(key)
    if count is None:
        count = _counters[key] = requests_total.labels(key[0], str(status)).inc
    count()
