"""What the gateway costs: CPU microseconds of the proxy per request, next to a raw Envoy and a raw nginx.

    python -m bench.gateway [--seconds 0.5] [--rounds 24] [--tokens 2000] [--only NAME ...] [--json FILE]

Every variant (`gateway_full.py`) gets the same request over the same number of keep-alive connections, one worker each
and the same upstream. Rounds are short and follow one another in a new order each time, so that a busy machine disturbs
all variants alike. The ratio to raw Envoy is taken within each round; the median is what the bars are about. `lowest`
compares the quietest fifth of the rounds instead: what a gateway does each second, whatever is asked of it, weighs less
there, as it does on a machine with nothing else to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.gateway_full import FullWorld, recorded
from bench.gateway_load import Round, load
from bench.gateway_world import ENDING

RAW = "raw Envoy"


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    rounds: int = 24
    seconds: float = 0.5
    tokens: int = 2000
    clients: int = 200
    routes: int = 20
    only: tuple[str, ...] = ()


def run(*, quick: bool = False) -> dict[str, object]:
    """Measure, print the table, and return it."""
    return measure(Plan(rounds=8) if quick else Plan())


def measure(plan: Plan) -> dict[str, object]:
    """The figures of every variant, and whether each bar was met."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        everything = FullWorld(
            Path(folder), tokens=plan.tokens, clients=plan.clients, routes=plan.routes, only=plan.only
        )
        try:
            everything.start()
            results = asyncio.run(_rounds(everything, plan))
            unrecorded = _unrecorded(everything, results)
        finally:
            everything.stop()
    lines = _report(results, {name: one.bar for name, one in everything.variants.items()})
    _print(lines)
    print(f"answers without an access record: {unrecorded}")
    good = all(line["met"] is not False and not line["failures"] for line in lines)
    return {"variants": lines, "unrecorded": unrecorded, "met": good and not unrecorded}


def main() -> int:
    """0 when the bars are met, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description="What the gateway costs.")
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--tokens", type=int, default=Plan.tokens)
    parser.add_argument("--clients", type=int, default=Plan.clients)
    parser.add_argument("--routes", type=int, default=Plan.routes)
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="these variants and raw Envoy")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(Plan(given.rounds, given.seconds, given.tokens, given.clients, given.routes, tuple(given.only)))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if found["met"] else 1


async def _rounds(everything: FullWorld, plan: Plan) -> list[dict[str, Round]]:
    plain = everything.requests("/catalogue", everything.jwts)
    variants = {RAW: ("envoy", plain)}
    for name, one in everything.variants.items():
        bearers = everything.references if one.reference else everything.jwts
        variants[name] = (name, everything.requests(one.path, bearers))
    if "nginx" in everything.ports and not plan.only:
        variants["raw nginx"] = ("nginx", plain)
    results: list[dict[str, Round]] = []
    for number in range(-2, plan.rounds):
        seen: dict[str, Round] = {}
        for name in random.sample(list(variants), len(variants)):
            process, requests = variants[name]
            port, pid = everything.ports[process], everything.pids[process]
            asked = -1
            while asked != everything.exchanges.value:
                # A reference token is exchanged once a minute; only rounds of pure cache hits are counted.
                asked = everything.exchanges.value
                seconds = plan.seconds if number >= 0 else 1.5  # the first rounds fill caches
                seen[name] = await load(port, requests, ending=ENDING, pid=pid, seconds=seconds)
        if number >= 0:
            results.append(seen)
    return results


def _unrecorded(everything: FullWorld, results: list[dict[str, Round]]) -> int:
    """How many answers of the measured rounds are in no access record; the rounds before were not counted."""
    missing = 0
    for name, folder in everything.folders.items():
        answers = sum(seen[name].requests for seen in results)
        missing += max(0, answers - recorded(folder, answers))
    return missing


def _report(results: list[dict[str, Round]], bars: Mapping[str, float | None]) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for name in (RAW, *(other for other in bars), *(other for other in results[0] if other not in (RAW, *bars))):
        rounds = [seen[name] for seen in results]
        ratio = statistics.median(seen[name].micros / seen[RAW].micros for seen in results)
        bar = bars.get(name)
        lines.append(
            {
                "variant": name,
                "cpu_micros": round(statistics.median(found.micros for found in rounds), 1),
                "ratio": round(ratio, 3),
                "lowest": round(_lowest(rounds) / _lowest([seen[RAW] for seen in results]), 3),
                "rate": round(statistics.median(found.rate for found in rounds)),
                "requests": sum(found.requests for found in rounds),
                "failures": sum(found.failures for found in rounds),
                "bar": bar,
                "met": None if bar is None else ratio <= bar,
            }
        )
    return lines


def _lowest(rounds: Sequence[Round]) -> float:
    return sorted(one.micros for one in rounds)[len(rounds) // 5]


def _print(report: list[dict[str, object]]) -> None:
    print(f"{'variant':<28}{'CPU µs/request':>16}{'× raw Envoy':>14}{'lowest':>8}{'requests/s':>12}{'failed':>8}  bar")
    for line in report:
        bar = "" if line["bar"] is None else f"≤ {line['bar']} {'met' if line['met'] else 'MISSED'}"
        figures = (
            f"{line['cpu_micros']:>16}{line['ratio']:>14}{line['lowest']:>8}{line['rate']:>12}{line['failures']:>8}"
        )
        print(f"{line['variant']:<28}{figures}  {bar}")


if __name__ == "__main__":
    sys.exit(main())
