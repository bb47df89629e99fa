"""Which credits are drawn on first, and that nothing is drawn twice or made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kronborg.products.credits import Credit, Draw, balance, draw

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def credit(name: str, left: int, *, priority: int = 0, age: int = 0, days: int | None = None) -> Credit:
    expires = None if days is None else NOW + timedelta(days=days)
    return Credit(name, left, left, priority, NOW - timedelta(days=age), expires)


def test_by_priority_then_what_expires_first_then_the_oldest() -> None:
    credits = [
        credit("late", 5, priority=1, days=1),
        credit("forever", 5, age=9),
        credit("soon", 5, days=2),
        credit("sooner", 5, days=1),
        credit("old", 5, age=10),
    ]

    draws, missing = draw(credits, 23, now=NOW)

    assert [one.credit_id for one in draws] == ["sooner", "soon", "old", "forever", "late"]
    assert draws[-1] == Draw("late", 3)
    assert missing == 0


def test_what_lapsed_is_not_drawn_on() -> None:
    credits = [credit("gone", 5, days=0), credit("here", 5)]

    assert balance(credits, now=NOW) == 5
    assert draw(credits, 8, now=NOW) == ((Draw("here", 5),), 3)


credits_of_any_kind = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 3), st.none() | st.integers(-2, 3)), max_size=12
).map(lambda all_: [credit(str(n), left, priority=first, days=days) for n, (left, first, days) in enumerate(all_)])


@given(credits_of_any_kind, st.integers(0, 5000))
def test_draws_and_what_is_missing_are_the_amount(credits: list[Credit], amount: int) -> None:
    draws, missing = draw(credits, amount, now=NOW)

    left = {one.id: one.left for one in credits}
    assert sum(one.amount for one in draws) + missing == amount
    assert all(0 < one.amount <= left[one.credit_id] for one in draws)
    assert missing == max(0, amount - balance(credits, now=NOW))
