"""Delivery slots for people, bookings for machines. A booking belongs to the person it is delivered to."""

import secrets
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Response
from pydantic import Field, StringConstraints

from kronborg_sdk import Verifier
from kronborg_sdk.fastapi import Principal, requires
from kronborg_shop.database import Database
from kronborg_shop.service import PROBLEM, Body, Id, Problem, machine, new_service
from kronborg_shop.settings import Settings

DAYS = 5
CAPACITY = 20
HOURS = (("morning", "08:00–12:00"), ("afternoon", "12:00–17:00"), ("evening", "17:00–21:00"))

SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    order_id TEXT PRIMARY KEY, slot_id TEXT NOT NULL, recipient TEXT NOT NULL, name TEXT NOT NULL,
    address TEXT NOT NULL, tracking_number TEXT NOT NULL UNIQUE, state TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_slot ON deliveries (slot_id);
"""


class Slot(Body):
    """A part of a day in which the van comes by."""

    id: str
    date: str
    part: str
    hours: str
    free: int


class NewDelivery(Body):
    """An order on its way to somebody."""

    order_id: Id
    slot_id: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}-[a-z]{1,16}$")]
    recipient: Annotated[str, Field(min_length=1, max_length=128, description="subject of the customer")]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    address: Annotated[str, Field(min_length=1, max_length=300)]


class Delivery(Body):
    """A booked delivery."""

    order_id: str
    slot_id: str
    hours: str
    tracking_number: str
    state: str


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Deliveries:
    """Slots and bookings in one database."""

    def __init__(self, database: Database, now: Callable[[], datetime] = _utc_now) -> None:
        self._database = database
        self._now = now

    def slots(self) -> list[Slot]:
        with self._database.transaction() as connection:
            return self._slots(connection)

    def book(self, wanted: NewDelivery) -> tuple[Delivery, bool]:
        """Book a slot; booking an order again gives the booking it has. Also says whether it is new."""
        with self._database.transaction() as connection:
            row = self._row(connection, "order_id", wanted.order_id)
            if row is not None and row["state"] != "cancelled":
                return _view(row), False
            free = {slot.id: slot.free for slot in self._slots(connection)}
            if wanted.slot_id not in free:
                raise Problem(422, "Unknown slot", "there is no such delivery slot any more")
            if free[wanted.slot_id] < 1:
                raise Problem(409, "Slot is full", "choose another delivery slot")
            number = f"KB{secrets.randbelow(10**10):010d}DK"
            connection.execute(
                "INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, ?, ?, ?, 'booked')",
                (wanted.order_id, wanted.slot_id, wanted.recipient, wanted.name, wanted.address, number),
            )
            return _view(self._must(connection, "order_id", wanted.order_id)), True

    def cancel(self, order_id: str) -> None:
        with self._database.transaction() as connection:
            self._must(connection, "order_id", order_id)
            connection.execute("UPDATE deliveries SET state = 'cancelled' WHERE order_id = ?", (order_id,))

    def track(self, number: str, caller: Principal) -> Delivery:
        with self._database.transaction() as connection:
            row = self._must(connection, "tracking_number", number)
        # Somebody else's parcel looks like no parcel at all.
        if not caller.is_machine and row["recipient"] != caller.subject:
            raise Problem(404, "Not found", "there is no such delivery")
        return _view(row)

    def _slots(self, connection: sqlite3.Connection) -> list[Slot]:
        taken = {
            row["slot_id"]: row["n"]
            for row in connection.execute(
                "SELECT slot_id, count(*) AS n FROM deliveries WHERE state = 'booked' GROUP BY slot_id"
            )
        }
        today = self._now().date()
        days = [today + timedelta(days=n) for n in range(1, DAYS + 1)]
        return [
            Slot(
                id=f"{day}-{part}",
                date=day.isoformat(),
                part=part,
                hours=hours,
                free=max(0, CAPACITY - taken.get(f"{day}-{part}", 0)),
            )
            for day in days
            for part, hours in HOURS
        ]

    def _row(self, connection: sqlite3.Connection, column: str, value: str) -> sqlite3.Row | None:
        statement = {
            "order_id": "SELECT * FROM deliveries WHERE order_id = ?",
            "tracking_number": "SELECT * FROM deliveries WHERE tracking_number = ?",
        }[column]
        row: sqlite3.Row | None = connection.execute(statement, (value,)).fetchone()
        return row

    def _must(self, connection: sqlite3.Connection, column: str, value: str) -> sqlite3.Row:
        row = self._row(connection, column, value)
        if row is None:
            raise Problem(404, "Not found", "there is no such delivery")
        return row


def _view(row: sqlite3.Row) -> Delivery:
    return Delivery(
        order_id=row["order_id"],
        slot_id=row["slot_id"],
        hours=dict(HOURS).get(row["slot_id"][11:], ""),
        tracking_number=row["tracking_number"],
        state=row["state"],
    )


Reader = Annotated[Principal, Depends(requires("delivery:read"))]
Machine = Annotated[Principal, Depends(machine("delivery:write"))]


def build(settings: Settings, verifier: Verifier) -> FastAPI:
    """The delivery service."""
    app = new_service("delivery", "Delivery", "Slots, bookings and tracking.", verifier)
    app.state.database = Database(settings.folder / "delivery.db", SCHEMA)
    deliveries = Deliveries(app.state.database)

    @app.get("/delivery/slots", summary="Slots of the coming days", tags=["slots"])
    def slots(caller: Reader) -> list[Slot]:
        return deliveries.slots()

    @app.post(
        "/delivery/deliveries",
        status_code=201,
        summary="Book a delivery",
        tags=["deliveries"],
        responses={409: PROBLEM, 422: PROBLEM},
    )
    def book(body: NewDelivery, caller: Machine, response: Response) -> Delivery:
        delivery, is_new = deliveries.book(body)
        response.status_code = 201 if is_new else 200
        return delivery

    @app.get(
        "/delivery/deliveries/{tracking_number}",
        summary="Track a delivery of your own",
        tags=["deliveries"],
        responses={404: PROBLEM},
    )
    def track(tracking_number: Id, caller: Reader) -> Delivery:
        return deliveries.track(tracking_number, caller)

    @app.delete("/delivery/deliveries/{order_id}", status_code=204, tags=["deliveries"], responses={404: PROBLEM})
    def cancel(order_id: Id, caller: Machine) -> None:
        deliveries.cancel(order_id)

    return app
