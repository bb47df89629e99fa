"""Placing an order: quote, reserve, book, confirm; what was done is undone when a later step fails."""

import logging
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool

from kronborg_shop.cart.model import Order, PlacedOrder
from kronborg_shop.cart.partners import Partners
from kronborg_shop.cart.store import Store
from kronborg_shop.service import Problem

logger = logging.getLogger("kronborg_shop.cart")


class Placing:
    """Places orders, each at most once however often it is asked for."""

    def __init__(self, store: Store, partners: Partners) -> None:
        self._store = store
        self._partners = partners
        self._under_way: set[str] = set()

    async def place(self, owner: str, key: str, order: Order) -> tuple[PlacedOrder, bool]:
        """Place what is in the cart; also says whether it was placed by this call.

        The same key again gives the order it placed. Every partner knows the order by its id and does its
        part once, so a call after a crash goes on where the crash left off.
        """
        order_id, placed = await run_in_threadpool(self._store.begin, owner, key, order)
        if placed is not None:
            return placed, False
        if order_id in self._under_way:
            raise Problem(409, "Order is under way", "the same order is being placed at this moment")
        self._under_way.add(order_id)
        try:
            return await self._place(order_id, owner, order), True
        except Problem:
            await run_in_threadpool(self._store.forget, owner, order_id)
            raise
        finally:
            self._under_way.discard(order_id)

    async def _place(self, order_id: str, owner: str, order: Order) -> PlacedOrder:
        items = await run_in_threadpool(self._store.items, owner)
        if not items:
            raise Problem(409, "Cart is empty", "put something into the cart first")
        quote = await self._partners.quote(items, order.code)
        try:
            await self._partners.reserve(order_id, items)
            booking = await self._partners.book(order_id, owner, order)
            await self._partners.confirm(order_id)
        except Problem:
            # Also after a call without an answer: it may have arrived all the same.
            await self._undo(order_id)
            raise
        placed = PlacedOrder(
            id=order_id,
            placed_at=datetime.now(UTC),
            quote=quote,
            delivery=booking,
            name=order.name,
            address=order.address,
        )
        await run_in_threadpool(self._store.finish, owner, placed, quote.lines)
        return placed

    async def _undo(self, order_id: str) -> None:
        for step in (self._partners.cancel, self._partners.release):
            try:
                await step(order_id)
            except Problem as problem:
                # The inventory lets an unconfirmed reservation run out by itself.
                logger.warning("order %s: %s did not work: %s", order_id, step.__name__, problem.detail)
