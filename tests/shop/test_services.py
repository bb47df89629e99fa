"""Every endpoint of every service: who gets in, who does not, and what a good request does."""

import pytest

from shop.conftest import SERVICES, Shop

pytestmark = pytest.mark.anyio

RESERVATION = {"order_id": "K1", "lines": [{"product_id": "klit-vase", "quantity": 2}]}
DELIVERY = {"order_id": "K1", "recipient": "astrid", "name": "Astrid", "address": "Kronborg 2C"}
QUOTE = {"lines": [{"product_id": "klit-vase", "quantity": 1}]}
ITEM = {"product_id": "klit-vase", "quantity": 1}
EDIT = {"name": "Vase", "description": "A vase"}
KEY = {"Idempotency-Key": "a-key-for-tests"}
ORDER = {"slot_id": "2030-01-01-morning", "name": "Astrid", "address": "Kronborg 2C"}

# method, path, the scope it needs, machines only, body
ENDPOINTS = [
    ("GET", "/catalogue/products", "catalogue:read", False, None),
    ("GET", "/catalogue/products/klit-vase", "catalogue:read", False, None),
    ("PUT", "/catalogue/products/klit-vase", "catalogue:write", False, EDIT),
    ("GET", "/inventory/stock", "inventory:read", False, None),
    ("GET", "/inventory/stock/klit-vase", "inventory:read", False, None),
    ("POST", "/inventory/stock/klit-vase/restock", "inventory:write", True, {"quantity": 5}),
    ("POST", "/inventory/reservations", "inventory:write", True, RESERVATION),
    ("POST", "/inventory/reservations/K1/confirm", "inventory:write", True, None),
    ("DELETE", "/inventory/reservations/K1", "inventory:write", True, None),
    ("POST", "/pricing/quotes", "pricing:read", False, QUOTE),
    ("GET", "/pricing/offers", "pricing:read", False, None),
    ("GET", "/cart/items", "cart:read", False, None),
    ("POST", "/cart/items", "cart:write", False, ITEM),
    ("PUT", "/cart/items/klit-vase", "cart:write", False, {"quantity": 2}),
    ("DELETE", "/cart/items/klit-vase", "cart:write", False, None),
    ("DELETE", "/cart/items", "cart:write", False, None),
    ("POST", "/cart/orders", "cart:write", False, ORDER),
    ("GET", "/cart/orders", "cart:read", False, None),
    ("GET", "/cart/orders/K1", "cart:read", False, None),
    ("GET", "/delivery/slots", "delivery:read", False, None),
    ("POST", "/delivery/deliveries", "delivery:write", True, DELIVERY),
    ("GET", "/delivery/deliveries/KB1", "delivery:read", False, None),
    ("DELETE", "/delivery/deliveries/K1", "delivery:write", True, None),
]
HAPPY = [row for row in ENDPOINTS if "K1" not in row[1] and row[1] != "/delivery/deliveries/KB1"]


@pytest.mark.spec("RFC 6750 §3.1")
@pytest.mark.parametrize(("method", "path", "scope", "machine", "body"), ENDPOINTS)
async def test_nobody_gets_in_without_the_right_token(
    shop: Shop, method: str, path: str, scope: str, machine: bool, body: object
) -> None:
    other = "https://shop.example/other"
    wrong_scope = scope.replace("read", "x").replace("write", "read")

    without = await shop.call(method, path, None, json=body, headers=KEY)
    scopeless = await shop.call(method, path, wrong_scope, machine=machine, json=body, headers=KEY)
    elsewhere = await shop.call(method, path, scope, machine=machine, audience=other, json=body, headers=KEY)

    assert [answer.status_code for answer in (without, scopeless, elsewhere)] == [401, 403, 401]
    for answer in (without, scopeless, elsewhere):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "path", "scope", "body"), [(m, p, s, b) for m, p, s, machine, b in ENDPOINTS if machine]
)
async def test_people_cannot_do_what_is_for_machines(
    shop: Shop, method: str, path: str, scope: str, body: object
) -> None:
    answer = await shop.call(method, path, scope, json=body)

    assert answer.status_code == 403


@pytest.mark.parametrize(("method", "path", "scope", "machine", "body"), HAPPY)
async def test_the_right_token_gets_in(
    shop: Shop, method: str, path: str, scope: str, machine: bool, body: object
) -> None:
    if path == "/delivery/deliveries":
        slots = await shop.call("GET", "/delivery/slots", "delivery:read")
        body = {**DELIVERY, "slot_id": slots.json()[0]["id"]}
    if path == "/cart/orders" and method == "POST":
        await shop.call("POST", "/cart/items", "cart:write", json=ITEM)
        slots = await shop.call("GET", "/delivery/slots", "delivery:read")
        body = {**ORDER, "slot_id": slots.json()[0]["id"]}

    answer = await shop.call(method, path, scope, machine=machine, json=body, headers=KEY)

    assert answer.is_success, answer.text


@pytest.mark.parametrize("service", SERVICES)
async def test_health_and_documentation_are_public(shop: Shop, service: str) -> None:
    health = await shop.http[service].get(f"/{service}/healthz")
    document = (await shop.http[service].get(f"/{service}/openapi.json")).json()

    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        assert path.startswith(f"/{service}/")
        for operation in operations.values():
            assert operation["security"][0]["kronborg"]


@pytest.mark.parametrize(
    ("path", "scope", "body"),
    [
        ("/cart/items", "cart:write", {"product_id": "klit-vase", "quantity": 0}),
        ("/cart/items", "cart:write", {"product_id": "../x", "quantity": 1}),
        ("/cart/items", "cart:write", {"product_id": "klit-vase", "quantity": 1, "price": 1}),
        ("/pricing/quotes", "pricing:read", {"lines": []}),
        ("/pricing/quotes", "pricing:read", {"lines": [{"product_id": "nothing", "quantity": 1}]}),
    ],
)
async def test_mistakes_are_problems_that_do_not_echo(shop: Shop, path: str, scope: str, body: object) -> None:
    answer = await shop.call("POST", path, scope, json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "../x" not in answer.text


async def test_a_body_too_large_is_refused(shop: Shop) -> None:
    answer = await shop.call("POST", "/cart/items", "cart:write", json={"product_id": "x" * 70_000})

    assert answer.status_code == 413


async def test_searching_the_catalogue(shop: Shop) -> None:
    async def found(query: str) -> list[str]:
        answer = await shop.call("GET", f"/catalogue/products?{query}", "catalogue:read")
        return [product["id"] for product in answer.json()["items"]]

    assert len(await found("")) == 24
    assert await found("q=GLAZE+dune+lera") == ["klit-vase"]
    assert set(await found("category=Textiles&sort=price&limit=1")) == {"kyst-tea-towels"}
    assert await found("q=%00nothing") == []


async def test_an_edit_shows_up(shop: Shop) -> None:
    await shop.call("PUT", "/catalogue/products/klit-vase", "catalogue:write", json=EDIT)

    answer = await shop.call("GET", "/catalogue/products/klit-vase", "catalogue:read")

    assert answer.json()["name"] == "Vase"
    missing = await shop.call("GET", "/catalogue/products/nothing", "catalogue:read")
    assert missing.status_code == 404


async def test_pages_are_public_and_strict(shop: Shop) -> None:
    page = await shop.call("GET", "/shop/", None)
    deep = await shop.call("GET", "/shop/products/klit-vase", None)
    config = await shop.call("GET", "/shop/config.json", None)
    picture = await shop.call("GET", "/shop/pictures/klit-vase.svg", None)
    missing = await shop.call("GET", "/shop/../settings.py", None)

    assert page.text == deep.text
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "connect-src 'self' https://identity.example;" in policy
    assert config.json()["apis"]["cart"]["audience"] == "https://shop.example/cart"
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "MAIN" not in picture.text
    assert missing.status_code == 404
    for word in (" style=", "<style", " onclick", "<script>"):
        assert word not in page.text
