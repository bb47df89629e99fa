"""Live limits in the admin API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from admin.conftest import Admin
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.limits.counters_model import Kept
from kronborg.limits.store import save

pytestmark = pytest.mark.anyio


async def test_who_is_over_is_listed_and_begins_anew(admin: Admin, database: Database) -> None:
    now = clock.now()
    async with database.write() as session:
        await save(session, [Kept("daily", "gateway-1\tshop", now, now + timedelta(hours=1), 10, 10)])

    listed = await admin.http.get("/api/quotas", headers=admin.read)
    assert listed.status_code == 200, listed.text
    [shown] = listed.json()["items"]
    wanted = {"quota": shown["quota"], "identity": shown["identity"]}
    refused = await admin.http.post("/api/quotas/reset", json=wanted, headers=admin.read)
    done = await admin.http.post("/api/quotas/reset", json=wanted, headers=admin.write)
    again = await admin.http.post("/api/quotas/reset", json=wanted, headers=admin.write)
    after = await admin.http.get("/api/quotas", headers=admin.read)

    assert (shown["who"], shown["node"], shown["state"], shown["used"]) == ("shop", "gateway-1", "over", 10)
    assert [answer.status_code for answer in (refused, done, again)] == [403, 204, 404]
    assert after.json()["items"] == []
