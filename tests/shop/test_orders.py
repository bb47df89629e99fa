"""Placing orders through all five services, and what is left behind when a step fails."""

import asyncio

import pytest

from shop.conftest import Shop

pytestmark = pytest.mark.anyio


async def slot(shop: Shop) -> str:
    answer = await shop.call("GET", "/delivery/slots", "delivery:read")
    found: str = answer.json()[0]["id"]
    return found


async def fill(shop: Shop, product: str = "bro-lounge-chair", quantity: int = 1, who: str = "astrid") -> None:
    body = {"product_id": product, "quantity": quantity}
    answer = await shop.call("POST", "/cart/items", "cart:write", subject=who, json=body)
    assert answer.status_code == 204


async def stock(shop: Shop, product: str = "bro-lounge-chair") -> int:
    answer = await shop.call("GET", f"/inventory/stock/{product}", "inventory:read")
    available: int = answer.json()["available"]
    return available


async def order(shop: Shop, key: str = "key-00001", who: str = "astrid", **changes: str) -> tuple[int, dict]:  # type: ignore[type-arg]
    body = {"slot_id": await slot(shop), "name": "Astrid", "address": "Kronborg 2C", **changes}
    answer = await shop.call(
        "POST", "/cart/orders", "cart:write", subject=who, json=body, headers={"Idempotency-Key": key}
    )
    return answer.status_code, answer.json()


async def cart(shop: Shop, who: str = "astrid") -> list[object]:
    answer = await shop.call("GET", "/cart/items", "cart:read", subject=who)
    items: list[object] = answer.json()["items"]
    return items


async def test_an_order_reserves_books_and_empties_the_cart(shop: Shop) -> None:
    await fill(shop)

    status, placed = await order(shop, code="KRONBORG")

    assert status == 201
    assert placed["quote"]["total"] == 649_000 - 32_450
    assert placed["delivery"]["tracking_number"].startswith("KB")
    assert await stock(shop) == 3
    assert await cart(shop) == []
    history = await shop.call("GET", "/cart/orders", "cart:read")
    assert [entry["id"] for entry in history.json()] == [placed["id"]]
    one = await shop.call("GET", f"/cart/orders/{placed['id']}", "cart:read")
    assert one.json() == placed


async def test_nobody_sees_what_belongs_to_others(shop: Shop) -> None:
    await fill(shop)
    _, placed = await order(shop)
    number = placed["delivery"]["tracking_number"]

    mine = await shop.call("GET", f"/delivery/deliveries/{number}", "delivery:read")
    theirs = [
        await shop.call("GET", f"/cart/orders/{placed['id']}", "cart:read", subject="bo"),
        await shop.call("GET", f"/delivery/deliveries/{number}", "delivery:read", subject="bo"),
    ]

    assert mine.status_code == 200
    assert [answer.status_code for answer in theirs] == [404, 404]
    assert (await shop.call("GET", "/cart/orders", "cart:read", subject="bo")).json() == []
    assert await cart(shop, "bo") == []


async def test_the_same_key_orders_once(shop: Shop) -> None:
    await fill(shop)
    first = await order(shop)
    await fill(shop)

    again = await order(shop)
    changed = await order(shop, address="Somewhere else 1")
    by_another = await order(shop, who="bo")

    assert (first[0], again[0]) == (201, 200)
    assert again[1] == first[1]
    assert changed[0] == 422
    assert by_another[0] == 409  # bo's own key, bo's own empty cart
    assert await stock(shop) == 3


async def test_a_hundred_impatient_clicks_order_once(shop: Shop) -> None:
    await fill(shop)

    answers = await asyncio.gather(*(order(shop) for _ in range(100)))

    statuses = [status for status, _ in answers]
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    assert await stock(shop) == 3


async def test_the_last_pieces_are_sold_once(shop: Shop) -> None:
    people = [f"person-{n}" for n in range(8)]
    for who in people:
        await fill(shop, who=who)

    answers = await asyncio.gather(*(order(shop, who=who) for who in people))

    statuses = sorted(status for status, _ in answers)
    assert statuses == [201] * 4 + [409] * 4
    assert await stock(shop) == 0
    refused = next(body for status, body in answers if status == 409)
    assert refused["missing"] == ["bro-lounge-chair"]


async def test_a_failed_order_leaves_nothing_behind_and_its_key_can_be_used_again(shop: Shop) -> None:
    await fill(shop)
    await fill(shop, "klit-vase", 2)

    status, problem = await order(shop, slot_id="2020-01-01-morning")

    assert (status, problem["title"]) == (422, "Unknown slot")
    assert await stock(shop) == 4
    assert await stock(shop, "klit-vase") == 30
    assert len(await cart(shop)) == 2
    assert (await order(shop))[0] == 201


async def test_a_service_that_is_away_is_a_503_and_undoes_the_rest(shop: Shop) -> None:
    await fill(shop)
    wanted = await slot(shop)
    routes = shop.apps["delivery"].router.routes
    kept = list(routes)
    routes.clear()

    status, _ = await order_with(shop, wanted)
    after = await stock(shop)
    routes.extend(kept)

    assert status == 503
    assert after == 4
    assert (await order_with(shop, wanted))[0] == 201


async def order_with(shop: Shop, wanted: str) -> tuple[int, object]:
    body = {"slot_id": wanted, "name": "Astrid", "address": "Kronborg 2C"}
    headers = {"Idempotency-Key": "key-00001"}
    answer = await shop.call("POST", "/cart/orders", "cart:write", json=body, headers=headers)
    return answer.status_code, answer.json()


async def test_a_cart_without_pricing_still_shows(shop: Shop) -> None:
    await fill(shop)
    shop.apps["pricing"].router.routes.clear()

    answer = await shop.call("GET", "/cart/items", "cart:read")

    assert answer.json()["quote"] is None
    assert len(answer.json()["items"]) == 1


async def test_an_empty_cart_and_a_missing_key_are_refused(shop: Shop) -> None:
    assert (await order(shop))[0] == 409

    body = {"slot_id": await slot(shop), "name": "A", "address": "B"}
    answer = await shop.call("POST", "/cart/orders", "cart:write", json=body)

    assert answer.status_code == 422


async def test_quantities_are_set_added_and_bounded(shop: Shop) -> None:
    await fill(shop, "klit-vase", 60)
    await fill(shop, "klit-vase", 60)
    assert await cart(shop) == [{"product_id": "klit-vase", "quantity": 99}]

    await shop.call("PUT", "/cart/items/klit-vase", "cart:write", json={"quantity": 2})
    assert await cart(shop) == [{"product_id": "klit-vase", "quantity": 2}]

    await shop.call("DELETE", "/cart/items/klit-vase", "cart:write")
    assert await cart(shop) == []
