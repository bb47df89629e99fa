"""People: sign-in against the machine's Argon2 ceiling, what its time tells, and a million accounts.

    python -m bench.people [--users 1000000] [--only sign-in|enumeration|lists] [--quick] [--json FILE]

The ceiling is measured in between the rounds of sign-in, with as many threads as the product compares with and nothing
else to do; figures are medians over the rounds. Everything runs over HTTP on the product's own server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import uvloop

from bench.flows import signing_in
from bench.identity import TYPING, settings_of
from bench.load import Latency, load, pace
from bench.people_enumeration import Enumeration, enumeration
from bench.people_lists import Listed, administrator, lists
from bench.people_store import crowd, username
from bench.servers import free_port, password_ceiling, running

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
    if chosen.only != "enumeration":
        met &= _crowded(chosen.users, chosen.only, out, quick=chosen.quick)
    if chosen.only in (None, "enumeration"):
        with tempfile.TemporaryDirectory(prefix="kronborg-bench-") as name:
            told = asyncio.run(enumeration(Path(name), samples=150 if chosen.quick else 1000))
        out["enumeration"] = asdict(told)
        met &= _show_enumeration(told)
    if chosen.json:
        chosen.json.write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")
    return 0 if met else 1


def _crowded(users: int, only: str | None, out: dict[str, object], *, quick: bool) -> bool:
    """What is measured with very many people there."""
    kept, met = crowd(users), True
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="kronborg-bench-") as name:
        folder, port = Path(name), free_port()
        for file in ("kronborg.db", "master.key"):
            shutil.copy(kept / file, folder / file)
        settings = settings_of(folder, port)
        keys = asyncio.run(administrator(settings))
        command = [sys.executable, "-m", "bench.identity", str(folder), str(port)]
        pid = stack.enter_context(running(command, port))
        if only in (None, "sign-in"):
            seconds = 2.0 if quick else 4.0
            found = sign_ins(port, pid, users=users, rounds=2 if quick else 5, seconds=seconds)
            out["sign-in"] = asdict(found) | {"share": found.share, "users": users}
            met &= _show_sign_in(found)
        if only in (None, "lists"):
            shown = lists(port, settings.issuer, keys, users=users, each=20 if quick else 100)
            out["lists"] = [asdict(one) | {"met": one.met} for one in shown]
            met &= _show_lists(shown)
    return met


def sign_ins(port: int, pid: int, *, users: int, rounds: int, seconds: float) -> SignIn:
    """Eight people of the crowd sign in over and over; the ceiling is measured in between."""
    scripts = tuple(signing_in(username(number * users // TYPING)) for number in range(TYPING))
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


def _show_lists(shown: Sequence[Listed]) -> bool:
    print(f"{'':40}{'p50 ms':>8}{'p95 ms':>8}{'worst':>8}{'bytes':>9}")
    for one in shown:
        sign = "ok  " if one.met else "MISS"
        figures = f"{one.p50:8.1f}{one.p95:8.1f}{one.worst:8.1f}{one.heaviest:9}"
        print(f"{sign} {one.name:35}{figures}{'' if one.status == 200 else f'  status {one.status}'}")
    return all(one.met for one in shown)


def _show_enumeration(told: Enumeration) -> bool:
    print(", ".join(f"{kind} {told.medians[kind]:.1f} ms" for kind in told.medians), f"({told.samples} of each)")
    print(f"{'ok  ' if told.one_text else 'MISS'} one text for all")
    for pair in told.pairs:
        figures = f"p = {pair.p:.3f}, chance of taking longer {pair.chance:.3f}"
        print(f"{'ok  ' if pair.met else 'MISS'} {pair.one} against {pair.other}: {figures}")
    return told.one_text and all(pair.met for pair in told.pairs)


if __name__ == "__main__":
    sys.exit(main())
