"""Money: decimal texts of a currency's main unit, whole numbers of its minor unit, and the rounding between them."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import lru_cache

from babel.numbers import format_currency, get_currency_precision, list_currencies

_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_EXACT = Context(prec=60)
HUNDRED = Decimal(100)


def parse_amount(text: str) -> Decimal | None:
    """`29.00`, `0.002`; None for anything else."""
    return Decimal(text) if _AMOUNT.fullmatch(text) else None


def amount_of(text: str) -> Decimal:
    """An amount that is known to parse. Raises `ValueError`."""
    amount = parse_amount(text)
    if amount is None:
        raise ValueError("an amount is written like 29.00")
    return amount


@lru_cache(maxsize=256)
def digits_of(currency: str) -> int:
    """Digits of the minor unit (ISO 4217): 2 of EUR, 0 of JPY, 3 of KWD."""
    return get_currency_precision(currency)


@lru_cache(maxsize=1)
def currencies() -> frozenset[str]:
    """The codes that there are."""
    return frozenset(list_currencies())


def to_minor(amount: Decimal, currency: str) -> int:
    """The amount in minor units, rounded half to even. The only place where money is rounded."""
    with localcontext(_EXACT):
        return int(amount.scaleb(digits_of(currency)).to_integral_value(rounding=ROUND_HALF_EVEN))


def from_minor(minor: int, currency: str) -> Decimal:
    """Minor units as an exact amount of the main unit."""
    with localcontext(_EXACT):
        return Decimal(minor).scaleb(-digits_of(currency))


def percent(minor: int, rate: str) -> Decimal:
    """So many per cent of minor units, exactly, in minor units."""
    with localcontext(_EXACT):
        return Decimal(minor) * amount_of(rate) / HUNDRED


def round_minor(exact: Decimal) -> int:
    """Exact minor units as whole ones, rounded half to even."""
    with localcontext(_EXACT):
        return int(exact.to_integral_value(rounding=ROUND_HALF_EVEN))


def written(minor: int, currency: str, locale: str = "en") -> str:
    """As people of a language write it: `€29.00`."""
    return format_currency(from_minor(minor, currency), currency, locale=locale)
