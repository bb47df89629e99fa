"""Rate plans that cannot be: each says where and what."""

from __future__ import annotations

import pytest

from kronborg.products.price_model import Charge, RatePlan, Tier
from kronborg.products.price_problems import price_problems


def test_a_plan_of_everything_is_fine() -> None:
    tiers = (Tier("2", 100), Tier("1.5", 200), Tier("1"))
    charges = (Charge("graduated", tiers=tiers), Charge(metric="megabytes", price="0.01", included=100))
    plan = RatePlan("DKK", "quarter", "Europe/Copenhagen", "prepaid", "10", "29.00", charges, "5", "900.5", "10", "25")

    assert list(price_problems(plan)) == []


@pytest.mark.parametrize(
    ("plan", "where"),
    [
        (RatePlan(currency="euro"), "price.currency"),
        (RatePlan(recurring="29,00"), "price.recurring"),
        (RatePlan(setup="-1"), "price.setup"),
        (RatePlan(minimum="1e9"), "price.minimum"),
        (RatePlan(minimum="10", maximum="9"), "price.maximum"),
        (RatePlan(tax_rate="101"), "price.tax_rate"),
        (RatePlan(time_zone="Elsinore"), "price.time_zone"),
        (RatePlan(time_zone="../etc"), "price.time_zone"),
        (RatePlan(billed=("ok",)), "price.billed"),
        (RatePlan(billed=()), "price.billed"),
        (RatePlan(charges=(Charge(price=""),)), "price.charges.0.price"),
        (RatePlan(charges=(Charge(price="1", tiers=(Tier("1"),)),)), "price.charges.0.tiers"),
        (RatePlan(charges=(Charge("package", price="1", size=0),)), "price.charges.0.size"),
        (RatePlan(charges=(Charge(price="1", included=-1),)), "price.charges.0.included"),
        (RatePlan(charges=(Charge("volume"),)), "price.charges.0.tiers"),
        (RatePlan(charges=(Charge("volume", price="1", tiers=(Tier("1"),)),)), "price.charges.0.price"),
        (RatePlan(charges=(Charge("volume", tiers=(Tier("1", 5),)),)), "price.charges.0.tiers.0.up_to"),
        (RatePlan(charges=(Charge("volume", tiers=(Tier("1"), Tier("2"))),)), "price.charges.0.tiers.0.up_to"),
        (RatePlan(charges=(Charge(price="1"), Charge(price="2"))), "price.charges.1"),
    ],
)
def test_what_cannot_be_is_named(plan: RatePlan, where: str) -> None:
    assert [problem.where for problem in price_problems(plan)] == [where]
