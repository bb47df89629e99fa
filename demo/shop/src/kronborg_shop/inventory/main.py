"""Stock and reservations. People read stock; only machines reserve, release, confirm and restock.

A reservation takes its pieces at once, all or nothing, and gives them back when it is released or not confirmed
in time. Reserving twice for one order is one reservation.
"""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Response
from pydantic import Field

from kronborg_sdk import Verifier
from kronborg_sdk.fastapi import Principal, requires
from kronborg_shop.database import Database
from kronborg_shop.products import PRODUCTS
from kronborg_shop.service import PROBLEM, Body, Id, Problem, ProductId, machine, new_service
from kronborg_shop.settings import Settings

HOLD = timedelta(minutes=10)
MOST = 1000

SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (
    product_id TEXT PRIMARY KEY, quantity INTEGER NOT NULL CHECK (quantity >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS reservations (
    order_id TEXT PRIMARY KEY, state TEXT NOT NULL, expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS reserved (
    order_id TEXT NOT NULL REFERENCES reservations (order_id), product_id TEXT NOT NULL,
    quantity INTEGER NOT NULL, PRIMARY KEY (order_id, product_id)
) STRICT;
"""


class Stock(Body):
    """Pieces that can be ordered now."""

    product_id: str
    available: int


class StockList(Body):
    """Stock of several products."""

    items: list[Stock]


class Wanted(Body):
    """Pieces of a product that an order needs."""

    product_id: ProductId
    quantity: Annotated[int, Field(ge=1, le=99)]


class NewReservation(Body):
    """What to hold for an order."""

    order_id: Id
    lines: Annotated[list[Wanted], Field(min_length=1, max_length=50)]


class Reservation(Body):
    """Pieces held for an order until it is confirmed."""

    order_id: str
    state: str = Field(description="held, confirmed or released")
    expires_at: datetime


class Restock(Body):
    """Pieces that arrived."""

    quantity: Annotated[int, Field(ge=1, le=500)]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Inventory:
    """Stock and reservations in one database."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._now = now
        with database.transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?)", [(p.id, p.stock) for p in PRODUCTS])

    def stock(self, below: int | None = None) -> list[Stock]:
        with self._database.transaction() as connection:
            self._expire(connection)
            rows = connection.execute(
                "SELECT * FROM stock WHERE ? IS NULL OR quantity < ? ORDER BY product_id", (below, below)
            )
            return [Stock(product_id=row["product_id"], available=row["quantity"]) for row in rows]

    def find(self, product_id: str) -> Stock:
        found = [stock for stock in self.stock() if stock.product_id == product_id]
        if not found:
            raise Problem(404, "Not found", "there is no such product")
        return found[0]

    def restock(self, product_id: str, quantity: int) -> Stock:
        with self._database.transaction() as connection:
            row = connection.execute(
                "UPDATE stock SET quantity = min(quantity + ?, ?) WHERE product_id = ? RETURNING quantity",
                (quantity, MOST, product_id),
            ).fetchone()
        if row is None:
            raise Problem(404, "Not found", "there is no such product")
        return Stock(product_id=product_id, available=row["quantity"])

    def reserve(self, wanted: NewReservation) -> tuple[Reservation, bool]:
        """Hold the pieces; also says whether the reservation is new."""
        quantities: dict[str, int] = {}
        for line in wanted.lines:
            quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
        with self._database.transaction() as connection:
            self._expire(connection)
            before = self._read(connection, wanted.order_id)
            if before is not None and before.state != "released":
                return before, False
            missing = [
                product_id
                for product_id, quantity in quantities.items()
                if not self._take(connection, product_id, quantity)
            ]
            if missing:
                # Raising rolls back what the other lines took.
                raise Problem(409, "Out of stock", "there are not enough pieces left", more={"missing": missing})
            expires_at = int((self._now() + HOLD).timestamp())
            connection.execute(
                "INSERT OR REPLACE INTO reservations VALUES (?, 'held', ?)", (wanted.order_id, expires_at)
            )
            connection.executemany(
                "INSERT INTO reserved VALUES (?, ?, ?)",
                [(wanted.order_id, product_id, quantity) for product_id, quantity in quantities.items()],
            )
            return self._must_read(connection, wanted.order_id), True

    def confirm(self, order_id: str) -> Reservation:
        with self._database.transaction() as connection:
            self._expire(connection)
            reservation = self._must_read(connection, order_id)
            if reservation.state == "released":
                raise Problem(409, "Reservation is gone", "the reservation was released or ran out")
            connection.execute("UPDATE reservations SET state = 'confirmed' WHERE order_id = ?", (order_id,))
            return self._must_read(connection, order_id)

    def release(self, order_id: str) -> None:
        """Give the pieces back; doing so twice gives them back once."""
        with self._database.transaction() as connection:
            self._must_read(connection, order_id)
            self._give_back(connection, order_id)

    def _take(self, connection: sqlite3.Connection, product_id: str, quantity: int) -> bool:
        taken = connection.execute(
            "UPDATE stock SET quantity = quantity - ? WHERE product_id = ? AND quantity >= ?",
            (quantity, product_id, quantity),
        )
        return taken.rowcount == 1

    def _give_back(self, connection: sqlite3.Connection, order_id: str) -> None:
        connection.execute(
            "UPDATE stock SET quantity = stock.quantity + reserved.quantity FROM reserved"
            " WHERE reserved.order_id = ? AND reserved.product_id = stock.product_id",
            (order_id,),
        )
        connection.execute("DELETE FROM reserved WHERE order_id = ?", (order_id,))
        connection.execute("UPDATE reservations SET state = 'released' WHERE order_id = ?", (order_id,))

    def _expire(self, connection: sqlite3.Connection) -> None:
        now = int(self._now().timestamp())
        late = connection.execute(
            "SELECT order_id FROM reservations WHERE state = 'held' AND expires_at <= ?", (now,)
        ).fetchall()
        for row in late:
            self._give_back(connection, row["order_id"])

    def _read(self, connection: sqlite3.Connection, order_id: str) -> Reservation | None:
        row = connection.execute("SELECT * FROM reservations WHERE order_id = ?", (order_id,)).fetchone()
        if row is None:
            return None
        expires_at = datetime.fromtimestamp(row["expires_at"], UTC)
        return Reservation(order_id=order_id, state=row["state"], expires_at=expires_at)

    def _must_read(self, connection: sqlite3.Connection, order_id: str) -> Reservation:
        reservation = self._read(connection, order_id)
        if reservation is None:
            raise Problem(404, "Not found", "there is no such reservation")
        return reservation


Reader = Annotated[Principal, Depends(requires("inventory:read"))]
Machine = Annotated[Principal, Depends(machine("inventory:write"))]


def build(settings: Settings, verifier: Verifier) -> FastAPI:
    """The inventory service."""
    app = new_service("inventory", "Inventory", "Stock, and pieces held for orders.", verifier)
    app.state.database = Database(settings.folder / "inventory.db", SCHEMA)
    inventory = Inventory(app.state.database)

    @app.get("/inventory/stock", summary="Stock of all products", tags=["stock"])
    def stock(caller: Reader, below: Annotated[int | None, Query(ge=0, le=MOST)] = None) -> StockList:
        return StockList(items=inventory.stock(below))

    @app.get("/inventory/stock/{product_id}", tags=["stock"], responses={404: PROBLEM})
    def stock_of(product_id: ProductId, caller: Reader) -> Stock:
        return inventory.find(product_id)

    @app.post("/inventory/stock/{product_id}/restock", tags=["stock"], responses={404: PROBLEM})
    def restock(product_id: ProductId, body: Restock, caller: Machine) -> Stock:
        return inventory.restock(product_id, body.quantity)

    @app.post(
        "/inventory/reservations",
        status_code=201,
        summary="Hold pieces for an order",
        tags=["reservations"],
        responses={409: PROBLEM},
    )
    def reserve(body: NewReservation, caller: Machine, response: Response) -> Reservation:
        reservation, is_new = inventory.reserve(body)
        response.status_code = 201 if is_new else 200
        return reservation

    @app.post(
        "/inventory/reservations/{order_id}/confirm",
        tags=["reservations"],
        responses={404: PROBLEM, 409: PROBLEM},
    )
    def confirm(order_id: Id, caller: Machine) -> Reservation:
        return inventory.confirm(order_id)

    @app.delete(
        "/inventory/reservations/{order_id}",
        status_code=204,
        tags=["reservations"],
        responses={404: PROBLEM},
    )
    def release(order_id: Id, caller: Machine) -> None:
        inventory.release(order_id)

    return app
