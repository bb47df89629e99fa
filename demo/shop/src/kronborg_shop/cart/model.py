"""What carts and orders look like on the wire. Money is in minor units."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from kronborg_shop.service import Body, ProductId


class Item(Body):
    """So many pieces of a product in the cart."""

    product_id: ProductId
    quantity: Annotated[int, Field(ge=1, le=99)]


class Quantity(Body):
    """How many pieces there should be."""

    quantity: Annotated[int, Field(ge=1, le=99)]


class OrderLine(BaseModel):
    """A priced line."""

    product_id: str
    name: str
    quantity: int
    unit_price: int
    amount: int


class Discount(BaseModel):
    """A reason to pay less."""

    reason: str
    amount: int


class Quote(BaseModel):
    """The pricing service's answer, as far as the cart reads it."""

    lines: list[OrderLine]
    subtotal: int
    discounts: list[Discount]
    delivery: int
    total: int
    currency: str
    code_accepted: bool = False


class Cart(Body):
    """The cart, with its price unless pricing is away."""

    items: list[Item]
    quote: Quote | None


class Order(Body):
    """How to deliver what is in the cart."""

    slot_id: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}-[a-z]{1,16}$")]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    address: Annotated[str, Field(min_length=1, max_length=300)]
    code: Annotated[str, Field(max_length=40)] = ""


class Booking(BaseModel):
    """The delivery service's answer, as far as the cart reads it."""

    slot_id: str
    hours: str
    tracking_number: str


class PlacedOrder(Body):
    """An order that was placed."""

    id: str
    placed_at: datetime
    quote: Quote
    delivery: Booking
    name: str
    address: str
