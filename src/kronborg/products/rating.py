"""Rating: what usage comes to under a rate plan. Pure: equal usage gives equal lines, in any order it was counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, localcontext

from kronborg.products.money import amount_of, percent, round_minor, to_minor
from kronborg.products.periods import share_of
from kronborg.products.price_model import Bill, Charge, Line, Period, RatePlan, Usage

_EXACT = Context(prec=60)
_MEGABYTE = 1_000_000
_ZERO = Decimal(0)


def opening_lines(plan: RatePlan, period: Period, begun: Period) -> tuple[Line, ...]:
    """What a subscription owes when it begins: the setup fee, and the days of `begun` out of the whole `period`."""
    lines = []
    if amount_of(plan.setup):
        lines.append(Line("setup", "Setup", to_minor(amount_of(plan.setup), plan.currency), price=plan.setup))
    lines += recurring_lines(plan, period, begun)
    return tuple(lines)


def recurring_lines(plan: RatePlan, period: Period, part: Period | None = None) -> tuple[Line, ...]:
    """The recurring fee of a period, or of the days of a `part` of it."""
    fee = amount_of(plan.recurring)
    if not fee:
        return ()
    part = part or period
    amount = to_minor(fee * share_of(part, period, plan.time_zone), plan.currency)
    return (Line("recurring", "Fee", amount, price=plan.recurring, period=part),)


def unused_lines(plan: RatePlan, period: Period, rest: Period) -> tuple[Line, ...]:
    """What comes back of a fee that was paid in advance when a subscription ends before its period does."""
    return tuple(
        Line("refund", "Unused part of the fee", -line.amount, price=line.price, period=line.period)
        for line in recurring_lines(plan, period, rest)
    )


def usage_lines(plan: RatePlan, usage: Sequence[Usage], period: Period, *, whole: bool = True) -> tuple[Line, ...]:
    """What the usage of a period costs; the minimum counts only for a `whole` period."""
    lines = [_line(plan, charge, usage, period) for charge in plan.charges]
    spent = sum(line.amount for line in lines)
    minimum = to_minor(amount_of(plan.minimum), plan.currency) if whole else 0
    if spent < minimum:
        lines.append(Line("commitment", "Up to the agreed minimum", minimum - spent, period=period))
    elif plan.maximum is not None and spent > (most := to_minor(amount_of(plan.maximum), plan.currency)):
        lines.append(Line("cap", "Above the agreed maximum", most - spent, period=period))
    return tuple(lines)


def bill(plan: RatePlan, lines: Iterable[Line]) -> Bill:
    """The lines, the discount on them, and the tax."""
    lines = tuple(lines)
    off = -round_minor(percent(sum(line.amount for line in lines if line.kind != "setup"), plan.discount))
    if off:
        lines += (Line("discount", f"{plan.discount} % off", off),)
    net = sum(line.amount for line in lines)
    return Bill(plan.currency, lines, plan.tax_name, plan.tax_rate, round_minor(percent(net, plan.tax_rate)))


def shared_revenue(plan: RatePlan, net: int) -> int:
    """What of a net amount is owed to who runs the API, in minor units."""
    return round_minor(percent(net, plan.revenue_share))


def units_of(charge: Charge, usage: Iterable[Usage], named: frozenset[str]) -> int:
    """The units that a charge counts; `named` are the routes that some charge of the plan names. Never below zero."""
    mine = [one for one in usage if _counts(charge, one.operation, named)]
    if charge.metric == "megabytes":
        return max(0, -(-sum(one.octets for one in mine) // _MEGABYTE))
    return max(0, sum(one.calls for one in mine))


def _counts(charge: Charge, operation: str, named: frozenset[str]) -> bool:
    return operation in charge.operations if charge.operations else operation not in named


def cost(charge: Charge, units: int) -> Decimal:
    """What `units` cost, in the main unit of the currency, exactly."""
    units = max(0, units - charge.included)
    with localcontext(_EXACT):
        if charge.model == "per_unit":
            return amount_of(charge.price) * units
        if charge.model == "package":
            return amount_of(charge.price) * -(-units // charge.size)
        if units == 0:
            return _ZERO
        if charge.model == "graduated":
            return _graduated(charge, units)
        tier = next(one for one in charge.tiers if one.up_to is None or units <= one.up_to)
        return amount_of(tier.price) * (units if charge.model == "volume" else 1)


def _graduated(charge: Charge, units: int) -> Decimal:
    total, before = _ZERO, 0
    for tier in charge.tiers:
        last = units if tier.up_to is None else min(units, tier.up_to)
        total += amount_of(tier.price) * max(0, last - before)
        before = last
    return total


def _line(plan: RatePlan, charge: Charge, usage: Sequence[Usage], period: Period) -> Line:
    units = units_of(charge, usage, named(plan))
    text = ", ".join(charge.operations) or ("Data sent" if charge.metric == "megabytes" else "Calls")
    unit = "MB" if charge.metric == "megabytes" else "calls"
    return Line("consumption", text, to_minor(cost(charge, units), plan.currency), units, unit, charge.price, period)


def named(plan: RatePlan) -> frozenset[str]:
    """The routes that a charge of the plan names."""
    return frozenset(operation for charge in plan.charges for operation in charge.operations)
