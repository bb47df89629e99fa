"""Services announce their replicas over the admin API: who may, which addresses, for how long."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from admin.conftest import ISSUER, Admin
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.gateway.breaker_orders import keep_stand
from kronborg.gateway.breakers_store import Stand
from kronborg.gateway.model import Service
from kronborg.gateway.registration import announce, forget_expired
from kronborg.gateway.registration_store import living
from kronborg.gateway.resilience_model import Breaker, Registration
from kronborg.gateway.store import put_service

pytestmark = pytest.mark.anyio

LEASE = timedelta(seconds=30)


async def token_of(admin: Admin, vault: Vault, client_id: str, *scopes: str) -> dict[str, str]:
    draft = ClientDraft(client_id, client_id, grants=("client_credentials",), scopes=scopes)
    async with admin.database.write() as session:
        await save_client(session, draft, actor="test", now=clock.now())
        secret = await add_secret(session, vault, client_id, actor="test", now=clock.now())
    form = {"grant_type": "client_credentials", "resource": f"{ISSUER}/api"}
    answer = await admin.http.post("/oauth/token", data=form, auth=(client_id, secret.secret))
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


async def declare(admin: Admin, *networks: str, clients: tuple[str, ...] = ("orders",), most: int = 2) -> None:
    registration = Registration(clients, networks or ("192.0.2.0/24",), LEASE, most)
    async with admin.database.write() as session:
        await put_service(session, Service("orders", (), registration=registration), now=clock.now())


async def put(admin: Admin, headers: dict[str, str], name: str = "a", **body: object) -> httpx.Response:
    wanted = {"address": "192.0.2.7", "port": 8000} | body
    return await admin.http.put(f"/api/services/orders/endpoints/{name}", json=wanted, headers=headers)


async def test_a_service_announces_renews_and_takes_back_a_replica(admin: Admin, vault: Vault) -> None:
    await declare(admin)
    own = await token_of(admin, vault, "orders", "services:register")

    first = await put(admin, own)
    again = await put(admin, own)
    moved = await put(admin, own, address="192.0.2.8", weight=3)
    listed = await admin.http.get("/api/services/orders/endpoints", headers=admin.read)
    gone = await admin.http.delete("/api/services/orders/endpoints/a", headers=own)
    twice = await admin.http.delete("/api/services/orders/endpoints/a", headers=own)
    events = await admin.http.get("/api/events", headers=admin.read)

    assert (first.status_code, again.status_code, moved.status_code) == (200, 200, 200)
    assert again.json()["expires_at"] > first.json()["expires_at"]
    assert [(one["address"], one["weight"]) for one in listed.json()["items"]] == [("192.0.2.8", 3)]
    assert (gone.status_code, twice.status_code) == (204, 404)
    names = [one["name"] for one in events.json()["items"] if one["name"].startswith("endpoint.")]
    # A renewal is no news.
    assert names == ["endpoint.gone", "endpoint.announced", "endpoint.announced"]


async def test_an_address_outside_the_networks_is_refused_and_not_repeated(admin: Admin, vault: Vault) -> None:
    await declare(admin, "0.0.0.0/0")
    own = await token_of(admin, vault, "orders", "services:register")

    for address in ("127.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "2001:db8::7", "orders.example"):
        answer = await put(admin, own, address=address)

        assert answer.status_code == 422
        assert address not in answer.text


async def test_nobody_else_announces_anything(admin: Admin, vault: Vault) -> None:
    await declare(admin, clients=("orders", "twin"))
    own = await token_of(admin, vault, "orders", "services:register")
    twin = await token_of(admin, vault, "twin", "services:register")
    other = await token_of(admin, vault, "cart", "services:register")

    answers = [
        await put(admin, own),
        await put(admin, twin),
        await put(admin, other, "b"),
        await put(admin, admin.write, "b"),
        await put(admin, {}, "b"),
        await admin.http.put("/api/services/none/endpoints/b", json={"address": "192.0.2.1", "port": 1}, headers=own),
        await admin.http.delete("/api/services/orders/endpoints/a", headers=twin),
        await admin.http.get("/api/services", headers=own),
    ]

    assert [answer.status_code for answer in answers] == [200, 409, 403, 403, 401, 403, 404, 403]


async def test_there_are_no_more_than_the_service_may_have(admin: Admin, vault: Vault) -> None:
    await declare(admin, most=2)
    own = await token_of(admin, vault, "orders", "services:register")

    answers = [(await put(admin, own, name)).status_code for name in ("a", "b", "c", "a")]

    assert answers == [200, 200, 409, 200]


async def test_a_lease_that_ends_takes_the_endpoint_with_it_and_anybody_may_have_its_name(admin: Admin) -> None:
    await declare(admin, clients=("orders", "twin"))
    now = clock.now()
    async with admin.database.write() as session:
        await announce(session, "orders", "a", address="192.0.2.7", port=80, weight=1, client_id="orders", now=now)

    held = await living(admin.database, now=now + LEASE - timedelta(microseconds=1))
    ended = await living(admin.database, now=now + LEASE)
    async with admin.database.write() as session:
        later = now + LEASE
        await announce(session, "orders", "a", address="192.0.2.9", port=80, weight=1, client_id="twin", now=later)
    kept = await forget_expired(admin.database, now=later)
    gone = await forget_expired(admin.database, now=later + LEASE)

    assert [one.address for one in held["orders"]] == ["192.0.2.7"]
    assert ended == {}
    assert (kept, gone) == (0, 1)


async def test_breakers_are_seen_and_forced(admin: Admin) -> None:
    now = clock.now()
    async with admin.database.write() as session:
        await put_service(session, Service("orders", ("http://192.0.2.7",), breaker=Breaker()), now=now)
        await put_service(session, Service("plain", ("http://192.0.2.8",)), now=now)
    await keep_stand(admin.database, Stand("gateway-1", "orders", "open", now), "calls")

    seen = (await admin.http.get("/api/breakers", headers=admin.read)).json()["items"]
    forced = await admin.http.put("/api/breakers/orders", json={"state": "closed"}, headers=admin.write)
    freed = await admin.http.put("/api/breakers/orders", json={"state": "automatic"}, headers=admin.write)
    wrong = [
        (await admin.http.put("/api/breakers/plain", json={"state": "open"}, headers=admin.write)).status_code,
        (await admin.http.put("/api/breakers/orders", json={"state": "ajar"}, headers=admin.write)).status_code,
        (await admin.http.put("/api/breakers/orders", json={"state": "open"}, headers=admin.read)).status_code,
    ]
    events = (await admin.http.get("/api/events", headers=admin.read)).json()["items"]

    assert [(one["service"], one["phase"], one["order"]) for one in seen] == [("orders", "open", None)]
    assert (forced.json()["order"], freed.json()["order"]) == ("closed", None)
    assert wrong == [404, 422, 403]
    names = [one["name"] for one in events if one["name"].startswith("breaker.")]
    assert names == ["breaker.forced", "breaker.forced", "breaker.opened"]
