"""When a breaker opens, tries and closes: vectors, and what holds for any course of events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.gateway.breaker_model import WHOLE, Counts, Order, State, closed, resumed, step
from kronborg.gateway.resilience_model import Breaker

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
BREAKER = Breaker(
    error_rate=50,
    slow_after=timedelta(seconds=1),
    slow_rate=80,
    window=timedelta(seconds=10),
    minimum_calls=10,
    open_for=timedelta(seconds=5),
    probes=4,
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def follow(*seen: tuple[float, Counts], state: State | None = None, order: Order | None = None) -> State:
    """The state after these counts at these seconds."""
    now = state or closed(START)
    for seconds, counts in seen:
        now = step(now, counts, BREAKER, order=order, now=at(seconds))
    return now


@pytest.mark.parametrize(
    ("counts", "phase"),
    [
        (Counts(9, 9), "closed"),
        (Counts(10, 4), "closed"),
        (Counts(10, 5), "open"),
        (Counts(1000, 499), "closed"),
        (Counts(10, 0, 7), "closed"),
        (Counts(10, 0, 8), "open"),
    ],
)
def test_it_opens_at_the_rate_once_there_are_calls_enough(counts: Counts, phase: str) -> None:
    assert follow((0, Counts()), (1, counts)).phase == phase


def test_failures_older_than_the_window_do_not_count() -> None:
    seen = [(0.0, Counts()), (1.0, Counts(9, 9))]
    seen += [(second, Counts(9, 9)) for second in range(2, 13)]

    assert follow(*seen, (13, Counts(19, 10))).phase == "closed"
    assert follow((0, Counts()), (1, Counts(9, 9)), (2, Counts(19, 10))).phase == "open"


def opened() -> State:
    return follow((0, Counts()), (1, Counts(100, 100)))


def test_it_stays_open_for_its_time_and_then_lets_a_few_calls_pass() -> None:
    waiting = follow((5.9, Counts(100, 100)), state=opened())
    trying = follow((6, Counts(100, 100)), state=opened())

    assert (waiting.phase, waiting.share) == ("open", 0)
    assert trying.phase == "half_open"
    # 100 calls a second: four of them come within half a second of 8 %.
    assert trying.share == WHOLE * 4 // 50


@pytest.mark.parametrize(
    ("probed", "phase"),
    [
        (Counts(103, 100), "half_open"),
        (Counts(104, 100), "closed"),
        (Counts(104, 101), "closed"),
        (Counts(102, 102), "open"),
        (Counts(104, 102), "open"),
        (Counts(104, 100, 4), "open"),
        (Counts(140, 105), "closed"),
    ],
)
def test_what_becomes_of_the_probes_decides(probed: Counts, phase: str) -> None:
    trying = follow((6, Counts(100, 100)), state=opened())

    assert follow((7, probed), state=trying).phase == phase


def test_no_more_probes_are_sent_while_enough_are_under_way_and_more_when_none_came() -> None:
    trying = follow((6, Counts(100, 100)), state=opened())

    under_way = follow((6.2, Counts(101, 100, active=3)), state=trying)
    nobody = follow((7, Counts(100, 100)), state=trying)

    assert (under_way.phase, under_way.share) == ("half_open", 0)
    assert (nobody.phase, nobody.share) == ("half_open", 2 * trying.share)


def test_an_order_stands_above_everything_and_ends_where_it_should() -> None:
    forced_open = follow((1, Counts(50, 0)), order="open")
    forced_closed = follow((2, Counts(100, 100)), order="closed", state=opened())

    assert (forced_open.phase, forced_open.share) == ("open", 0)
    assert (forced_closed.phase, forced_closed.share) == ("closed", WHOLE)
    assert follow((60, Counts(50, 0)), state=forced_open).phase == "half_open"
    # What failed while it was forced closed does not open it at once.
    assert follow((60, Counts(500, 500)), state=forced_closed).phase == "closed"


def test_another_process_goes_on_where_one_stopped() -> None:
    assert resumed("open", at(-2), START) == State("open", at(-2), 0)
    assert resumed("half_open", at(-2), START).phase == "open"
    assert resumed("closed", at(-2), START) == closed(START)
    assert follow((3, Counts()), state=resumed("open", at(-2), START)).phase == "half_open"


def test_a_clock_that_is_set_back_keeps_nothing_open_longer() -> None:
    back = follow((-3600, Counts(100, 100)), state=opened())

    assert follow((-3594, Counts(100, 100)), state=back).phase == "half_open"


calls = st.tuples(st.integers(0, 50), st.integers(0, 100), st.integers(0, 100), st.integers(0, 8))
orders = st.sampled_from([None, None, None, "open", "closed"])
steps = st.lists(st.tuples(st.floats(-20, 20), calls, orders), max_size=60)


@given(steps)
def test_whatever_happens_shares_and_phases_agree_and_memory_is_bounded(
    course: list[tuple[float, tuple[int, int, int, int], Order | None]],
) -> None:
    state, counts, now = closed(START), Counts(), START
    for seconds, (more, failed, slow, active), order in course:
        now += timedelta(seconds=seconds)
        counts = Counts(
            counts.calls + more,
            counts.failed + more * failed // 100,
            counts.slow + more * slow // 100,
            active,
        )

        state = step(state, counts, BREAKER, order=order, now=now)

        assert 0 <= state.share <= WHOLE
        assert (state.share == WHOLE) >= (state.phase == "closed")
        assert (state.share == 0) >= (state.phase == "open")
        assert state.order == order
        assert len(state.samples) <= 25


@given(st.integers(1, 200), st.integers(1, 100))
def test_after_an_outage_it_always_closes_again(rate: int, percent: int) -> None:
    breaker = Breaker(error_rate=percent, minimum_calls=5, probes=3, open_for=timedelta(seconds=2))
    state, counts, now = closed(START), Counts(), START
    for tick in range(300):
        now += timedelta(milliseconds=200)
        passed = (rate * state.share + WHOLE - 1) // WHOLE
        broken = tick < 50
        counts = Counts(counts.calls + passed, counts.failed + (passed if broken else 0))
        state = step(state, counts, breaker, order=None, now=now)

    assert state.phase == "closed"
