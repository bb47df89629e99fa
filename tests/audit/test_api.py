"""The audit log over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from admin.conftest import Admin, open_admin
from kronborg.audit.chain import seal_waiting
from kronborg.audit.checkpoints import read_keys
from kronborg.audit.export import verify_lines
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import record

pytestmark = pytest.mark.anyio


@pytest.fixture
async def admin(database: Database, vault: Vault) -> AsyncIterator[Admin]:
    opened = await open_admin(database, vault)
    async with database.write() as session:
        for number in range(30):
            await record(session, "thing.happened", actor="a", subject=f"s{number}", now=clock.now())
    while (await seal_waiting(database, {}, now=clock.now())).events:
        pass
    yield opened
    await opened.http.aclose()


async def test_the_log_is_exported_and_verifies_with_the_published_keys(admin: Admin) -> None:
    made = await admin.http.post("/api/audit/checkpoints", headers=admin.write)
    exported = await admin.http.get("/api/audit/export", headers=admin.read)
    keys = await admin.http.get("/api/audit/keys", headers=admin.read)

    found = verify_lines(exported.content.splitlines(keepends=True), read_keys(keys.json()))

    assert made.status_code == 201
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    assert (found.finding, found.last, found.checkpoints) == (None, made.json()["n"], 1)


async def test_the_chain_is_told_and_verified(admin: Admin) -> None:
    none = await admin.http.get("/api/audit/checkpoints/last", headers=admin.read)
    await admin.http.post("/api/audit/checkpoints", headers=admin.write)
    again = await admin.http.post("/api/audit/checkpoints", headers=admin.write)
    verified = await admin.http.post("/api/audit/verify", headers=admin.read)
    chain = (await admin.http.get("/api/audit/chain", headers=admin.read)).json()

    assert (none.status_code, again.status_code) == (404, 409)
    assert verified.json()["finding"] is None
    assert verified.json()["last"] == chain["last"] == chain["signed"]


async def test_an_event_has_its_place(admin: Admin) -> None:
    [event] = (await admin.http.get("/api/events", params={"subject": "s7"}, headers=admin.read)).json()["items"]
    one = (await admin.http.get(f"/api/events/{event['id']}", headers=admin.read)).json()
    gone = await admin.http.get("/api/events/none", headers=admin.read)

    assert (one["subject"], one["n"] > 0, len(one["link"])) == ("s7", True, 64)
    assert gone.status_code == 404


async def test_pages_follow_one_another(admin: Admin) -> None:
    seen: list[str] = []
    after: str | None = None
    for _ in range(4):
        params = {"name": "thing.", "limit": "10", **({"after": after} if after else {})}
        page = (await admin.http.get("/api/events", params=params, headers=admin.read)).json()
        seen += [event["subject"] for event in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert seen == [f"s{number}" for number in reversed(range(30))]


async def test_who_may_only_look_signs_nothing(admin: Admin) -> None:
    answers = [
        await admin.http.post("/api/audit/checkpoints", headers=admin.read),
        await admin.http.put("/api/webhooks/x", json={"url": "https://x.example/"}, headers=admin.read),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]


async def test_a_webhook_is_made_rotated_tested_and_removed(admin: Admin) -> None:
    path = "/api/webhooks/siem"
    made = await admin.http.put(path, json={"url": "https://siem.example/hook"}, headers=admin.write)
    again = await admin.http.put(path, json={"url": "https://siem.example/hook"}, headers=admin.write)
    rotated = await admin.http.post(f"{path}/secret", json={"overlap": "2h"}, headers=admin.write)
    tested = await admin.http.post(f"{path}/test", headers=admin.write)
    sent = (await admin.http.get(f"{path}/deliveries", headers=admin.read)).json()["items"]
    retried = await admin.http.post(f"{path}/deliveries/{tested.json()['id']}/retry", headers=admin.write)
    wrong = await admin.http.put("/api/webhooks/bad", json={"url": "nowhere", "events": ["X"]}, headers=admin.write)
    removed = await admin.http.delete(path, headers=admin.write)
    gone = await admin.http.get(path, headers=admin.read)

    assert made.json()["secret"].startswith("whsec_")
    assert again.json()["secret"] is None
    assert rotated.json()["secret"] != made.json()["secret"]
    assert [one["id"] for one in sent] == [tested.json()["id"]]
    assert (retried.status_code, wrong.status_code, removed.status_code, gone.status_code) == (202, 422, 204, 404)
    assert [one["where"] for one in wrong.json()["problems"]] == ["url", "events[0]"]
