"""What publishing ten thousand routes takes from the first call to the last gateway, and what callers notice of it.

    python -m bench.gateway_publishing [--routes 10000] [--apps 10000] [--publishes 6] [--seconds 3]

The real control process beside an Envoy of one worker. Good callers with tokens of so many apps ask so many routes at a
bounded rate, in a process of their own, first while nothing happens, then while versions are published one after
another. The bars: a publish, from the call to the gateway's word, within 2 s; the 99th percentile of callers as before.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from bench.gateway_hostile import HEADINGS, Seen, good
from bench.gateway_scale import API, routes
from bench.house import SERVICE, House, house, now
from kronborg.clients.model import ApiDraft, Scope
from kronborg.core.json import JsonValue
from kronborg.gateway.model import Route
from kronborg.gateway.store import find_delivery, put_route
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.signing import sign

BAR_SECONDS = 2.0
BAR_RATIO = 1.25
"""What is still noise: two rounds in which nothing happens differ by as much."""


async def _tokens(engine: Engine, apps: int) -> list[str]:
    moment = now()
    times = {"iat": int(moment.timestamp()), "exp": int((moment + timedelta(minutes=50)).timestamp())}
    claims: dict[str, JsonValue] = {"iss": engine.issuer, "aud": API, "sub": "ana", "scope": "things:read", **times}
    return [
        await sign(engine, {**claims, "client_id": f"app-{n}", "jti": f"bench-{n}"}, typ=ACCESS_TYPE, now=moment)
        for n in range(apps)
    ]


def _requests(known: tuple[Route, ...], tokens: list[str]) -> list[bytes]:
    """One for each app, each to a route by lot."""
    chance = random.Random(1)  # made-up traffic
    paths = [route.path.value.replace("{id}", "x") for route in known]
    return [
        f"GET {chance.choice(paths)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {one}\r\n\r\n".encode()
        for one in tokens
    ]


def _call(port: int, requests: list[bytes], orders: Connection) -> None:
    """Asks for as many seconds as ordered, again and again, and tells what it saw."""
    while True:
        orders.send(asyncio.run(good(port, requests, orders.recv())))


async def _measure(folder: Path, count: int, apps: int, publishes: int, seconds: float) -> bool:
    known = tuple(replace(route, service=SERVICE) for route in routes(count))
    api = ApiDraft(API, "Things", (Scope("things:read", ""),))
    async with house(folder, api, known, workers=1) as found:
        here, there = multiprocessing.Pipe()
        requests = _requests(known, await _tokens(found.engine, apps))
        caller = multiprocessing.get_context("spawn").Process(
            target=_call, args=(found.proxy.port, requests, there), daemon=True
        )
        caller.start()
        try:
            return await _rounds(found, known, here, publishes, seconds)
        finally:
            caller.kill()
            caller.join()


async def _asked(here: Connection, seconds: float) -> Seen:
    here.send(seconds)
    seen: Seen = await asyncio.to_thread(here.recv)
    return seen


async def _publish(found: House) -> tuple[float, float]:
    """Seconds until the version was stored, and until the gateway had taken it."""
    began = time.perf_counter()
    version = await found.publish()
    stored = time.perf_counter() - began
    while time.perf_counter() - began < 60:
        async with found.database.read() as session:
            said = await find_delivery(session, version)
        if said is not None:
            assert said.status == "acked", said.reason
            return stored, time.perf_counter() - began
        await asyncio.sleep(0.02)
    raise TimeoutError("the gateway said nothing")


async def _turns(
    found: House, changed: Sequence[Route], here: Connection, publishes: int, seconds: float
) -> tuple[Seen, list[tuple[float, float]]]:
    """What callers saw while so many versions were published, and how long each took."""
    seen, took = Seen(), []
    for turn in range(publishes):
        async with found.database.write() as session:
            for one in changed:
                await put_route(session, replace(one, timeout=timedelta(seconds=20 + turn)), now=now())
        asking = asyncio.create_task(_asked(here, seconds))
        await asyncio.sleep(0.2)
        took.append(await _publish(found))
        seen.add(await asking)
    return seen, took


async def _rounds(found: House, known: tuple[Route, ...], here: Connection, publishes: int, seconds: float) -> bool:
    await _asked(here, 4)
    calm = Seen()
    took: dict[str, list[tuple[float, float]]] = {}
    seen: dict[str, Seen] = {}
    for _ in range(publishes):
        calm.add(await _asked(here, seconds))
    for name, changed in (("one route changed", known[:1]), ("every route changed", known)):
        seen[name], took[name] = await _turns(found, changed, here, publishes, seconds)
    again = Seen()
    for _ in range(publishes):
        again.add(await _asked(here, seconds))
    print(HEADINGS)
    for name, each in {"nothing happens": calm, "nothing happens, later": again, **seen}.items():
        print(each.line(name))
    slowest = 0.0
    for name, times in took.items():
        stored, there = (statistics.median(each[n] for each in times) for n in (0, 1))
        slowest = max(slowest, there)
        print(f"{name}: stored in {stored:.2f} s, at the gateway in {there:.2f} s, most {max(t for _, t in times):.2f}")
    ratio = max(each.at(0.99) for each in seen.values()) / max(calm.at(0.99), again.at(0.99))
    failed = sum(len(each.failed) for each in seen.values())
    print(f"p99 while publishing ÷ p99 while nothing happens: {ratio:.2f}, failed {failed}")
    return slowest <= BAR_SECONDS and ratio <= BAR_RATIO and not failed


def main() -> int:
    """0 when the bars are met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_publishing")
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--apps", type=int, default=10_000)
    parser.add_argument("--publishes", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        met = asyncio.run(_measure(Path(folder), given.routes, given.apps, given.publishes, given.seconds))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
