"""What is wrong with a rate plan: everything at once, each with where it is and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo

from kronborg.core.errors import Problem
from kronborg.products.money import currencies, parse_amount
from kronborg.products.price_model import MOST_CHARGES, MOST_TIERS, MOST_UNITS, Charge, RatePlan

_STATUS = re.compile(r"[1-5](xx|[0-9]{2})")
_TIERED = ("graduated", "volume", "stairstep")
_PLAIN = ("setup", "recurring", "minimum")
_PER_CENT = ("discount", "tax_rate", "revenue_share")
_AMOUNT = 'is no amount; write digits and a point, such as "29.00"'


def price_problems(plan: RatePlan, at: str = "price") -> Iterator[Problem]:
    """The problems; `at` is where the plan is written."""
    if plan.currency not in currencies():
        yield Problem(f"{at}.currency", "is no currency; write three letters of ISO 4217, such as EUR")
    for name in _PLAIN:
        yield from _amount(f"{at}.{name}", getattr(plan, name))
    if plan.maximum is not None:
        yield from _amount(f"{at}.maximum", plan.maximum)
    for name in _PER_CENT:
        rate = parse_amount(getattr(plan, name))
        if rate is None or not 0 <= rate <= 100:
            yield Problem(f"{at}.{name}", 'is no percentage; write a number from 0 to 100, such as "25"')
    low, high = parse_amount(plan.minimum), parse_amount(plan.maximum or "")
    if low is not None and high is not None and low > high:
        yield Problem(f"{at}.maximum", "is below the minimum")
    try:
        ZoneInfo(plan.time_zone)
    except (KeyError, ValueError, OSError):
        yield Problem(f"{at}.time_zone", "is no time zone; write one such as Europe/Copenhagen")
    for status in plan.billed:
        if _STATUS.fullmatch(status) is None:
            yield Problem(f"{at}.billed", "names no status; write 200, or a class such as 2xx")
    if not plan.billed:
        yield Problem(f"{at}.billed", "names no answer; leave it out for 2xx")
    yield from _charges(plan, at)


def _charges(plan: RatePlan, at: str) -> Iterator[Problem]:
    if len(plan.charges) > MOST_CHARGES:
        yield Problem(f"{at}.charges", f"are more than {MOST_CHARGES}")
    seen: set[tuple[str, str]] = set()
    for number, charge in enumerate(plan.charges):
        here = f"{at}.charges.{number}"
        yield from _charge(charge, here)
        mine = {(charge.metric, operation) for operation in charge.operations or ("",)}
        if seen & mine:
            yield Problem(here, "counts what an earlier charge counts already")
        seen |= mine


def _charge(charge: Charge, at: str) -> Iterator[Problem]:
    if not 0 <= charge.included <= MOST_UNITS:
        yield Problem(f"{at}.included", "is out of bounds")
    if not 1 <= charge.size <= MOST_UNITS:
        yield Problem(f"{at}.size", "is out of bounds; a package holds at least one")
    if charge.model not in _TIERED:
        yield from _amount(f"{at}.price", charge.price)
        if charge.tiers:
            yield Problem(f"{at}.tiers", f"are not used by {charge.model}; leave them out")
        return
    if charge.price:
        yield Problem(f"{at}.price", f"is not used by {charge.model}; the tiers say the prices")
    yield from _tiers(charge, at)


def _tiers(charge: Charge, at: str) -> Iterator[Problem]:
    if not 1 <= len(charge.tiers) <= MOST_TIERS:
        yield Problem(f"{at}.tiers", f"there must be 1 to {MOST_TIERS}")
        return
    last = 0
    for number, tier in enumerate(charge.tiers):
        here = f"{at}.tiers.{number}"
        yield from _amount(f"{here}.price", tier.price)
        if number == len(charge.tiers) - 1:
            if tier.up_to is not None:
                yield Problem(f"{here}.up_to", "the last tier has no end; leave it out")
        elif tier.up_to is None or not last < tier.up_to <= MOST_UNITS:
            yield Problem(f"{here}.up_to", "must be larger than that of the tier before")
        else:
            last = tier.up_to


def _amount(at: str, text: str) -> Iterator[Problem]:
    amount = parse_amount(text)
    if amount is None:
        yield Problem(at, _AMOUNT)
    elif amount < 0:
        yield Problem(at, "is below zero")
