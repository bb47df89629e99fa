"""The console's section and the admin API of the fleet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from admin.conftest import Admin
from console.conftest import ADMIN, AUDITOR, Console
from console.test_pages import csrf_of
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.fleet.model import Standing
from kronborg.fleet.nodes import report_local
from kronborg.gateway.canary_store import CanaryResult, Outcome, add_result

pytestmark = pytest.mark.anyio

SAID = Standing(
    clock.now(), kronborg="0.1.0", envoy="1.40.0", offered=2, took="rejected", reason="<b>bad</b>", live=True
)

OUTCOMES: tuple[Outcome, ...] = ("refused", "refused", "late", "unreachable")


async def test_the_console_shows_gateways_with_envoys_own_reason_and_takes_them_out(console: Console) -> None:
    now = clock.now()
    said = replace(SAID, at=now + timedelta(seconds=60))
    await report_local(console.engine.database, "gateway-1", said, now=now)
    ada, eve = await console.signed_in("ada", ADMIN), await console.signed_in("eve", AUDITOR)

    listed = await ada.get("/console/fleet")
    one = await eve.get("/console/fleet/gateway-1")
    removed = await ada.http.post("/console/fleet/gateway-1/remove", data={"csrf": await csrf_of(ada)})
    refused = await eve.http.post("/console/fleet/gateway-1/remove", data={"csrf": await csrf_of(eve)})
    after = await ada.get("/console/fleet")

    assert "Refused a version" in listed.text
    assert "&lt;b&gt;bad&lt;/b&gt;" in one.text
    assert "off by" in one.text
    assert (removed.status_code, refused.status_code) == (303, 403)
    assert "gateway-1" not in after.text


async def test_a_gateway_shows_how_long_revocations_take(console: Console) -> None:
    now = clock.now()
    await report_local(console.engine.database, "gateway-1", replace(SAID, at=now), now=now)
    async with console.engine.database.write() as session:
        for number, outcome in enumerate(OUTCOMES):
            at, took = now - timedelta(minutes=number), timedelta(milliseconds=40 + 1200 * (outcome == "late"))
            await add_result(session, CanaryResult("gateway-1", at, outcome, took), keep_since=now - timedelta(days=1))
    eve = await console.signed_in("eve", AUDITOR)

    page = await eve.get("/console/fleet/gateway-1")

    assert all(word in page.text for word in ("4 measurements", "40 ms", "1240 ms", "Late", "Not reachable"))
    assert "when_stale" in page.text


async def test_the_console_says_when_nobody_could_join(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)

    page = await ada.get("/console/fleet/-/invite")

    assert "server.fleet" in page.text


async def test_the_admin_api_lists_and_removes(admin: Admin, database: Database) -> None:
    await report_local(database, "gateway-1", replace(SAID, at=clock.now()), now=clock.now())

    listed = (await admin.http.get("/api/fleet", headers=admin.read)).json()["items"]
    invited = await admin.http.post("/api/fleet-invitations/berlin", headers=admin.write, json={})
    gone = await admin.http.delete("/api/fleet/gateway-1", headers=admin.write)
    again = await admin.http.delete("/api/fleet/gateway-1", headers=admin.write)

    assert [(one["name"], one["took"], one["reason"]) for one in listed] == [("gateway-1", "rejected", "<b>bad</b>")]
    assert invited.status_code == 409
    assert (gone.status_code, again.status_code) == (204, 404)
