"""People: sign-in against the machine's Argon2 ceiling, what its time tells, and a million accounts.

    python -m bench.people [--users 1000000] [--only sign-in|enumeration|lists] [--quick] [--json FILE]

The ceiling is measured in between the rounds of sign-in, with as many threads as the product compares with and nothing
else to do; figures are medians over the rounds. Everything runs over HTTP on the product's own server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import uvloop

from bench.flows import signing_in
from bench.identity import TYPING, prepare, settings_of
from bench.load import Latency, load, pace
from bench.servers import free_port, password_ceiling, running
from kronborg.core.migrate import migrate

BAR = 0.9
"""Of the ceiling."""


@dataclass(frozen=True)
class SignIn:
    """Sign-ins per second over HTTP, the ceiling, and the latency at half of the rate."""

    rate: float
    ceiling: float
    cpu_micros: float
    failures: int
    latency: Latency

    @property
    def share(self) -> float:
        """Of what the machine could compare if it did nothing else."""
        return self.rate / self.ceiling


def main() -> int:
    """0 when every bar is met, 1 otherwise."""
    options = argparse.ArgumentParser(prog="python -m bench.people", description="Measure sign-in and lists of people.")
    options.add_argument("--users", type=int, default=1_000_000)
    options.add_argument("--only", choices=("sign-in", "enumeration", "lists"))
    options.add_argument("--quick", action="store_true", help="short rounds: a look, not a proof")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every figure to FILE")
    chosen = options.parse_args()
    out: dict[str, object] = {}
    met = True
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="kronborg-bench-") as name:
        port, pid = _start(stack, Path(name))
        if chosen.only in (None, "sign-in"):
            found = sign_ins(port, pid, rounds=2 if chosen.quick else 5, seconds=2.0 if chosen.quick else 4.0)
            out["sign-in"] = asdict(found) | {"share": found.share}
            met &= _show_sign_in(found)
    if chosen.json:
        chosen.json.write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")
    return 0 if met else 1


def _start(stack: ExitStack, folder: Path) -> tuple[int, int]:
    port = free_port()
    settings = settings_of(folder, port)
    migrate(settings.database_url)
    asyncio.run(prepare(settings, connections=1))
    return port, stack.enter_context(running([sys.executable, "-m", "bench.identity", str(folder), str(port)], port))


def sign_ins(port: int, pid: int, *, rounds: int, seconds: float) -> SignIn:
    """Sign in over and over on eight connections; the ceiling is measured in between."""
    scripts = tuple(signing_in(f"typist-{number}") for number in range(TYPING))
    rates, ceilings, micros, failures = [], [], [], 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load(port, scripts, pids=(pid,), seconds=1.0))
        for _ in range(rounds):
            ceilings.append(password_ceiling(seconds))
            one = runner.run(load(port, scripts, pids=(pid,), seconds=seconds))
            rates.append(one.rate)
            micros.append(one.micros)
            failures += one.failures
        latency = runner.run(pace(port, scripts, rate=median(rates) / 2, seconds=seconds))
    return SignIn(median(rates), median(ceilings), median(micros), failures + latency.failures, latency)


def _show_sign_in(found: SignIn) -> bool:
    met = found.share >= BAR and not found.failures
    print(f"sign-in        {found.rate:8.1f} per second, {found.cpu_micros / 1000:.1f} ms of CPU each")
    print(f"Argon2 alone   {found.ceiling:8.1f} per second")
    print(f"at half of it  p50 {found.latency.p50:.1f} ms, p99 {found.latency.p99:.1f} ms")
    print(f"{'ok  ' if met else 'MISS'} share of the ceiling {found.share:.2f} ≥ {BAR}, {found.failures} failures")
    return met


if __name__ == "__main__":
    sys.exit(main())
