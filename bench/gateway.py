"""What the gateway costs: CPU microseconds of the proxy per request, next to a raw Envoy and a raw nginx.

    python bench/gateway.py [--seconds 3] [--rounds 5] [--tokens 2000] [--json FILE]

Every variant gets the same request over the same number of keep-alive connections, one worker each, the same
upstream, rounds interleaved; the figure is the median. The ratio to raw Envoy is what the bars are about.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gateway_load import Round, load
from gateway_world import ENDING, World, world

BARS = {"kronborg, JWT": 1.4, "kronborg, reference token": 1.6}


def main() -> int:
    """Run, print, and say by the exit code whether the bars were met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--routes", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="kb") as folder,
        world(Path(folder), tokens=given.tokens, clients=given.clients, routes=given.routes) as everything,
    ):
        results = asyncio.run(_rounds(everything, rounds=given.rounds, seconds=given.seconds))
    report = _report(results)
    _print(report)
    if given.json:
        given.json.write_text(json.dumps({"gateway": report}, indent=2) + "\n")
    return 0 if all(line["met"] is not False for line in report) else 1


async def _rounds(everything: World, *, rounds: int, seconds: float) -> dict[str, list[Round]]:
    jwts = everything.requests(everything.jwts)
    references = everything.requests(everything.references)
    variants = {
        "raw Envoy": ("envoy", jwts),
        "kronborg, JWT": ("kronborg", jwts),
        "kronborg, reference token": ("kronborg", references),
    }
    if "nginx" in everything.ports:
        variants["raw nginx"] = ("nginx", jwts)
    results: dict[str, list[Round]] = {name: [] for name in variants}
    for number in range(-1, rounds):
        for name, (process, requests) in variants.items():
            port, pid = everything.ports[process], everything.pids[process]
            found = await load(port, requests, ending=ENDING, pid=pid, seconds=seconds)
            asked = -1
            while requests is references and asked != everything.asked:
                # A reference token is exchanged once a minute; only rounds of pure cache hits are counted.
                asked = everything.asked
                found = await load(port, requests, ending=ENDING, pid=pid, seconds=seconds)
            if number >= 0:  # the first round fills caches
                results[name].append(found)
    return results


def _report(results: dict[str, list[Round]]) -> list[dict[str, object]]:
    raw = statistics.median(found.micros for found in results["raw Envoy"])
    lines: list[dict[str, object]] = []
    for name, rounds in results.items():
        micros = statistics.median(found.micros for found in rounds)
        bar = BARS.get(name)
        lines.append(
            {
                "variant": name,
                "cpu_micros": round(micros, 1),
                "ratio": round(micros / raw, 3),
                "rate": round(statistics.median(found.rate for found in rounds)),
                "requests": sum(found.requests for found in rounds),
                "failures": sum(found.failures for found in rounds),
                "bar": bar,
                "met": None if bar is None else micros / raw <= bar,
            }
        )
    return lines


def _print(report: list[dict[str, object]]) -> None:
    print(f"{'variant':<28}{'CPU µs/request':>16}{'× raw Envoy':>14}{'requests/s':>12}{'failed':>8}  bar")
    for line in report:
        bar = "" if line["bar"] is None else f"≤ {line['bar']} {'met' if line['met'] else 'MISSED'}"
        figures = f"{line['cpu_micros']:>16}{line['ratio']:>14}{line['rate']:>12}{line['failures']:>8}"
        print(f"{line['variant']:<28}{figures}  {bar}")


if __name__ == "__main__":
    sys.exit(main())
