"""Reservations: held, confirmed, released, run out; pieces are never lost nor made."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kronborg_shop.database import Database
from kronborg_shop.inventory.main import HOLD, SCHEMA, Inventory, NewReservation, Wanted
from kronborg_shop.service import Problem


class Clock:
    now = datetime(2026, 11, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inventory(tmp_path: Path, clock: Clock) -> Inventory:
    return Inventory(Database(tmp_path / "inventory.db", SCHEMA), clock)


def wanted(order_id: str = "K1", quantity: int = 2) -> NewReservation:
    return NewReservation(order_id=order_id, lines=[Wanted(product_id="tang-rug", quantity=quantity)])


def left(inventory: Inventory) -> int:
    return inventory.find("tang-rug").available


def test_reserving_twice_takes_once_and_releasing_twice_gives_back_once(inventory: Inventory) -> None:
    first, second = inventory.reserve(wanted()), inventory.reserve(wanted())
    assert (first[1], second[1], left(inventory)) == (True, False, 1)

    inventory.release("K1")
    inventory.release("K1")

    assert left(inventory) == 3


def test_all_or_nothing(inventory: Inventory) -> None:
    lines = [Wanted(product_id="klit-vase", quantity=1), Wanted(product_id="tang-rug", quantity=4)]

    with pytest.raises(Problem) as refusal:
        inventory.reserve(NewReservation(order_id="K1", lines=lines))

    assert refusal.value.more == {"missing": ["tang-rug"]}
    assert inventory.find("klit-vase").available == 30


def test_a_forgotten_reservation_runs_out_but_a_confirmed_one_stays(inventory: Inventory, clock: Clock) -> None:
    inventory.reserve(wanted("K1", 1))
    inventory.reserve(wanted("K2", 1))
    inventory.confirm("K2")

    clock.now += HOLD + timedelta(seconds=1)

    assert left(inventory) == 2
    with pytest.raises(Problem, match="released"):
        inventory.confirm("K1")
    assert inventory.reserve(wanted("K1", 1))[1] is True


def test_stock_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "stock.db"
    before = Database(path, SCHEMA)
    Inventory(before).restock("tang-rug", 4)
    before.close()

    assert Inventory(Database(path, SCHEMA)).find("tang-rug").available == 7
