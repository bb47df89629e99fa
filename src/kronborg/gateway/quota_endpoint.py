"""The loopback endpoint where Envoy tells what was spent of quotas and gets leases: `POST /quota`.

Plain ASGI: a call for many requests, from this machine's proxy only, guarded like the exchange of tokens.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from starlette.types import Receive, Scope, Send

from kronborg.core.db import Database
from kronborg.core.log import get_logger
from kronborg.gateway.model import Snapshot
from kronborg.gateway.store import latest_published, latest_version
from kronborg.limits.authority import LONGEST, Authority, Malformed
from kronborg.limits.counters import Away
from kronborg.limits.model import Quota

log = get_logger("kronborg.gateway.quota")

PATH = "/quota"
_SECRET_HEADER = b"x-kronborg-exchange"
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


class QuotaApp:
    """`POST /quota`: 200 with the standings, 400 for what no gateway of ours says, 503 when counters are away."""

    def __init__(self, settle: Callable[[bytes, datetime], Awaitable[bytes]], *, secret: str, clock: Clock) -> None:
        if len(secret) < 32:
            raise ValueError("the exchange secret is too short")
        self._settle, self._clock = settle, clock
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        if scope["path"] != PATH or scope["method"] != "POST":
            return await _answer(send, 404)
        shown = [value for name, value in scope["headers"] if name == _SECRET_HEADER]
        if len(shown) != 1 or not hmac.compare_digest(shown[0], self._secret):
            return await _answer(send, 403)
        body = await _body(receive)
        if body is None:
            return await _answer(send, 413)
        try:
            told = await self._settle(body, self._clock())
        except Malformed as refused:
            log.warning("quota_call_refused", reason=str(refused))
            return await _answer(send, 400)
        except Away:
            return await _answer(send, 503)
        return await _answer(send, 200, told)


Clock = Callable[[], datetime]


def quota_app(authority: Authority, *, secret: str, clock: Clock) -> QuotaApp:
    """The endpoint of an authority."""

    async def settle(body: bytes, now: datetime) -> bytes:
        return await authority.settle(body, now=now)

    return QuotaApp(settle, secret=secret, clock=clock)


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
