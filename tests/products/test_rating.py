"""What usage comes to: the vectors of the field, and what holds for every usage."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.products.periods import period_at
from kronborg.products.price_model import Charge, Line, Period, RatePlan, Tier, Usage
from kronborg.products.rating import bill, cost, opening_lines, recurring_lines, unused_lines, usage_lines

TIERS = (Tier("2", 100), Tier("1.5", 200), Tier("1"))
LARGE = (Tier("0.30", 1000), Tier("0.20", 5000), Tier("0.10"))
NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("charge", "units", "expected"),
    [
        (Charge("graduated", tiers=TIERS), 150, "275"),
        (Charge("graduated", tiers=TIERS), 250, "400"),
        (Charge("graduated", tiers=TIERS), 500, "650"),
        (Charge("graduated", tiers=LARGE), 6000, "1200"),
        (Charge("volume", tiers=LARGE), 6000, "600"),
        (Charge("stairstep", tiers=(Tier("75", 100), Tier("100", 200), Tier("120"))), 150, "100"),
        (Charge("package", price="5", size=1000), 2001, "15"),
        (Charge("package", price="5", size=1000), 2000, "10"),
        (Charge("per_unit", price="0.002", included=10_000), 12_500, "5"),
        (Charge("stairstep", tiers=(Tier("75", 100), Tier("100"))), 0, "0"),
        (Charge("volume", tiers=LARGE), 1000, "300"),
        (Charge("volume", tiers=LARGE), 1001, "200.20"),
    ],
)
def test_vectors(charge: Charge, units: int, expected: str) -> None:
    assert cost(charge, units) == Decimal(expected)


def test_a_fee_with_included_calls_and_overage() -> None:
    plan = RatePlan(recurring="29", charges=(Charge("per_unit", price="0.002", included=10_000),))

    made = bill(plan, [*recurring_lines(plan, NOVEMBER), *usage_lines(plan, [Usage("orders", 12_500)], NOVEMBER)])

    assert (made.net, made.total) == (3400, 3400)
    assert [line.amount for line in made.lines] == [2900, 500]


def test_the_first_fee_is_for_the_days_that_are_left() -> None:
    plan = RatePlan(recurring="30", setup="99.50")
    begun = Period(datetime(2026, 11, 21, 15, tzinfo=UTC), NOVEMBER.end)

    lines = opening_lines(plan, NOVEMBER, begun)

    assert [(line.kind, line.amount) for line in lines] == [("setup", 9950), ("recurring", 1000)]
    assert [line.amount for line in unused_lines(plan, NOVEMBER, begun)] == [-1000]


def test_minimum_and_maximum_of_a_period() -> None:
    plan = RatePlan(charges=(Charge(price="0.01"),), minimum="10", maximum="20")

    sums = [
        sum(line.amount for line in usage_lines(plan, [Usage("all", calls)], NOVEMBER)) for calls in (0, 1500, 9000)
    ]

    assert sums == [1000, 1500, 2000]
    assert sum(line.amount for line in usage_lines(plan, [], NOVEMBER, whole=False)) == 0


def test_discount_spares_the_setup_fee_and_tax_is_rounded_once() -> None:
    plan = RatePlan(discount="10", tax_rate="25")

    made = bill(plan, [Line("setup", "Setup", 1000), Line("consumption", "Calls", 333)])

    assert [line.amount for line in made.lines] == [1000, 333, -33]
    assert (made.tax, made.total) == (325, 1625)


def test_a_charge_of_its_own_for_some_routes() -> None:
    plan = RatePlan(charges=(Charge(price="1"), Charge(price="5", operations=("report",))))

    lines = usage_lines(plan, [Usage("report", 2), Usage("list", 3)], NOVEMBER)

    assert [(line.quantity, line.amount) for line in lines] == [(3, 300), (2, 1000)]


@pytest.mark.parametrize(("currency", "amount"), [("EUR", 1234), ("JPY", 12), ("KWD", 12345)])
def test_minor_units_of_currencies(currency: str, amount: int) -> None:
    lines = usage_lines(RatePlan(currency=currency, charges=(Charge(price="12.345"),)), [Usage("a", 1)], NOVEMBER)

    assert lines[0].amount == amount


@pytest.mark.parametrize(("price", "amount"), [("0.005", 0), ("0.015", 2), ("0.025", 2), ("0.0251", 3)])
def test_half_a_cent_goes_to_the_even_one(price: str, amount: int) -> None:
    assert usage_lines(RatePlan(charges=(Charge(price=price),)), [Usage("a", 1)], NOVEMBER)[0].amount == amount


def test_periods_follow_the_calendar_of_the_time_zone() -> None:
    now = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # the first of April in Copenhagen

    assert period_at("month", "Europe/Copenhagen", now).start == datetime(2026, 3, 31, 22, tzinfo=UTC)
    assert period_at("quarter", "UTC", now) == Period(
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    )
    assert period_at("year", "UTC", now).end == datetime(2027, 1, 1, tzinfo=UTC)


usages = st.lists(
    st.builds(Usage, st.sampled_from(["a", "b", "c"]), st.integers(0, 10**7), st.integers(0, 10**12)), max_size=20
)
prices = st.decimals("0", "1000", places=4).map(str)
tiers = st.lists(st.tuples(st.integers(1, 10**6), prices), max_size=5, unique_by=lambda one: one[0]).flatmap(
    lambda steps: prices.map(lambda last: (*(Tier(price, at) for at, price in sorted(steps)), Tier(last)))
)
charges = st.one_of(
    st.builds(Charge, st.just("per_unit"), price=prices, included=st.integers(0, 10**6)),
    st.builds(Charge, st.just("package"), price=prices, size=st.integers(1, 10**5)),
    st.builds(Charge, st.sampled_from(["graduated", "volume", "stairstep"]), tiers=tiers),
)
plans = st.builds(
    RatePlan,
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    charges=st.lists(charges, max_size=3).map(tuple),
    minimum=st.sampled_from(["0", "10"]),
    maximum=st.sampled_from([None, "500.5"]),
    discount=st.sampled_from(["0", "12.5", "100"]),
    tax_rate=st.sampled_from(["0", "25", "8.1"]),
)


@given(plans, usages, st.randoms())
def test_the_order_of_usage_changes_nothing_and_lines_sum_up(
    plan: RatePlan, usage: list[Usage], shuffle: random.Random
) -> None:
    mixed = usage.copy()
    shuffle.shuffle(mixed)

    made = bill(plan, usage_lines(plan, usage, NOVEMBER))

    assert made == bill(plan, usage_lines(plan, mixed, NOVEMBER))
    assert made.total == sum(line.amount for line in made.lines) + made.tax
    assert made.net >= 0


@given(charges, st.integers(0, 10**7), st.integers(0, 10**5))
def test_more_usage_of_falling_or_flat_tiers_is_never_free_of_charge(charge: Charge, units: int, more: int) -> None:
    if charge.model in ("per_unit", "package", "graduated"):
        assert cost(charge, units + more) >= cost(charge, units) >= 0
