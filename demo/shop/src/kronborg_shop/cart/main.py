"""Everybody's own cart and orders. The cart belongs to the token's subject; no person names anybody else's.

One machine does: the server that assistants use, which knows from the gateway whom each works for.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Query, Response
from starlette.concurrency import run_in_threadpool

from kronborg_sdk import Verifier
from kronborg_sdk.fastapi import Principal, requires
from kronborg_shop.cart.model import Cart, Item, Order, PlacedOrder, Quantity
from kronborg_shop.cart.partners import Partners
from kronborg_shop.cart.place import Placing
from kronborg_shop.cart.store import SCHEMA, Store
from kronborg_shop.database import Database
from kronborg_shop.products import BY_ID
from kronborg_shop.service import PROBLEM, Id, Problem, ProductId, machine, new_service
from kronborg_shop.settings import Settings

Reader = Annotated[Principal, Depends(requires("cart:read"))]
Writer = Annotated[Principal, Depends(requires("cart:write"))]
Assistant = Annotated[Principal, Depends(machine("cart:assist"))]
Key = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=128,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="a name of your choice for this order; sending it again never orders twice",
    ),
]


def build(settings: Settings, verifier: Verifier, partners: Partners | None = None) -> FastAPI:
    """The cart service. `partners` is for callers that bring their own connections."""
    others = partners or Partners.from_settings(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await others.close()

    app = new_service("cart", "Cart", "Your cart and your orders.", verifier, lifespan)
    app.state.database = Database(settings.folder / "cart.db", SCHEMA)
    store = Store(app.state.database)
    _add_cart(app, store, others)
    _add_orders(app, store, Placing(store, others))
    return app


def _add_cart(app: FastAPI, store: Store, partners: Partners) -> None:
    async def view(owner: str, code: str = "") -> Cart:
        items = await run_in_threadpool(store.items, owner)
        try:
            quote = await partners.quote(items, code) if items else None
        except Problem:
            quote = None  # a cart without a price is better than none
        return Cart(items=items, quote=quote)

    @app.get("/cart/of/{owner}/items", summary="Somebody's cart, for their assistant", tags=["assistant"])
    async def cart_of(owner: Id, caller: Assistant) -> Cart:
        return await view(owner)

    @app.post("/cart/of/{owner}/items", status_code=204, tags=["assistant"], responses={404: PROBLEM})
    def add_for(owner: Id, body: Item, caller: Assistant) -> None:
        _must_exist(body.product_id)
        store.add(owner, body.product_id, body.quantity)

    @app.get("/cart/items", summary="Your cart", tags=["cart"])
    async def cart(caller: Reader, code: Annotated[str, Query(max_length=40)] = "") -> Cart:
        return await view(caller.subject, code)

    @app.post("/cart/items", status_code=204, summary="Add pieces", tags=["cart"], responses={404: PROBLEM})
    def add(body: Item, caller: Writer) -> None:
        _must_exist(body.product_id)
        store.add(caller.subject, body.product_id, body.quantity)

    @app.put("/cart/items/{product_id}", status_code=204, tags=["cart"], responses={404: PROBLEM})
    def put(product_id: ProductId, body: Quantity, caller: Writer) -> None:
        _must_exist(product_id)
        store.put(caller.subject, product_id, body.quantity)

    @app.delete("/cart/items/{product_id}", status_code=204, tags=["cart"])
    def remove(product_id: ProductId, caller: Writer) -> None:
        store.remove(caller.subject, product_id)

    @app.delete("/cart/items", status_code=204, summary="Empty the cart", tags=["cart"])
    def clear(caller: Writer) -> None:
        store.remove(caller.subject)


def _add_orders(app: FastAPI, store: Store, placing: Placing) -> None:
    @app.post(
        "/cart/orders",
        status_code=201,
        summary="Order what is in the cart",
        tags=["orders"],
        responses={409: PROBLEM, 422: PROBLEM, 503: PROBLEM},
    )
    async def order(body: Order, key: Key, caller: Writer, response: Response) -> PlacedOrder:
        placed, is_new = await placing.place(caller.subject, key, body)
        response.status_code = 201 if is_new else 200
        response.headers["Location"] = f"/cart/orders/{placed.id}"
        return placed

    @app.get("/cart/orders", summary="Your orders", tags=["orders"])
    def orders(caller: Reader) -> list[PlacedOrder]:
        return store.orders(caller.subject)

    @app.get("/cart/orders/{order_id}", tags=["orders"], responses={404: PROBLEM})
    def one(order_id: Id, caller: Reader) -> PlacedOrder:
        return store.order(caller.subject, order_id)


def _must_exist(product_id: str) -> None:
    if product_id not in BY_ID:
        raise Problem(404, "Not found", "there is no such product")
