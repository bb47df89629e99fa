"""What administrators change is recorded with what was and what is; secrets never, personal values sealed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from admin.conftest import Admin, open_admin
from kronborg.core.crypto import Vault
from kronborg.core.db import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def admin(database: Database, vault: Vault) -> AsyncIterator[Admin]:
    opened = await open_admin(database, vault)
    yield opened
    await opened.http.aclose()


async def send(admin: Admin, method: str, path: str, body: object = None) -> Any:
    answer = await admin.http.request(method, f"/api{path}", json=body, headers=admin.write)
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


async def last(admin: Admin, name: str) -> Any:
    answer = await admin.http.get("/api/events", params={"name": name, "limit": 1}, headers=admin.read)
    return answer.json()["items"][0]


CLIENT = {"name": "Shop", "kind": "public", "auth_method": "none", "redirect_uris": ["https://shop.example/back"]}
ROUTE = {"service": "shop", "prefix": "/shop/", "public": True}
ISSUER = {"issuer": "https://partner.example", "jwks_uri": "https://partner.example/jwks"}

CASES: tuple[tuple[str, str, Any, Any, str, str, list[Any]], ...] = (
    ("PUT", "/clients/web", CLIENT, {**CLIENT, "name": "New"}, "client.changed", "name", ["Shop", "New"]),
    ("PUT", "/issuers/partner", ISSUER, {**ISSUER, "subject": "id"}, "issuer.changed", "subject", ["username", "id"]),
    (
        "PUT",
        "/webhooks/siem",
        {"url": "https://siem.example/a"},
        {"url": "https://siem.example/b"},
        "webhook.changed",
        "url",
        ["https://siem.example/a", "https://siem.example/b"],
    ),
)


@pytest.mark.parametrize(("method", "path", "first", "second", "name", "field", "pair"), CASES)
async def test_a_change_tells_what_was_and_what_is(
    admin: Admin, method: str, path: str, first: Any, second: Any, name: str, field: str, pair: list[Any]
) -> None:
    if path.startswith("/clients"):
        await send(admin, "POST", "/clients", {**first, "id": "web"})
    else:
        await send(admin, method, path, first)
    await send(admin, method, path, second)

    event = await last(admin, name)

    assert event["detail"]["changed"] == {field: pair}
    assert event["actor"] == "client:operator"
    assert event["request_id"]


async def test_a_setting_is_told_by_its_name(admin: Admin) -> None:
    await send(admin, "POST", "/clients", {**CLIENT, "id": "web"})
    await send(admin, "PUT", "/clients/web", {**CLIENT, "settings": {"require_pushed_authorization_requests": True}})

    changed = (await last(admin, "client.changed"))["detail"]["changed"]

    assert all(name.startswith("settings.") for name in changed)


async def test_what_is_made_and_removed_is_told_whole(admin: Admin) -> None:
    await send(admin, "POST", "/clients", {**CLIENT, "id": "web"})
    made = await last(admin, "client.created")
    await send(admin, "DELETE", "/clients/web")
    removed = await last(admin, "client.removed")

    assert made["detail"]["changed"]["redirect_uris"] == [None, ["https://shop.example/back"]]
    assert removed["detail"]["changed"]["redirect_uris"] == [["https://shop.example/back"], None]


async def test_a_person_is_told_until_they_are_deleted(admin: Admin) -> None:
    person = await send(admin, "POST", "/users", {"username": "ada", "email": "ada@shop.example"})
    await send(admin, "PATCH", f"/users/{person['id']}", {"email": "ada@new.example"})
    known = await last(admin, "user.updated")
    stored = await admin.database.lookup.all("SELECT detail FROM core_events WHERE subject = ?", (person["id"],))
    await send(admin, "DELETE", f"/users/{person['id']}")

    erased = await last(admin, "user.updated")

    assert known["detail"]["changed"]["email"] == ["ada@shop.example", "ada@new.example"]
    assert erased["detail"]["changed"]["email"] == ["(erased)", "(erased)"]
    assert not any("ada" in row[0] for row in stored)


async def test_a_group_and_a_route_are_told(admin: Admin) -> None:
    group = await send(admin, "POST", "/groups", {"name": "Staff"})
    await send(admin, "PATCH", f"/groups/{group['id']}", {"name": "Everyone"})
    await send(admin, "PUT", "/services/shop", {"urls": ["http://127.0.0.1:9"]})
    await send(admin, "PUT", "/services/shop", {"urls": ["http://127.0.0.1:10"]})

    await send(admin, "PUT", "/routes/shop", {**ROUTE, "prefix": "/old/"})
    await send(admin, "PUT", "/routes/shop", ROUTE)
    await send(admin, "DELETE", "/routes/shop")

    names = ("group.updated", "service.changed", "route.changed", "route.removed")
    told = [(await last(admin, name))["detail"]["changed"] for name in names]

    assert told[0] == {"name": ["Staff", "Everyone"]}
    assert told[1]["urls"] == [["http://127.0.0.1:9"], ["http://127.0.0.1:10"]]
    assert told[2] == {"path.value": ["/old/", "/shop/"]}
    assert told[3]["path.value"] == ["/shop/", None]


async def test_an_api_is_told(admin: Admin) -> None:
    stock = {"name": "Stock", "audience": "https://shop.example/stock", "scopes": []}
    read = {"name": "stock:read", "description": "See what is there"}
    made = await send(admin, "POST", "/apis", stock)
    await send(admin, "PUT", f"/apis/{made['id']}", {**stock, "name": "Stocks", "scopes": [read]})
    await send(admin, "DELETE", f"/apis/{made['id']}")

    changed, removed = [(await last(admin, name))["detail"]["changed"] for name in ("api.changed", "api.removed")]

    assert changed == {"name": ["Stock", "Stocks"], "scopes": [[], [read]]}
    assert removed["audience"] == ["https://shop.example/stock", None]


async def test_no_secret_is_ever_told(admin: Admin) -> None:
    saved = await send(admin, "PUT", "/webhooks/siem", {"url": "https://siem.example/a"})
    batch = {"name": "Batch", "kind": "confidential", "auth_method": "client_secret_basic"}
    await send(admin, "POST", "/clients", {**batch, "id": "batch", "grants": ["client_credentials"]})
    secret = await send(admin, "POST", "/clients/batch/secrets", {})
    await send(admin, "PUT", "/clients/batch", {**batch, "name": "Batches", "grants": ["client_credentials"]})

    stored = " ".join(row[0] for row in await admin.database.lookup.all("SELECT detail FROM core_events"))

    assert saved["secret"].startswith("whsec_")
    assert saved["secret"].removeprefix("whsec_") not in stored
    assert secret["secret"] not in stored
    assert "digest" not in stored
