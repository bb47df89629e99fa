"""The console invites a person to the account that was made for them."""

from __future__ import annotations

import pytest

from console.conftest import ADMIN, SUPPORT, Console
from kronborg.core import clock
from kronborg.core.mail_store import due_letters

pytestmark = pytest.mark.anyio


async def test_a_person_is_invited_by_who_may_change_them(console: Console) -> None:
    boss, helper = await console.signed_in("boss", ADMIN), await console.signed_in("helper", SUPPORT)
    anna = await console.person("anna")
    at = f"/console/users/{anna.id}"

    shown = await boss.get(at)
    asked = await boss.get(f"{at}/do/invite")
    done = await boss.post(f"{at}/do/invite")
    told = await boss.get(done.headers["location"])
    refused = await helper.get(f"{at}/do/invite")
    async with console.engine.database.read() as session:
        waiting = await due_letters(session, now=clock.now(), limit=5)

    assert f"{at}/do/invite" in shown.text
    assert "Invite anna?" in asked.text
    assert "The invitation is on its way." in told.text
    assert refused.status_code == 403
    assert len(waiting) == 1
