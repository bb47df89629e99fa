"""Addresses with a zone: what follows "%" may be any text, and reaches nothing that is kept or written."""

from __future__ import annotations

import pytest

from admin.conftest import Admin
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.core import clock
from kronborg.gateway.model import Service
from kronborg.gateway.store import put_service

pytestmark = pytest.mark.anyio
API = "https://shop.example/catalogue"
ZONES = ("2001:db8::1%eth0", "fe80::1%x 0.0.0.0/0", '::1%"},{"', "2001:db8::1%a\nd 1 key")


@pytest.mark.spec("RFC 4007 §11")
@pytest.mark.parametrize("address", ZONES)
async def test_an_address_with_a_zone_is_none(admin: Admin, address: str) -> None:
    now = clock.now()
    async with admin.database.write() as session:
        await save_api(session, ApiDraft(API, "Catalogue", (Scope("read", "Read"),)), actor="t", now=now)
        client = ClientDraft("robot", "Robot", grants=("client_credentials",), scopes=("read",))
        await save_client(session, client, actor="t", now=now)
        await put_service(session, Service("shop", ("http://127.0.0.1:9",)), now=now)
    key = {"client_id": "robot", "name": "k", "audiences": [API], "scopes": ["read"], "addresses": [address]}
    route = {"path": "/x", "service": "shop", "public": True}

    answers = {
        "key": await admin.http.post("/api/api-keys", json=key, headers=admin.write),
        "addresses": await admin.http.put(
            "/api/routes/x", json={**route, "addresses": {"allow": [address]}}, headers=admin.write
        ),
        "host": await admin.http.put("/api/routes/y", json={**route, "host": address}, headers=admin.write),
        "service": await admin.http.put(
            "/api/services/z", json={"urls": [f"http://[{address}]:80"]}, headers=admin.write
        ),
    }
    published = await admin.http.post("/api/snapshots", json={}, headers=admin.write)

    # What may be saved may not be published: it is told by its place then.
    places = {"key": "none", "addresses": "routes.x.addresses", "host": "routes.y.host", "service": "services.z.urls"}
    taken = {name for name, answer in answers.items() if answer.status_code != 422}
    assert {name for name in taken if places[name] not in published.text} == set()
