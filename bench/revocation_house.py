"""How long revocations take to arrive at a gateway of two workers under load: the measuring of one and all."""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bench.gateway_load import load
from bench.gateway_world import ENDING
from bench.house import SERVICE, house, now
from kronborg.clients.model import ApiDraft
from kronborg.core.group_writer import Execute
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route
from kronborg.tokens.engine import Engine
from kronborg.tokens.feed import Notice, next_second, tell
from kronborg.tokens.feed_store import Kind
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.signing import sign

API = "https://shop.example/catalogue"
KINDS: tuple[tuple[Kind, str], ...] = (
    ("token", "jti"),
    ("grant", "gid"),
    ("session", "sid"),
    ("client", "client_id"),
    ("user", "sub"),
    ("key", "kid"),
)
PROBES = 4
OLD = 7200
"""Seconds: how old the tokens are whose key is revoked, the first of them."""


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds from the call that revokes: until the last connection was refused, until it returned, and until the
    ledger had it."""

    refused: float
    committed: float
    written: float


def latencies(folder: Path, *, revocations: int, connections: int) -> dict[str, list[Took]]:
    """How long each revocation took, by kind."""
    return asyncio.run(_measure(folder, revocations, connections))


async def _measure(folder: Path, revocations: int, connections: int) -> dict[str, list[Took]]:
    route = Route("read", RoutePath("prefix", "/"), SERVICE, audience=API)
    async with house(folder, ApiDraft(API, "Catalogue", ()), (route,), workers=2) as found:
        tokens = [await _token(found.engine) for _ in range(50)]
        busy = multiprocessing.Process(target=_load, args=(found.proxy.port, tokens, found.gateway, connections))
        busy.start()
        try:
            took: dict[str, list[Took]] = {kind: [] for kind, _ in KINDS}
            for number in range(revocations):
                took[KINDS[number % len(KINDS)][0]].append(await _one(found.engine, found.proxy, number))
            return took
        finally:
            busy.kill()
            busy.join()


def _load(port: int, tokens: list[str], pid: int, connections: int) -> None:
    requests = [f"GET /items HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {one}\r\n\r\n" for one in tokens]
    while True:
        encoded = [one.encode() for one in requests]
        asyncio.run(load(port, encoded, ending=ENDING, pid=pid, seconds=5, connections=connections))


async def _token(engine: Engine, *, back: int = 0, **more: str) -> str:
    """A token of these claims that was issued so many seconds ago."""
    moment = now() - timedelta(seconds=back)
    claims = {"iss": engine.issuer, "aud": API, "sub": "ana", "client_id": "shop", "jti": str(time.time_ns())}
    times = {"iat": int(moment.timestamp()), "exp": int((now() + timedelta(minutes=30)).timestamp())}
    return await sign(engine, {**claims, "scope": "", **more, **times}, typ=ACCESS_TYPE, now=moment)


async def _one(engine: Engine, proxy: Proxy, number: int) -> Took:
    kind, claim = KINDS[number % len(KINDS)]
    subject, border = f"{kind}-{number}", None
    if kind == "key":
        # All tokens here are of one key, so each time it is revoked for tokens that are older than those of the load.
        subject = (await engine.keys.current(now=now())).active.kid
        token = await _token(engine, back=OLD - 2 * number)
        border = now() - timedelta(seconds=OLD - 2 * number - 1)
    else:
        token = await _token(engine, **{claim: subject})  # type: ignore[arg-type]  # claims are texts
    callers = [http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5) for _ in range(PROBES)]
    try:
        return await _until_refused(callers, token, _revoker(engine, kind, subject, border), proxy)
    finally:
        for caller in callers:
            caller.close()


def _revoker(engine: Engine, kind: Kind, subject: str, border: datetime | None) -> Callable[[], Awaitable[object]]:
    def unit(execute: Execute) -> None:
        moment = now()
        begins = next_second(moment) if kind in ("client", "user") else border
        tell(execute, (Notice(kind, subject, begins, moment + timedelta(hours=1)),), now=moment)

    return lambda: engine.database.writer.run(unit)


async def _until_refused(
    callers: list[http.client.HTTPConnection], token: str, revoke: Callable[[], Awaitable[object]], proxy: Proxy
) -> Took:
    for caller in callers:
        status = await asyncio.to_thread(_ask, caller, token)
        if status != 200:
            raise RuntimeError(f"a token that was not revoked got {status}")
    told: list[float] = []
    over = threading.Event()
    watching = threading.Thread(target=_watch, args=(proxy.ledger, over, told))
    watching.start()
    start = time.perf_counter()
    await revoke()
    committed = time.perf_counter()
    while callers:
        callers = [one for one in callers if await asyncio.to_thread(_ask, one, token) == 200]
        if callers:
            await asyncio.sleep(0.005)
    refused = time.perf_counter()
    over.set()
    watching.join()
    written = next((one for one in told if one >= start), refused)
    return Took(refused - start, committed - start, written - start)


def _watch(ledger: Path, over: threading.Event, told: list[float]) -> None:
    """Note when something other than a heartbeat was added to the ledger."""
    at = ledger.stat().st_size
    while not over.wait(0.001):
        size = ledger.stat().st_size
        if size != at:
            with ledger.open("rb") as file:
                file.seek(min(at, size))
                if any(not line.startswith(b"h ") for line in file.read().splitlines()):
                    told.append(time.perf_counter())
            at = size


def _ask(caller: http.client.HTTPConnection, token: str) -> int:
    caller.request("GET", "/items", headers={"Authorization": f"Bearer {token}"})
    answer = caller.getresponse()
    answer.read()
    return answer.status
