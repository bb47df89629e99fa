"""Discount rules and rounding, in whole øre."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg_shop.pricing.main import DELIVERY, NewQuote, Piece, part_of, price
from kronborg_shop.products import BY_ID


def total(code: str = "", **quantities: int) -> tuple[int, int, int]:
    pieces = [Piece(product_id=name.replace("_", "-"), quantity=n) for name, n in quantities.items()]
    quote = price(NewQuote(lines=pieces, code=code))
    return quote.subtotal, sum(discount.amount for discount in quote.discounts), quote.total


@pytest.mark.parametrize(
    ("quantities", "code", "expected"),
    [
        ({"klit_vase": 1}, "", (44_500, 0, 44_500 + DELIVERY)),
        ({"klit_vase": 3}, "", (133_500, 13_350, 120_150 + DELIVERY)),
        ({"klit_vase": 1, "ebbe_bowl": 1}, "", (105_500, 5_275, 100_225 + DELIVERY)),
        ({"klit_vase": 3, "ebbe_bowl": 1}, "", (194_500, 13_350, 181_150 + DELIVERY)),
        ({"klit_vase": 1}, " kronborg ", (44_500, 2_225, 42_275 + DELIVERY)),
        ({"bro_lounge_chair": 1}, "", (649_000, 0, 649_000)),
    ],
)
def test_rules(quantities: dict[str, int], code: str, expected: tuple[int, int, int]) -> None:
    assert total(code, **quantities) == expected


def test_rounding_is_half_to_even() -> None:
    assert [part_of(amount, 5) for amount in (10, 30, 50, 11, 29)] == [0, 2, 2, 1, 1]


@given(st.dictionaries(st.sampled_from(sorted(BY_ID)), st.integers(1, 99), min_size=1, max_size=24))
def test_a_total_always_adds_up(quantities: dict[str, int]) -> None:
    pieces = [Piece(product_id=name, quantity=n) for name, n in quantities.items()]

    quote = price(NewQuote(lines=pieces, code="KRONBORG"))

    off = sum(discount.amount for discount in quote.discounts)
    assert quote.total == quote.subtotal - off + quote.delivery
    assert quote.total > 0
    assert off <= quote.subtotal // 5
