"""The loopback endpoint where Envoy tells what was spent of quotas and gets leases: `POST /quota`.

Plain ASGI: a call for many requests, from this machine's proxy, or through the fleet's door from another's, guarded
like the exchange of tokens.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from starlette.types import Receive, Scope, Send

from kronborg.core.db import Database
from kronborg.core.log import get_logger
from kronborg.gateway.model import Snapshot
from kronborg.gateway.quota_answers import TELL, Answers, Once, Tell
from kronborg.gateway.store import latest_published, latest_version
from kronborg.limits.authority import LONGEST, Authority, Malformed
from kronborg.limits.counters_model import Away
from kronborg.limits.model import Quota

log = get_logger("kronborg.gateway.quota")

PATH = "/quota"
_SECRET_HEADER = b"x-kronborg-exchange"
_NODE_HEADER = b"x-kronborg-node"
_FRESH = timedelta(seconds=1)


def quotas_of(snapshot: Snapshot) -> dict[str, Quota]:
    """Every quota of the routes by its name, without the weight, which is the route's own."""
    return {
        quota.name: replace(quota, weight=1, weight_header="", heaviest=100)
        for route in snapshot.routes
        for quota in route.quotas
    }


class PublishedQuotas:
    """The quotas of the newest published snapshot, asked for once a second at most."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._version, self._known = -1, dict[str, Quota]()
        self._looked: datetime | None = None

    async def __call__(self, name: str) -> Mapping[str, Quota]:
        """All of them; a name that is not among them is looked for at once."""
        now = self._clock()
        fresh = self._looked is not None and timedelta(0) <= now - self._looked < _FRESH
        if not fresh or name not in self._known:
            self._looked = now
            version = await latest_version(self._database)
            if version != self._version:
                async with self._database.read() as session:
                    published = await latest_published(session)
                self._known = {} if published is None else quotas_of(published.snapshot)
                self._version = version
        return self._known


Clock = Callable[[], datetime]


class QuotaApp:
    """`POST /quota`: 200 with the standings, 204 when they are left in a file, 400 for what no gateway says, 503 when
    counters are away."""

    def __init__(self, once: Once, answers: Answers | None, *, secret: str, clock: Clock) -> None:
        if len(secret) < 32:
            raise ValueError("the exchange secret is too short")
        self._once, self._answers, self._clock = once, answers, clock
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["path"] != PATH or scope["method"] != "POST":
            return await _answer(send, 404)
        headers = dict(scope["headers"])
        shown = [value for name, value in scope["headers"] if name == _SECRET_HEADER]
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._secret):
            return await _answer(send, 403)
        tell = Tell.parse(headers.get(TELL, b"").decode("latin-1"))
        if tell is None:
            return await _answer(send, 400)
        body = await _body(receive)
        if body is None:
            return await _answer(send, 413)
        # The fleet's door says which node asks; the proxy of this machine cannot.
        node = headers.get(_NODE_HEADER, b"").decode("latin-1")
        try:
            told = await self._once.settle(tell, body, now=self._clock(), node=node)
        except Malformed as refused:
            log.warning("quota_call_refused", reason=str(refused))
            return await _answer(send, 400)
        except Away:
            return await _answer(send, 503)
        if tell.by_file and not node and self._answers is not None:
            self._answers.leave(tell, told)
            return await _answer(send, 204)
        return await _answer(send, 200, told)


def once_by(authority: Authority) -> Once:
    """The calls of gateways, settled by an authority."""

    async def settle(body: bytes, now: datetime, node: str) -> bytes:
        return await authority.settle(body, now=now, node=node)

    return Once(settle)


def quota_app(authority: Authority, answers: Answers, *, secret: str, clock: Clock) -> QuotaApp:
    """The endpoint of an authority."""
    return QuotaApp(once_by(authority), answers, secret=secret, clock=clock)


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None when it is larger than any call."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LONGEST:
            return None
    return body


async def _answer(send: Send, status: int, body: bytes = b"") -> None:
    headers = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
