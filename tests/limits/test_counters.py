"""Counters give the same answers wherever they are kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from kronborg.limits.counters_model import Ask, Counters, ProcessCounters, Standing
from kronborg.limits.model import Quota
from kronborg.limits.window_model import slot_at

NOON = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
HOURLY = Quota("hourly", 10, unit="hour")

pytestmark = pytest.mark.anyio


def ask(
    quota: Quota, now: datetime, *, who: str = "shop", spent: int = 0, wanted: int = 0, least: int | None = None
) -> Ask:
    needed = min(wanted, 1) if least is None else least
    return Ask(quota.name, who, quota.count, slot_at(quota, now), spent, wanted, needed)


async def one(counters: Counters, asked: Ask, now: datetime) -> Standing:
    return (await counters.settle([asked], now=now))[0]


async def test_what_was_spent_is_counted_and_ends_with_the_window(counters: Counters) -> None:
    first = await one(counters, ask(HOURLY, NOON, spent=4), NOON)
    second = await one(counters, ask(HOURLY, NOON, spent=3), NOON + timedelta(minutes=59))
    later = NOON + timedelta(hours=1)
    third = await one(counters, ask(HOURLY, later, spent=1), later)

    assert (first.used, second.used, third.used) == (4, 7, 1)
    assert (first.resets, third.resets) == (later, later + timedelta(hours=1))


async def test_leases_never_add_up_to_more_than_there_is(counters: Counters) -> None:
    async def worker() -> int:
        got = 0
        while (more := (await one(counters, ask(HOURLY, NOON, wanted=4), NOON)).granted) > 0:
            got += more
        return got

    got = await asyncio.gather(*(worker() for _ in range(8)))

    assert sum(got) == HOURLY.count


async def test_the_rest_is_not_handed_to_the_first_who_asks(counters: Counters) -> None:
    first = await one(counters, ask(Quota("q", 100), NOON, wanted=1000), NOON)

    assert (first.granted, first.used) == (25, 25)


async def test_units_that_come_back_are_there_again_and_never_more_than_were_taken(counters: Counters) -> None:
    await one(counters, ask(HOURLY, NOON, wanted=2), NOON)
    back = await one(counters, ask(HOURLY, NOON, spent=-100), NOON)
    after = await one(counters, ask(HOURLY, NOON, wanted=10, least=10), NOON)

    assert (back.used, after.granted) == (0, 10)


async def test_weight_3_of_10_passes_three_times(counters: Counters) -> None:
    grants = [(await one(counters, ask(HOURLY, NOON, wanted=3, least=3), NOON)).granted for _ in range(4)]

    assert grants == [3, 3, 3, 0]


async def test_a_rolling_window_forgets_the_oldest_calls(counters: Counters) -> None:
    quota = Quota("rolling", 100, unit="hour", window="rolling")
    late, past = NOON + timedelta(minutes=59, seconds=59), NOON + timedelta(hours=1, seconds=1)

    first = [(await one(counters, ask(quota, NOON, wanted=1), NOON)).granted for _ in range(100)]
    refused = await one(counters, ask(quota, late, wanted=1), late)
    passed = await one(counters, ask(quota, past, wanted=1), past)

    assert (sum(first), refused.granted, passed.granted) == (100, 0, 1)
    assert NOON + timedelta(hours=1) <= refused.resets <= past


async def test_a_flexi_window_starts_anew_with_the_first_call_after_it(counters: Counters) -> None:
    quota = Quota("flexi", 10, unit="hour", window="flexi")
    begun = NOON + timedelta(minutes=7, seconds=13)
    inside, after = begun + timedelta(minutes=59), begun + timedelta(minutes=90)

    first = await one(counters, ask(quota, begun, spent=6), begun)
    second = await one(counters, ask(quota, inside, spent=4), inside)
    third = await one(counters, ask(quota, after, spent=1), after)

    assert (first.resets, second.resets) == (begun + timedelta(hours=1),) * 2
    assert (second.used, third.used, third.resets) == (10, 1, after + timedelta(hours=1))


async def test_identities_do_not_reach_into_each_other(counters: Counters) -> None:
    """A separator in a name must not make it somebody else's."""
    names = ["a", "a:b", "a\tb", "a%0Ab", "A", "", "ä", "*", "a "]
    for at, name in enumerate(names):
        await one(counters, ask(HOURLY, NOON, who=name, spent=at + 1), NOON)

    used = [(await one(counters, ask(HOURLY, NOON, who=name), NOON)).used for name in names]

    assert used == list(range(1, len(names) + 1))


async def test_a_reset_forgets_one_counter_only(counters: Counters) -> None:
    for who in ("shop", "other"):
        await one(counters, ask(HOURLY, NOON, who=who, spent=10), NOON)

    await counters.reset("hourly", "shop")

    used = [(await one(counters, ask(HOURLY, NOON, who=who), NOON)).used for who in ("shop", "other")]
    assert used == [0, 10]


async def test_a_clock_that_jumps_back_grants_nothing_twice(counters: Counters) -> None:
    await one(counters, ask(HOURLY, NOON, spent=10), NOON)
    before = NOON - timedelta(minutes=5)

    jumped = await one(counters, ask(HOURLY, before, wanted=1), before)

    assert jumped.granted == 0


async def test_whoever_invents_identities_makes_no_other_quota_forget() -> None:
    counters = ProcessCounters(most=100)
    invented = Quota("by-header", 10, per="header", identifier="tenant", unit="hour")
    for who in ("shop", "cart"):
        await one(counters, ask(HOURLY, NOON, who=who, spent=9), NOON)

    for number in range(1000):
        await one(counters, ask(invented, NOON, who=f"invented-{number}", spent=1), NOON)
    counters.sweep(now=NOON)

    assert [(await one(counters, ask(HOURLY, NOON, who=who), NOON)).used for who in ("shop", "cart")] == [9, 9]
    assert (await one(counters, ask(invented, NOON, who="invented-999"), NOON)).used == 1
    assert len({slot.identity for slot in counters.changed()}) <= 100
