"""Revocation at the gateway: what looking costs per request, and how long a revocation takes to arrive.

    python -m bench.gateway_revocation cost [--rounds 16] [--entries 10000]
    python -m bench.gateway_revocation latency [--revocations 240] [--connections 8]

`cost` compares, in one run, a raw Envoy, the gateway without the `inspect` filter, with it and an empty ledger, and
with so many entries. `latency` runs the real control process beside an Envoy of two workers under load, revokes tokens
of every kind in the database, and asks until each is refused.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.gateway_load import Round, load
from bench.gateway_world import ENDING, World, envoy_file, free_port, plain_cluster
from kronborg.gateway.ledger import Ledger
from kronborg.tokens.feed import Page
from kronborg.tokens.feed_store import Revocation

RAW, WITHOUT, EMPTY, FULL = "raw Envoy", "without inspect", "empty ledger", "full ledger"
MOST_MICROS = 20.0
"""What the filter may add to a request, scaled to a raw Envoy of 120 µs."""


class Compared(World):
    """Raw, and three gateways that differ only in what `inspect` has to do."""

    def __init__(self, folder: Path, *, entries: int) -> None:
        super().__init__(folder, tokens=2000, clients=200, routes=20)
        self.entries = entries

    def start(self) -> None:
        """Start all and wait until each answers."""
        answer = {"status": 200, "body": {"inline_string": ENDING.decode()}}
        self._envoy("upstream", self.upstream, envoy_file(self.upstream, {"direct_response": answer}, []))
        raw = free_port()
        self._envoy(RAW, raw, envoy_file(raw, {"route": {"cluster": "service"}}, [plain_cluster(self.upstream)]))
        for name in (WITHOUT, EMPTY, FULL):
            self._gateway(name)
        for port in self.ports.values():
            self.wait(port)

    def _start(self, name: str, port: int, argv: list[str]) -> None:
        folder = self.folder / name.replace(" ", "-")
        if name == WITHOUT:
            listener = folder / "lds.json"
            found = json.loads(listener.read_text())
            manager = found["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"]
            manager["http_filters"] = [one for one in manager["http_filters"] if one["name"] != "inspect"]
            listener.write_text(json.dumps(found))
            routes = folder / "rds.json"
            text = json.loads(routes.read_text())
            _drop(text, "inspect")
            routes.write_text(json.dumps(text))
        elif name == FULL:
            fill(folder / "ledger" / "ledger.txt", self.entries)
        super()._start(name, port, argv)


def fill(path: Path, entries: int) -> None:
    """Revocations of other people's tokens, in the mix of a busy day."""
    now = datetime.now(UTC)
    kinds = ("token", "token", "token", "grant", "session")
    made = tuple(
        Revocation(n, kinds[n % 5], f"0192f0c4-7a1e-7cc1-9f00-{n:012x}", None, now + timedelta(hours=9), now)  # type: ignore[arg-type]
        for n in range(1, entries + 1)
    )
    ledger = Ledger.open(path)
    ledger.apply(Page(made, entries, reset=True, more=False), now=now + timedelta(seconds=1))
    ledger.close()


def _drop(value: object, name: str) -> None:
    if isinstance(value, dict):
        value.get("typed_per_filter_config", {}).pop(name, None)
        for one in value.values():
            _drop(one, name)
    elif isinstance(value, list):
        for one in value:
            _drop(one, name)


async def _rounds(everything: Compared, rounds: int, seconds: float) -> list[dict[str, Round]]:
    requests = everything.requests("/catalogue", everything.jwts)
    names = [RAW, WITHOUT, EMPTY, FULL]
    results = []
    for number in range(-2, rounds):
        seen = {}
        for name in random.sample(names, len(names)):
            port, pid = everything.ports[name], everything.pids[name]
            took = seconds if number >= 0 else 1.5
            seen[name] = await load(port, requests, ending=ENDING, pid=pid, seconds=took)
        if number >= 0:
            results.append(seen)
    return results


def cost(rounds: int, entries: int, seconds: float = 0.4) -> bool:
    """Print the table; whether the filter costs no more than it may."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        everything = Compared(Path(folder), entries=entries)
        try:
            everything.start()
            results = asyncio.run(_rounds(everything, rounds, seconds))
        finally:
            everything.stop()
    print(f"{'variant':<20}{'CPU µs/request':>16}{'× raw':>8}{'failed':>8}")
    for name in (RAW, WITHOUT, EMPTY, FULL):
        micros = statistics.median(seen[name].micros for seen in results)
        ratio = statistics.median(seen[name].micros / seen[RAW].micros for seen in results)
        failed = sum(seen[name].failures for seen in results)
        print(f"{name:<20}{micros:>16.1f}{ratio:>8.3f}{failed:>8}")
    added = statistics.median((seen[FULL].micros - seen[WITHOUT].micros) / seen[RAW].micros * 120 for seen in results)
    print(f"added by inspect with {entries} entries: {added:.1f} µs at raw = 120 (at most {MOST_MICROS:.0f})")
    return added <= MOST_MICROS


def latency(revocations: int, connections: int) -> bool:
    """Print the percentiles; whether the 99th is at most 250 ms and the last at most 1 s."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        from bench.revocation_house import latencies

        by_kind = latencies(Path(folder), revocations=revocations, connections=connections)
    every = [one for found in by_kind.values() for one in found]
    for kind, found in [*by_kind.items(), ("all", every)]:
        print(f"{kind:<14}{len(found):>6}   {_told([one.refused for one in found])}")
    # Where the time goes, leg by leg.
    for leg, seconds in (
        ("commit", [one.committed for one in every]),
        ("then ledger", [max(0.0, one.written - one.committed) for one in every]),
        ("then refused", [one.refused - max(one.written, one.committed) for one in every]),
    ):
        print(f"{leg:<14}{len(seconds):>6}   {_told(seconds)}")
    ordered = sorted(one.refused for one in every)
    return ordered[int(len(ordered) * 0.99)] <= 0.25 and ordered[-1] <= 1


def _told(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    p50, p99 = statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"p50 {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms   most {ordered[-1] * 1000:6.1f} ms"


def main() -> int:
    """0 when the bar is met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway_revocation")
    parser.add_argument("what", choices=("cost", "latency"))
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--revocations", type=int, default=240)
    parser.add_argument("--connections", type=int, default=8)
    given = parser.parse_args()
    if given.what == "cost":
        return 0 if cost(given.rounds, given.entries) else 1
    return 0 if latency(given.revocations, given.connections) else 1


if __name__ == "__main__":
    sys.exit(main())
