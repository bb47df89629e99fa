"""API keys and token issuers in the console."""

from __future__ import annotations

import html
import re

import orjson
import pytest
from joserfc.jwk import ECKey

from console.conftest import ADMIN, AUDITOR, Console
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.core import clock

pytestmark = pytest.mark.anyio
API = "https://shop.example/catalogue"
SECRET = re.compile(r'id="new-key">(kro_key_[^<]+)<')
JWKS = orjson.dumps({"keys": [ECKey.generate_key("P-256", {"kid": "a"}).as_dict(private=False)]}).decode()


async def furnish(console: Console) -> None:
    async with console.engine.database.write() as session:
        await save_api(session, ApiDraft(API, "Catalogue", (Scope("read", "Read"),)), actor="test", now=clock.now())
        client = ClientDraft(
            id="robot",
            name="Robot",
            kind="confidential",
            auth_method="client_secret_basic",
            grants=("client_credentials",),
            scopes=("read",),
        )
        await save_client(session, client, actor="test", now=clock.now())


async def test_a_key_is_made_shown_once_rotated_and_revoked(console: Console) -> None:
    await furnish(console)
    ada, reader = await console.signed_in("ada", ADMIN), await console.signed_in("rita", AUDITOR)
    form = {"client": "robot", "name": "nightly", "scope:read": "1", "addresses": "192.0.2.0/24", "days": "90"}

    made = await ada.post("/console/api-keys/-/new", form)
    secret = SECRET.findall(made.text)
    listed = (await reader.get("/console/api-keys?q=robot")).text
    href = re.findall(r'href="(/console/api-keys/[0-9a-zA-Z-]{10,})"', listed)[0]
    one = (await ada.get(href)).text
    rotated = await ada.post(f"{href}/rotate", {})
    revoked = await ada.post(f"{href}/revoke", {})
    gone = await ada.get(href)

    assert len(secret) == 1
    assert len(SECRET.findall(rotated.text)) == 1
    assert secret[0] not in listed + one
    assert "192.0.2.0/24" in listed
    assert "/rotate" in one
    assert "/revoke" not in (await reader.get(href)).text
    assert (revoked.status_code, gone.status_code) == (303, 404)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"client": "nobody"}, "there is no client with this id"),
        ({"addresses": "everywhere"}, "holds something that is no address or network"),
        ({"name": ""}, "is empty"),
        ({"scope:read": None}, "names no API"),
    ],
)
async def test_what_cannot_stand_makes_no_key(console: Console, change: dict[str, str | None], told: str) -> None:
    await furnish(console)
    ada = await console.signed_in("ada", ADMIN)
    form = {"client": "robot", "name": "nightly", "scope:read": "1", "days": "90"} | change

    answer = await ada.post("/console/api-keys/-/new", {name: value for name, value in form.items() if value})

    assert answer.status_code == 422
    assert told in html.unescape(answer.text)
    assert not SECRET.findall(answer.text)


async def test_an_issuer_is_made_changed_and_removed(console: Console) -> None:
    await furnish(console)
    ada, reader = await console.signed_in("ada", ADMIN), await console.signed_in("rita", AUDITOR)
    form = {
        "name": "acme",
        "issuer": "https://login.acme.example",
        "audiences": f"{API} api://catalogue",
        "jwks": JWKS,
        "alg:ES256": "1",
    }

    made = await ada.post("/console/issuers/-/new", form)
    again = await ada.post("/console/issuers/-/new", form)
    shown = (await reader.get("/console/issuers/acme")).text
    changed = await ada.post("/console/issuers/acme/edit", {**form, "roles_claim": "/realm/roles"})
    listed = (await reader.get("/console/issuers")).text
    wrong = await ada.post("/console/issuers/acme/edit", {**form, "jwks": "", "jwks_uri": "http://acme.example/jwks"})
    removed = await ada.post("/console/issuers/acme/remove", {})

    assert (made.status_code, again.status_code, changed.status_code, removed.status_code) == (303, 422, 303, 303)
    assert wrong.status_code == 422
    assert "api://catalogue" in shown
    assert "Active" in listed
    assert "/console/issuers/-/new" not in listed
    assert "No other issuers" in (await reader.get("/console/issuers")).text
