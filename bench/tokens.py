"""Tokens and flows per second, CPU microseconds each, and latency: Kronborg against its floor and oidc-provider.

All servers are up at once; rounds are interleaved, so that what the machine does meanwhile hits all alike; figures are
medians over the rounds. Where a peer can do the same, it is sent the same.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from bench import servers
from bench.load import Latency, Round, load, pace
from bench.servers import Case

CONNECTIONS, WORKERS = 32, 2
LATE = 50.0
"""Milliseconds: the 99th percentile at half of each rate must stay below."""


@dataclass(frozen=True)
class Figure:
    """The medians of one case, and its latency at half of the rate if that was measured."""

    name: str
    rate: float
    micros: float
    failures: int
    latency: Latency | None = None


@dataclass(frozen=True)
class Bar:
    """A promise: a figure or a ratio of two, and its limit."""

    name: str
    value: float
    limit: float
    at_most: bool

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def run(*, quick: bool = False, peer: bool = True, big: bool = True) -> tuple[list[Figure], list[Bar]]:
    """Start everything, measure, stop everything."""
    rounds, seconds = (2, 1.0) if quick else (5, 3.0)
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="kronborg-bench-") as folder:
        world = servers.start(stack, Path(folder), connections=CONNECTIONS, peer=peer, big=big)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(_measure(world.cases, rounds=rounds, seconds=seconds))
        ceiling = servers.password_ceiling(seconds)
    figures.append(Figure("Argon2id alone", ceiling, 0.0, 0))
    return figures, bars(figures)


def bars(figures: Sequence[Figure]) -> list[Bar]:
    """The promises that these figures can answer."""
    by_name = {figure.name: figure for figure in figures}

    def cost(name: str, floor: str, limit: float) -> Bar:
        value = by_name[f"kronborg {name}"].micros / by_name[floor].micros
        return Bar(f"{name}: CPU against the floor", value, limit, at_most=True)

    def rate(name: str, limit: float, against: str = "") -> Bar:
        value = by_name[f"kronborg {name}"].rate / (by_name[against].rate if against else 1)
        return Bar(f"{name}: {f'rate against {against}' if against else 'per second'}", value, limit, at_most=False)

    def together(name: str) -> Bar:
        one, two = by_name[f"kronborg {name}"], by_name[f"kronborg two workers {name}"]
        # Where the generator has no core of its own it takes from the second worker: then CPU time is what counts.
        spared = (os.cpu_count() or 1) > WORKERS
        value = two.rate / one.rate if spared else WORKERS * one.micros / two.micros
        return Bar(f"{name}: two workers against one, by {'rate' if spared else 'CPU'}", value, 1.7, at_most=False)

    kept = [
        cost("jwt", "floor jwt", 1.4),
        cost("reference", "floor jwt", 2.5),
        cost("introspect", "floor lookup", 1.6),
        rate("PAR, authorize, code", 400),
        rate("DPoP-bound jwt", 1200),
        rate("discovery", 8000),
        rate("JWKS", 8000),
        rate("JWKS 304", 8000),
        rate("password sign-in", 0.9, "Argon2id alone"),
        together("jwt"),
        together("reference"),
    ]
    kept += [
        Bar(f"{figure.name}: p99 at half of the rate, ms", figure.latency.p99, LATE, at_most=True)
        for figure in figures
        if figure.latency is not None
    ]
    if "oidc-provider jwt" in by_name:
        kept += [
            rate("jwt", 2, "oidc-provider jwt"),
            rate("introspect", 1.5, "oidc-provider introspect"),
            rate("refresh", 1, "oidc-provider refresh"),
        ]
    return kept


async def _measure(cases: Sequence[Case], *, rounds: int, seconds: float) -> list[Figure]:
    seen: dict[str, list[Round]] = {case.name: [] for case in cases}
    for number in range(rounds + 1):
        for case in cases:
            lasting = seconds if number else 0.5  # the first is for warming up
            scripts = case.scripts(round(case.expected * lasting))
            one = await load(case.port, scripts, pids=case.pids, seconds=lasting)
            if number:
                seen[case.name].append(one)
    figures = []
    for case in cases:
        taken = seen[case.name]
        rate = median(one.rate for one in taken)
        latency = None
        if case.paced:
            scripts = case.scripts(round(rate * seconds))
            latency = await pace(case.port, scripts, rate=rate / 2, seconds=seconds)
        failures = sum(one.failures for one in taken) + (latency.failures if latency else 0)
        micros = median(one.micros for one in taken)
        figures.append(Figure(case.name, rate / case.steps, micros * case.steps, failures, latency))
    return figures
