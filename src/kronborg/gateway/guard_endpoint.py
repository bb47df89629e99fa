"""The loopback endpoint where Envoy asks about one request: `POST /guard`, only on routes that need it.

Plain ASGI, guarded like the exchange of tokens. It answers 204 for what passes, 422 with the reason and what is wrong,
and 503 where nobody can say; the proxy takes everything else for a failure too, and refuses.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from kronborg.core.db import Database
from kronborg.core.log import get_logger
from kronborg.gateway.access_model import TokenIssuer
from kronborg.gateway.documents_model import Described
from kronborg.gateway.documents_store import content_of, digests_now
from kronborg.gateway.guard import Asked, Malformed, Verdict, errors_of, permits, read_question
from kronborg.gateway.guard_model import LARGEST, PATH
from kronborg.gateway.guard_workers import NotReady, TookTooLong, Workers
from kronborg.gateway.model import Route
from kronborg.gateway.shared_policies import settled
from kronborg.gateway.store import latest_published, latest_version

log = get_logger("kronborg.gateway.guard")

_SECRET_HEADER = b"x-kronborg-exchange"
_ROUTE_HEADER = b"x-kronborg-route"
_FRESH = timedelta(seconds=1)
_MOST_DOCUMENTS = 200

refusals = Counter("kronborg_guard_refusals", "Requests that the guard refused, or would have", ("reason", "mode"))

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a request is held against."""

    route: Route
    document: Described | None
    issuers: tuple[TokenIssuer, ...] = ()
    own: str = ""
    """Our own issuer."""


Rules = Callable[[str], Awaitable[Rule | None]]
"""What is published under the name of a route; None when nothing is."""


@dataclass(slots=True)
class PublishedRules:
    """The routes of the newest published snapshot and the documents of their services, looked for once a second."""

    database: Database
    clock: Clock
    _version: int = -1
    _routes: Mapping[str, Route] = field(default_factory=dict)
    _issuers: tuple[TokenIssuer, ...] = ()
    _own: str = ""
    _digests: Mapping[str, str] = field(default_factory=dict)
    _known: dict[str, Described] = field(default_factory=dict)
    _looked: datetime | None = None

    async def __call__(self, name: str) -> Rule | None:
        """The route of this name; one that is not known is looked for at once."""
        now = self.clock()
        fresh = self._looked is not None and timedelta(0) <= now - self._looked < _FRESH
        if not fresh or name not in self._routes:
            await self._look()
            self._looked = now
        route = self._routes.get(name)
        if route is None:
            return None
        document = None
        if route.content is not None and route.content.validate != "off":
            document = await self._document(self._digests.get(route.service, ""))
        return Rule(route, document, self._issuers, self._own)

    async def _look(self) -> None:
        version = await latest_version(self.database)
        if version != self._version:
            async with self.database.read() as session:
                published = await latest_published(session)
            snapshot = None if published is None else settled(published.snapshot)
            self._routes = {} if snapshot is None else {route.name: route for route in snapshot.routes}
            self._issuers = () if snapshot is None else snapshot.issuers
            self._own = "" if snapshot is None else snapshot.issuer
            self._version = version
        self._digests = await digests_now(self.database.lookup)

    async def _document(self, digest: str) -> Described | None:
        if not digest:
            return None
        known = self._known.get(digest)
        if known is None:
            async with self.database.read() as session:
                content = await content_of(session, digest)
            if content is None:
                return None
            known = Described(digest, content.encode())
            if len(self._known) >= _MOST_DOCUMENTS:
                self._known.clear()
            self._known[digest] = known
        return known


class GuardApp:
    """`POST /guard`."""

    def __init__(self, rules: Rules, *, secret: str, workers: Workers | None = None) -> None:
        if len(secret) < 32:
            raise ValueError("the exchange secret is too short")
        self._rules, self._secret = rules, secret.encode()
        self._workers = workers or Workers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        if scope["path"] != PATH or scope["method"] != "POST":
            return await _answer(send, 404)
        shown = [value for name, value in scope["headers"] if name == _SECRET_HEADER]
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._secret):
            return await _answer(send, 403)
        body = await _body(receive)
        if body is None:
            return await _answer(send, 413)
        names = [value for name, value in scope["headers"] if name == _ROUTE_HEADER]
        rule = await self._rules(names[0].decode("ascii", "replace")) if len(names) == 1 else None
        if rule is None:
            return await _answer(send, 404)
        try:
            verdict = await self._judge(rule, read_question(body))
        except Malformed as malformed:
            log.warning("question_refused", reason=str(malformed))
            return await _answer(send, 400)
        except TookTooLong:
            return await _answer(send, 503)
        except NotReady:
            log.error("document_not_ready", route=rule.route.name)
            return await _answer(send, 503)
        if verdict.reported:
            refusals.labels(verdict.reported, "report").inc()
            return await _answer(send, 204, b"", (b"x-kronborg-reported", verdict.reported.encode()))
        if verdict.reason:
            refusals.labels(verdict.reason, "enforce").inc()
            told = (b"x-kronborg-reason", verdict.reason.encode())
            return await _answer(send, 422, errors_of(verdict), told)
        return await _answer(send, 204)

    async def _judge(self, rule: Rule, asked: Asked) -> Verdict:
        if not permits(rule.route, asked, rule.issuers, rule.own):
            return Verdict("policy_denied")
        if rule.route.content is None:
            return Verdict()
        return await self._workers.look(rule.route, asked.sent, rule.document)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is larger than any question."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > LARGEST:
            return None
    return b"".join(parts)


async def _answer(send: Send, status: int, body: bytes = b"", *more: tuple[bytes, bytes]) -> None:
    length = () if status == 204 else ((b"content-length", str(len(body)).encode()),)
    headers = [*length, (b"cache-control", b"no-store"), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
