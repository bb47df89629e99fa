"""The canary: how long it takes from a revocation until the gateway refuses, measured all the time.

Every so often a token of no use is issued, seen to pass, revoked, and tried until every connection is refused. The
token is for an audience that is no API's, lives two minutes, and opens one empty answer (`envoy/canary_host.py`).
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import Histogram

from kronborg.core import events
from kronborg.core.db import Database
from kronborg.core.group_writer import Execute
from kronborg.core.ids import token_id
from kronborg.core.log import get_logger
from kronborg.gateway.canary_store import CanaryResult, Outcome, add_result
from kronborg.gateway.envoy.canary_host import HOST, PATH
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.revocation_model import CANARY
from kronborg.tokens.engine import Engine
from kronborg.tokens.feed import Notice, tell
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.signing import sign

log = get_logger("kronborg.gateway.canary")

CLIENT = "kronborg-canary"
LIFETIME = timedelta(minutes=2)
LATE = timedelta(seconds=1)
GIVE_UP = timedelta(seconds=10)
KEPT = timedelta(days=1)
CONNECTIONS = 4
"""Each ends at some worker of the proxy, and each worker has news of its own."""

_ASK_AGAIN_SECONDS = 0.01
_TIMEOUT_SECONDS = 5.0
_PASSED, _REFUSED = 204, 401

revocation_seconds = Histogram(
    "kronborg_gateway_revocation_seconds",
    "Time from a revocation until the gateway refused the token, as measured by the canary",
    ("proxy",),
    buckets=(0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1, 2, 5, 10),
)


@dataclass(frozen=True, slots=True)
class Bird:
    """A token of the canary; `revoke` ends it."""

    token: str
    revoke: Callable[[], Awaitable[None]]


Breed = Callable[[], Awaitable[Bird]]
"""Issues a token of the canary: with the database at hand, or from far away."""


def from_engine(engine: Engine, clock: Callable[[], datetime]) -> Breed:
    """Tokens of this installation, revoked in its feed as any other is."""

    async def breed() -> Bird:
        now, jti = clock(), token_id()
        until = now + LIFETIME
        claims = {"iss": engine.issuer, "aud": CANARY, "sub": CLIENT, "client_id": CLIENT, "jti": jti, "scope": ""}
        times = {"iat": int(now.timestamp()), "exp": int(until.timestamp())}
        token = await sign(engine, {**claims, **times}, typ=ACCESS_TYPE, now=now)

        def unit(execute: Execute) -> None:
            tell(execute, (Notice("token", jti, until=until),), now=clock())

        async def revoke() -> None:
            await engine.database.writer.run(unit)

        return Bird(token, revoke)

    return breed


def way_in(proxy: Proxy) -> Listener | None:
    """The listener to ask: a plain one, or else one that asks for no certificate of ours."""
    open_ones = [one for one in proxy.serving if one.tls is None or one.tls.client_certificates != "required"]
    return min(open_ones, key=lambda one: one.tls is not None, default=None)


def _connection(host: str, port: int, *, tls: bool) -> http.client.HTTPConnection:
    """A connection of its own. Whom it meets on this machine's own port need not be proved by a certificate."""
    if not tls:
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)


async def measure(breed: Breed, host: str, port: int, *, tls: bool = False) -> tuple[Outcome, timedelta]:
    """Issue, see pass, revoke, and try until refused on every connection."""
    loop = asyncio.get_running_loop()
    bird = await breed()
    callers = [_connection(host, port, tls=tls) for _ in range(CONNECTIONS)]
    try:
        for caller in callers:
            if await asyncio.to_thread(_ask, caller, bird.token) != _PASSED:
                return "not_admitted", timedelta(0)
        start = loop.time()
        await bird.revoke()
        waiting = list(callers)
        while waiting:
            took = timedelta(seconds=loop.time() - start)
            if took > GIVE_UP:
                return "late", took
            waiting = [one for one in waiting if await asyncio.to_thread(_ask, one, bird.token) != _REFUSED]
            if waiting:
                await asyncio.sleep(_ASK_AGAIN_SECONDS)
        took = timedelta(seconds=loop.time() - start)
        return ("late" if took > LATE else "refused"), took
    except (OSError, http.client.HTTPException):
        return "unreachable", timedelta(0)
    finally:
        for caller in callers:
            caller.close()


async def watch(
    database: Database, breed: Breed, proxy: Proxy, *, clock: Callable[[], datetime], stop: asyncio.Event
) -> None:
    """Measure until `stop` is set, as often as the policy of the proxy says."""
    pause = proxy.revocation.canary_every.total_seconds()
    if pause <= 0:
        return
    while not stop.is_set():
        try:
            async with asyncio.timeout(pause):
                await stop.wait()
        except TimeoutError:
            try:
                await turn(database, breed, proxy, clock=clock)
            except Exception:  # the edge of a process: the next turn tries again
                log.exception("canary_failed", proxy=proxy.name)


async def turn(database: Database, breed: Breed, proxy: Proxy, *, clock: Callable[[], datetime]) -> CanaryResult | None:
    """One measurement, kept, exported, and told of when it is bad; None where no listener lets it in."""
    here = way_in(proxy)
    if here is None:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(here.host, here.host)  # noqa: S104  # asked on this machine
    outcome, took = await measure(breed, host, here.port, tls=here.tls is not None)
    now = clock()
    result = CanaryResult(proxy.name, now, outcome, took)
    if outcome in ("refused", "late"):
        revocation_seconds.labels(proxy.name).observe(took.total_seconds())
    async with database.write() as session:
        await add_result(session, result, keep_since=now - KEPT)
        if outcome == "late":
            detail = {"milliseconds": took // timedelta(milliseconds=1)}
            await events.record(
                session, "gateway.revocation_late", actor="system", subject=proxy.name, now=now, detail=detail
            )
    if outcome != "refused":
        log.warning("canary", proxy=proxy.name, outcome=outcome)
    return result


def _ask(caller: http.client.HTTPConnection, token: str) -> int:
    caller.request("GET", PATH, headers={"Host": HOST, "Authorization": f"Bearer {token}"})
    with closing(caller.getresponse()) as answer:
        answer.read()
        return answer.status
