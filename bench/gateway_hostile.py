"""What 5,000 idle connections and a slowloris attack do to callers who behave: their 99th percentile then and before.

    python -m bench.gateway_hostile [--idle 5000] [--slow 500] [--seconds 4]

Good callers ask a protected route of one gateway with one worker, at a bounded rate. Then so many connections are
opened and left idle, and slow callers send heads and bodies a byte at a time; then good callers ask again. The limit of
open files is raised for this process and its children only. The bar: at most twice the percentile of before.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from bench.gateway_full import FullWorld

BAR = 2.0
FILES = 20_000
_NAME = "full"
_CALLERS = 8
_PAUSE = 0.004


async def _one(port: int, requests: list[bytes], until: float, spent: list[float], failed: list[int]) -> None:
    """One caller that behaves: asks, waits for the whole answer, rests, asks again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        await reader.readexactly(length)
        spent.append(time.perf_counter() - began)
        if not head.startswith(b"HTTP/1.1 200"):
            failed.append(int(head[9:12]))
        number += 1
        await asyncio.sleep(_PAUSE)
    writer.close()


async def good(port: int, requests: list[bytes], seconds: float) -> tuple[float, float, int, int]:
    """Median and 99th percentile in milliseconds, answers, and those that were not 200."""
    spent: list[float] = []
    failed: list[int] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(_one(port, requests[n::_CALLERS], until, spent, failed) for n in range(_CALLERS)))
    spent.sort()
    return spent[len(spent) // 2] * 1e3, spent[int(len(spent) * 0.99)] * 1e3, len(spent), len(failed)


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


def _measure(world: FullWorld, idle: int, slow: int, seconds: float) -> bool:
    port, requests = world.ports[_NAME], world.requests("/catalogue", world.jwts)
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
    print(f"{'':<34}{'p50 ms':>9}{'p99 ms':>9}{'answers':>9}{'failed':>8}")
    for name, (p50, p99, answers, failed) in (
        ("good callers alone", calm),
        (f"{kept} idle, {slow} slow connections", beset),
    ):
        print(f"{name:<34}{p50:>9.2f}{p99:>9.2f}{answers:>9}{failed:>8}")
    ratio = beset[1] / calm[1]
    met = ratio <= BAR and kept >= idle and not calm[3] and not beset[3]
    print(f"p99 during ÷ p99 before: {ratio:.2f}, at most {BAR}: {'met' if met else 'MISSED'}")
    return met


def main() -> int:
    """0 when the bar is met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_hostile")
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        world = FullWorld(Path(folder), tokens=200, clients=20, routes=20, only=(_NAME,))
        try:
            world.start()
            return 0 if _measure(world, given.idle, given.slow, given.seconds) else 1
        finally:
            world.stop()


if __name__ == "__main__":
    sys.exit(main())
