"""The nouns of prices: rate plans, the tiers of their charges, and the lines that a bill is made of.

Amounts in plans are decimal texts in the currency's main unit (`"29.00"`, `"0.002"`), because a rate may be far finer
than the smallest coin. Amounts on lines are whole numbers of the currency's minor unit (cents): money is never a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EDGE = {"extra": "forbid", "strict": False, "hide_input_in_errors": True, "use_attribute_docstrings": True}
"""How the HTTP and config edges read these values: unknown names are errors."""

ChargeModel = Literal["per_unit", "graduated", "volume", "stairstep", "package"]
Metric = Literal["calls", "megabytes"]
PeriodUnit = Literal["month", "quarter", "year"]
Payment = Literal["postpaid", "prepaid"]
LineKind = Literal[
    "setup", "recurring", "consumption", "commitment", "cap", "discount", "credit", "adjustment", "refund"
]

MOST_TIERS = 20
MOST_CHARGES = 10
MOST_UNITS = 10**15
"""No period counts more than this."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a price list."""

    __pydantic_config__ = EDGE

    price: str
    """Of a unit in this tier; of a `stairstep` the whole amount of who ends in it."""
    up_to: int | None = None
    """The last unit that belongs to it; the last tier has none."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What usage costs."""

    __pydantic_config__ = EDGE

    model: ChargeModel = "per_unit"
    """`per_unit`: each the same. `graduated`: each unit at the price of the tier it falls into. `volume`: all units at
    the price of the tier that the total falls into. `stairstep`: one amount by the tier of the total. `package`: begun
    packages of `size` units."""
    metric: Metric = "calls"
    """`calls`, each as heavy as its operation says, or `megabytes` (a million bytes) sent to the caller."""
    price: str = ""
    """Of a unit (`per_unit`) or of a package."""
    size: int = 1
    """Units in a package."""
    tiers: tuple[Tier, ...] = ()
    """The price list of `graduated`, `volume` and `stairstep`, from the first unit on."""
    included: int = 0
    """Units of a period that cost nothing; those beyond are counted from one. They are not prorated."""
    operations: tuple[str, ...] = ()
    """Only calls of these routes; empty means all that no other charge of the plan names."""


@dataclass(frozen=True, slots=True)
class RatePlan:
    """What a plan costs. Nothing said is free."""

    __pydantic_config__ = EDGE

    currency: str = "EUR"
    """Three letters of ISO 4217."""
    period: PeriodUnit = "month"
    """How long a billing period is: by the calendar, in `time_zone`."""
    time_zone: str = "UTC"
    """Where a period begins at midnight, such as `Europe/Copenhagen`."""
    payment: Payment = "postpaid"
    """`postpaid`: usage is on the invoice after the period. `prepaid`: usage draws on credits, and who has none left is
    refused."""
    setup: str = "0"
    """Once, when a subscription begins."""
    recurring: str = "0"
    """Each period, in advance; the first one by the days that are left of it."""
    charges: tuple[Charge, ...] = ()
    """What usage costs."""
    minimum: str = "0"
    """Usage of a whole period costs at least this."""
    maximum: str | None = None
    """Usage of a period costs at most this; no one is refused for reaching it."""
    discount: str = "0"
    """Per cent off everything but the setup fee."""
    tax_rate: str = "0"
    """Per cent on top."""
    tax_name: str = "VAT"
    """What the tax is called on an invoice."""
    billed: tuple[str, ...] = ("2xx",)
    """Which answers count as usage: statuses such as `404`, or classes such as `2xx`."""
    revenue_share: str = "0"
    """Per cent of the net amount that is owed to who runs the API; kept in the ledger."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used of one route in a period."""

    operation: str
    calls: int
    """By weight; below zero where a correction takes back more than was used."""
    octets: int = 0
    """Bytes sent to the caller."""


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period, from `start` up to, not including, `end`."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill. `amount` is in minor units, rounded half to even once, and is the line's alone: totals are
    sums of lines."""

    kind: LineKind
    text: str
    amount: int
    quantity: int = 1
    unit: str = ""
    price: str = ""
    """What is said of the price: the decimal text of one unit, or nothing where tiers apply."""
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines and what they come to, in minor units of `currency`. `tax` is rounded once, on the sum of the lines."""

    currency: str
    lines: tuple[Line, ...]
    tax_name: str = ""
    tax_rate: str = "0"
    tax: int = 0

    @property
    def net(self) -> int:
        """The sum of the lines."""
        return sum(line.amount for line in self.lines)

    @property
    def total(self) -> int:
        """Net and tax."""
        return self.net + self.tax
