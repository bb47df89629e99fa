"""Carts and orders of each person, in one SQLite file."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from secrets import token_hex

from kronborg_shop.cart.model import Item, Order, OrderLine, PlacedOrder
from kronborg_shop.database import Database
from kronborg_shop.service import Problem

MOST_ITEMS = 50

SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    owner TEXT NOT NULL, product_id TEXT NOT NULL, quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 99),
    PRIMARY KEY (owner, product_id)
) STRICT;
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL,
    state TEXT NOT NULL, body TEXT NOT NULL, placed_at INTEGER NOT NULL, UNIQUE (owner, key)
) STRICT;
"""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """Every method is one transaction and sees one owner's rows only."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._now = now

    def items(self, owner: str) -> list[Item]:
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT product_id, quantity FROM items WHERE owner = ? ORDER BY rowid", (owner,))
            return [Item(product_id=row["product_id"], quantity=row["quantity"]) for row in rows]

    def put(self, owner: str, product_id: str, quantity: int) -> None:
        """Have exactly `quantity` pieces in the cart."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO items VALUES (?, ?, ?)"
                " ON CONFLICT (owner, product_id) DO UPDATE SET quantity = excluded.quantity",
                (owner, product_id, quantity),
            )
            self._check_size(connection.execute("SELECT count(*) FROM items WHERE owner = ?", (owner,)))

    def add(self, owner: str, product_id: str, quantity: int) -> None:
        """Put `quantity` more pieces into the cart, up to 99."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT (owner, product_id)"
                " DO UPDATE SET quantity = min(99, items.quantity + excluded.quantity)",
                (owner, product_id, quantity),
            )
            self._check_size(connection.execute("SELECT count(*) FROM items WHERE owner = ?", (owner,)))

    def remove(self, owner: str, product_id: str | None = None) -> None:
        """Take a product out, or everything."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM items WHERE owner = ? AND (? IS NULL OR product_id = ?)",
                (owner, product_id, product_id),
            )

    def begin(self, owner: str, key: str, request: Order) -> tuple[str, PlacedOrder | None]:
        """The id of the order that `key` stands for, and the order itself if it was placed before.

        A key is spent on one request for ever: the same key with another request is refused.
        """
        text = request.model_dump_json()
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, 'placing', '{}', ?)",
                (f"K{token_hex(6).upper()}", owner, key, text, int(self._now().timestamp())),
            )
            row = connection.execute("SELECT * FROM orders WHERE owner = ? AND key = ?", (owner, key)).fetchone()
        if row["request"] != text:
            raise Problem(422, "Key already used", "this Idempotency-Key belongs to another order")
        placed = PlacedOrder.model_validate_json(row["body"]) if row["state"] == "placed" else None
        return row["id"], placed

    def finish(self, owner: str, order: PlacedOrder, ordered: list[OrderLine]) -> None:
        """Record a placed order and take what was ordered out of the cart, together."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE orders SET state = 'placed', body = ? WHERE id = ? AND owner = ?",
                (order.model_dump_json(), order.id, owner),
            )
            # What was put into the cart while the order was under way stays in it.
            for line in ordered:
                connection.execute(
                    "DELETE FROM items WHERE owner = ? AND product_id = ? AND quantity <= ?",
                    (owner, line.product_id, line.quantity),
                )
                connection.execute(
                    "UPDATE items SET quantity = quantity - ? WHERE owner = ? AND product_id = ?",
                    (line.quantity, owner, line.product_id),
                )

    def forget(self, owner: str, order_id: str) -> None:
        """Let go of an order that could not be placed, so that its key can be used again."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM orders WHERE id = ? AND owner = ? AND state = 'placing'", (order_id, owner))

    def orders(self, owner: str) -> list[PlacedOrder]:
        """Placed orders, the newest first."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "SELECT body FROM orders WHERE owner = ? AND state = 'placed' ORDER BY placed_at DESC, rowid DESC"
                " LIMIT 100",
                (owner,),
            ).fetchall()
        return [PlacedOrder.model_validate(json.loads(row["body"])) for row in rows]

    def order(self, owner: str, order_id: str) -> PlacedOrder:
        """One placed order of this owner."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT body FROM orders WHERE owner = ? AND id = ? AND state = 'placed'", (owner, order_id)
            ).fetchone()
        if row is None:
            raise Problem(404, "Not found", "there is no such order")
        return PlacedOrder.model_validate_json(row["body"])

    def _check_size(self, count: object) -> None:
        number = next(iter(count))[0]  # type: ignore[call-overload]
        if number > MOST_ITEMS:
            raise Problem(422, "Cart is full", "a cart holds at most 50 different products")
