"""Quotes. Money is whole minor units (øre); each discount rounds once, half to even.

Rules, in this order: three or more pieces of one product are 10 % off · two or more different products of one
maker take 5 % off those · the code KRONBORG takes 5 % off the rest · above 2,000 kr delivery is free.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import Field

from kronborg_sdk import Verifier
from kronborg_sdk.fastapi import Principal, requires
from kronborg_shop.products import BY_ID, CURRENCY
from kronborg_shop.service import PROBLEM, Body, Problem, ProductId, new_service
from kronborg_shop.settings import Settings

FREE_DELIVERY_FROM = 200_000
DELIVERY = 4_900
CODE = "KRONBORG"


class Piece(Body):
    """So many pieces of a product."""

    product_id: ProductId
    quantity: Annotated[int, Field(ge=1, le=99)]


class NewQuote(Body):
    """What to price."""

    lines: Annotated[list[Piece], Field(min_length=1, max_length=50)]
    code: Annotated[str, Field(max_length=40)] = ""


class QuoteLine(Body):
    """A priced line, before discounts."""

    product_id: str
    name: str
    quantity: int
    unit_price: int
    amount: int


class Discount(Body):
    """A reason to pay less."""

    reason: str
    amount: int


class Quote(Body):
    """What everything costs, in minor units of `currency`."""

    lines: list[QuoteLine]
    subtotal: int
    discounts: list[Discount]
    delivery: int
    total: int
    currency: str
    code_accepted: bool


class Offer(Body):
    """A rule that customers should know of."""

    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Rule:
    reason: str
    amount: int


def part_of(amount: int, percent: int) -> int:
    """`percent` of `amount`, rounded half to even, in integers."""
    whole, rest = divmod(amount * percent, 100)
    return whole + (rest > 50 or (rest == 50 and whole % 2 == 1))


def price(wanted: NewQuote) -> Quote:
    """Price an order. Raises a 422 `Problem` for products the shop does not sell."""
    lines = _lines(wanted.lines)
    subtotal = sum(line.amount for line in lines)
    discounts = [*_quantity_discounts(lines), *_maker_discounts(lines)]
    rest = subtotal - sum(discount.amount for discount in discounts)
    is_known = wanted.code.strip().upper() == CODE
    if is_known:
        discounts.append(_Rule(f"Code {CODE}, 5 %", part_of(rest, 5)))
        rest -= discounts[-1].amount
    delivery = 0 if rest >= FREE_DELIVERY_FROM else DELIVERY
    return Quote(
        lines=lines,
        subtotal=subtotal,
        discounts=[Discount(reason=rule.reason, amount=rule.amount) for rule in discounts],
        delivery=delivery,
        total=rest + delivery,
        currency=CURRENCY,
        code_accepted=is_known,
    )


def _lines(wanted: list[Piece]) -> list[QuoteLine]:
    quantities: dict[str, int] = {}
    for piece in wanted:
        if piece.product_id not in BY_ID:
            raise Problem(422, "Unknown product", "the shop does not sell one of the products")
        quantities[piece.product_id] = quantities.get(piece.product_id, 0) + piece.quantity
    return [
        QuoteLine(
            product_id=product_id,
            name=BY_ID[product_id].name,
            quantity=quantity,
            unit_price=BY_ID[product_id].price,
            amount=BY_ID[product_id].price * quantity,
        )
        for product_id, quantity in quantities.items()
    ]


def _quantity_discounts(lines: list[QuoteLine]) -> list[_Rule]:
    return [
        _Rule(f"{line.quantity} × {line.name}, 10 %", part_of(line.amount, 10)) for line in lines if line.quantity >= 3
    ]


def _maker_discounts(lines: list[QuoteLine]) -> list[_Rule]:
    by_maker: dict[str, list[QuoteLine]] = {}
    for line in lines:
        if line.quantity < 3:  # lines already discounted are left out
            by_maker.setdefault(BY_ID[line.product_id].maker, []).append(line)
    return [
        _Rule(f"Together from {maker}, 5 %", part_of(sum(line.amount for line in group), 5))
        for maker, group in by_maker.items()
        if len(group) >= 2
    ]


Reader = Annotated[Principal, Depends(requires("pricing:read"))]


def build(settings: Settings, verifier: Verifier) -> FastAPI:
    """The pricing service; it keeps nothing, so it needs no database."""
    app = new_service("pricing", "Pricing", "Quotes and current offers.", verifier)

    @app.post("/pricing/quotes", summary="What would this cost?", tags=["quotes"], responses={422: PROBLEM})
    def quote(body: NewQuote, caller: Reader) -> Quote:
        return price(body)

    @app.get("/pricing/offers", summary="Current offers", tags=["quotes"])
    def offers(caller: Reader) -> list[Offer]:
        return [
            Offer(title="Three is a set", detail="10 % off from three pieces of one product"),
            Offer(title="Made together", detail="5 % off two products of one maker"),
            Offer(title="Free delivery", detail="on orders above 2,000 kr"),
            Offer(title="Code KRONBORG", detail="another 5 % off everything"),
        ]

    return app
