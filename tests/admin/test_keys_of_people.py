"""Personal access tokens in the admin API and the console: ended by administrators, never made by them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from admin.conftest import ISSUER, Admin
from kronborg.accounts.users import NewUser, create_user
from kronborg.api_keys import keys
from kronborg.api_keys.model import KeyDraft, KeySettings
from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.tokens.engine import open_engine

pytestmark = pytest.mark.anyio
API = "https://shop.example/catalogue"


async def test_nobody_gets_a_token_of_somebody_else_by_rotating_theirs(admin: Admin, vault: Vault) -> None:
    now = clock.now()
    async with admin.database.write() as session:
        await save_api(session, ApiDraft(API, "Catalogue", (Scope("read", "Read"),)), actor="t", now=now)
        person = await create_user(session, NewUser("hamlet", roles=("clerk",)), actor="t", now=now)
    engine = await open_engine(admin.database, vault, issuer=ISSUER, session_idle=timedelta(hours=1), now=now)
    draft = KeyDraft("mine", (API,), ("read",), (), timedelta(days=30))
    made = await keys.make_for_person(engine, person.id, draft, KeySettings(), actor=person.id, now=now)
    one = f"/api/api-keys/{made.key.id}"

    rotated = await admin.http.post(f"{one}/rotate", headers=admin.write)
    after = await admin.http.get(one, headers=admin.read)
    revoked = await admin.http.delete(one, headers=admin.write)

    assert rotated.status_code == 409
    assert "kro_pat_" not in rotated.text
    assert after.json()["rotated_at"] is None
    assert revoked.status_code == 204
