"""What 5,000 idle connections and a slowloris attack do to callers who behave: their 99th percentile then and before.

    python -m bench.gateway_hostile [--idle 5000] [--slow 500] [--seconds 4] [--rounds 3]

Good callers ask a protected route of one gateway with one worker, at a bounded rate. Then so many connections are
opened and left idle, and slow callers send heads and bodies a byte at a time; then good callers ask again. The limit of
open files is raised for this process and its children only. The bar: at most twice the percentile of before. The
same is done to a raw Envoy by turns: what it suffers too is the machine's doing, which load, attack and proxy share.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import random
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from bench.gateway_full import FullWorld

BAR = 2.0
FILES = 20_000
_NAME = "full"
CALLERS = 8
PAUSE = 0.004


@dataclass(slots=True)
class Seen:
    """Seconds that each answer took, and the status of those that were not 200."""

    spent: list[float] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """One more round."""
        self.spent += other.spent
        self.failed += other.failed

    def at(self, share: float) -> float:
        """Milliseconds that this share of all answers took at most."""
        ordered = sorted(self.spent)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3

    def line(self, name: str) -> str:
        """Below `HEADINGS`."""
        shares = "".join(f"{self.at(share):>9.2f}" for share in (0.5, 0.99, 1.0))
        return f"{name:<34}{shares}{len(self.spent):>9}{len(self.failed):>8}"


HEADINGS = f"{'':<34}{'p50 ms':>9}{'p99 ms':>9}{'most ms':>9}{'answers':>9}{'failed':>8}"


class _Good(asyncio.Protocol):
    """One caller that behaves: asks, waits for the whole answer, rests, asks again. No more work per answer than
    there must be: what takes long here would count as the gateway's."""

    def __init__(self, requests: list[bytes], until: float, seen: Seen) -> None:
        self._requests, self._until, self._seen = requests, until, seen
        self._loop = asyncio.get_running_loop()
        self._number = random.randrange(len(requests))
        self._buffer, self._began = b"", 0.0
        self.over: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop.call_later(random.random() * PAUSE, self._ask)

    def _ask(self) -> None:
        if self._transport.is_closing():
            return
        self._number = (self._number + 1) % len(self._requests)
        self._began = time.perf_counter()
        self._transport.write(self._requests[self._number])

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0]):
            return
        self._buffer = b""
        self._seen.spent.append(now - self._began)
        if not head.startswith(b"HTTP/1.1 200"):
            self._seen.failed.append(int(head[9:12]))
        if now < self._until:
            self._loop.call_later(PAUSE, self._ask)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self._until:
            self._seen.failed.append(0)
        self.over.set_result(None)


async def good(port: int, requests: list[bytes], seconds: float) -> Seen:
    """What callers that behave see for so long."""
    seen, until = Seen(), time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(partial(_Good, requests, until, seen), "127.0.0.1", port) for _ in range(CALLERS)
    ]
    await asyncio.wait([caller.over for _, caller in made], timeout=seconds + 30)
    return seen


async def _slow(port: int, opening: bytes) -> None:
    """One caller that takes as long as it is let: a byte of its head or body every half second."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(opening)
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.5)
        await asyncio.sleep(0.5)


async def _hostile(port: int, idle: int, slow: int, ready: Connection) -> None:
    """Opens all of it, says how many connections stand, and goes on until it is killed."""
    kept = []
    for _ in range(idle // 100):
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(100)))
        kept += [writer for _, writer in opened]
    openings = (
        b"GET /catalogue HTTP/1.1\r\nHost: localhost\r\nAccept: ",
        b"POST /catalogue HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n",
    )
    slowly = [_slow(port, openings[number % 2]) for number in range(slow)]
    asyncio.get_running_loop().call_later(1, ready.send, len(kept))
    await asyncio.gather(*slowly)


def _attack(port: int, idle: int, slow: int, ready: Connection) -> None:
    asyncio.run(_hostile(port, idle, slow, ready))


def _round(port: int, requests: list[bytes], idle: int, slow: int, seconds: float) -> tuple[Seen, Seen]:
    """What good callers see alone, and then during the attack."""
    asyncio.run(good(port, requests, 1))
    calm = asyncio.run(good(port, requests, seconds))
    here, there = multiprocessing.Pipe(duplex=False)
    # In a process of its own, so that good callers do not wait for their own attackers.
    attackers = multiprocessing.get_context("fork").Process(target=_attack, args=(port, idle, slow, there), daemon=True)
    attackers.start()
    try:
        kept = here.recv() if here.poll(60) else 0
        beset = asyncio.run(good(port, requests, seconds))
    finally:
        attackers.kill()
        attackers.join()
    if kept < idle:
        raise RuntimeError(f"only {kept} connections stood")
    return calm, beset


def _measure(world: FullWorld, given: argparse.Namespace) -> bool:
    """By turns at a raw Envoy and at the gateway, so that what the machine does to both is seen."""
    requests = world.requests("/catalogue", world.jwts)
    sums: dict[str, tuple[Seen, Seen]] = {}
    ratios: dict[str, list[float]] = {}
    for _ in range(given.rounds):
        for name in ("envoy", _NAME):
            calm, beset = _round(world.ports[name], requests, given.idle, given.slow, given.seconds)
            ratios.setdefault(name, []).append(beset.at(0.99) / calm.at(0.99))
            known = sums.setdefault(name, (Seen(), Seen()))
            known[0].add(calm)
            known[1].add(beset)
    print(HEADINGS)
    for name, told in (("envoy", "raw Envoy"), (_NAME, "gateway")):
        print(sums[name][0].line(f"{told}, good callers alone"))
        print(sums[name][1].line(f"{told}, {given.idle} idle, {given.slow} slow"))
    found = {name: statistics.median(each) for name, each in ratios.items()}
    failed = sum(len(each.failed) for each in sums[_NAME])
    met = found[_NAME] <= BAR and not failed
    print(
        f"p99 during ÷ p99 before, median of {given.rounds}: raw Envoy {found['envoy']:.2f}, gateway {found[_NAME]:.2f}"
    )
    print(f"at most {BAR}: {'met' if met else 'MISSED'}")
    return met


def main() -> int:
    """0 when the bar is met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_hostile")
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        world = FullWorld(Path(folder), tokens=200, clients=20, routes=20, only=(_NAME,))
        try:
            world.start()
            return 0 if _measure(world, given) else 1
        finally:
            world.stop()


if __name__ == "__main__":
    sys.exit(main())
