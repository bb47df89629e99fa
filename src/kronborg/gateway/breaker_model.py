"""When a breaker opens, tries and closes: a pure machine over what was counted. Time is a parameter.

Closed: calls of the last window decide. Open: nothing passes until `open_for` is over. Half-open: about `probes` calls
pass, and what comes of them decides. An order of the operator stands above all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from kronborg.gateway.resilience_model import Breaker

Phase = Literal["closed", "open", "half_open"]
Order = Literal["open", "closed"]

WHOLE = 10_000
"""The share of the calls that means all of them."""
_SLOTS = 20
_LEAST_SHARE = 50
_PROBE_TIME = timedelta(milliseconds=500)
"""In about this time the probes should have come."""
_PATIENCE = timedelta(seconds=1)
"""Without a probe for so long, a larger share is tried."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted of a service since counting began; never less than before, but for `active`."""

    calls: int = 0
    failed: int = 0
    slow: int = 0
    active: int = 0

    def since(self, before: Counts) -> Counts:
        """What came after `before`."""
        return Counts(self.calls - before.calls, self.failed - before.failed, self.slow - before.slow, self.active)


@dataclass(frozen=True, slots=True)
class State:
    """Where a breaker stands. `share` of the calls goes to the service, the rest to its stand-in."""

    phase: Phase
    since: datetime
    share: int
    samples: tuple[tuple[datetime, Counts], ...] = ()
    order: Order | None = None
    rate: float = 0.0
    widened_at: datetime | None = None


def closed(now: datetime) -> State:
    """Where a breaker begins."""
    return State("closed", now, WHOLE)


def resumed(phase: Phase, since: datetime, now: datetime) -> State:
    """Where a breaker goes on that another process left in `phase`."""
    if phase == "closed":
        return closed(now)
    return State("open", min(since, now), 0)


def step(state: State, counts: Counts, settings: Breaker, *, order: Order | None, now: datetime) -> State:
    """The next state, given what was counted until `now`."""
    if order is not None:
        since = state.since if state.order == order else now
        return State(order, since, 0 if order == "open" else WHOLE, order=order)
    if state.order == "open":
        return _try(State("open", now, 0), counts, settings, now)
    if state.order == "closed":
        state = closed(now)
    # A clock that was set back must keep nothing open longer.
    state = replace(state, since=min(state.since, now))
    if state.phase == "closed":
        return _watch(state, counts, settings, now)
    if state.phase == "open":
        return _try(state, counts, settings, now) if now - state.since >= settings.open_for else state
    return _judge(state, counts, settings, now)


def is_bad(counts: Counts, settings: Breaker) -> bool:
    """Whether so many of these calls failed or were slow that the service should not be called."""
    if counts.calls <= 0:
        return False
    failing = counts.failed * 100 >= settings.error_rate * counts.calls
    slow = settings.slow_after is not None and counts.slow * 100 >= settings.slow_rate * counts.calls
    return failing or slow


def _watch(state: State, counts: Counts, settings: Breaker, now: datetime) -> State:
    samples = tuple(sample for sample in state.samples if sample[0] <= now)
    while len(samples) > 1 and samples[1][0] <= now - settings.window:
        samples = samples[1:]
    if not samples:
        return replace(state, samples=((now, counts),))
    begun, base = samples[0]
    seen = counts.since(base)
    if seen.calls >= settings.minimum_calls and is_bad(seen, settings):
        elapsed = max((now - begun).total_seconds(), 0.1)
        return State("open", now, 0, rate=seen.calls / elapsed)
    if now - samples[-1][0] >= settings.window / _SLOTS:
        samples = (*samples, (now, counts))
    return replace(state, samples=samples)


def _try(state: State, counts: Counts, settings: Breaker, now: datetime) -> State:
    expected = state.rate * _PROBE_TIME.total_seconds()
    share = WHOLE if expected <= settings.probes else max(_LEAST_SHARE, int(WHOLE * settings.probes / expected))
    return State("half_open", now, share, ((now, counts),), rate=state.rate, widened_at=now)


def _judge(state: State, counts: Counts, settings: Breaker, now: datetime) -> State:
    seen = counts.since(state.samples[0][1] if state.samples else Counts())
    # As many failures as would be too many of all probes need no further ones.
    if is_bad(replace(seen, calls=max(seen.calls, settings.probes)), settings):
        return State("open", now, 0, rate=state.rate)
    if seen.calls >= settings.probes:
        return closed(now)
    if seen.calls + seen.active >= settings.probes:
        return replace(state, share=0, widened_at=now)
    if state.share < WHOLE and now - (state.widened_at or state.since) >= _PATIENCE:
        return replace(state, share=min(WHOLE, max(state.share, _LEAST_SHARE) * 2), widened_at=now)
    return state
