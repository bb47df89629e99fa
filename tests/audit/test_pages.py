"""The audit log and webhooks in the console."""

from __future__ import annotations

import re

import pytest

from console.conftest import ADMIN, AUDITOR, SUPPORT, Console, console
from kronborg.audit.chain import seal_waiting
from kronborg.audit.export import verify_lines
from kronborg.audit.webhooks_store import find_webhook
from kronborg.core import clock
from kronborg.core.events import changes, latest, record

pytestmark = pytest.mark.anyio

__all__ = ["console"]
HOOK = {"name": "siem", "url": "https://siem.example/hook", "events": "user.*\nclient.created"}


async def seal(console: Console) -> None:
    while (await seal_waiting(console.engine.database, {}, now=clock.now())).events:
        pass


async def test_what_happened_is_listed_filtered_and_shown_before_and_after(console: Console) -> None:
    browser = await console.signed_in("horatio", AUDITOR)
    async with console.engine.database.write() as session:
        detail = {"why": "asked", **changes({"email": "a@x.example", "n": 1}, {"email": "b@x.example", "n": 2})}
        await record(session, "user.updated", actor="cli:ada", subject="u1", now=clock.now(), detail=detail)
        [event, *_] = await latest(session)
    await seal(console)

    everything = await browser.get("/console/audit")
    named = await browser.get("/console/audit?q=user.upd")
    by = await browser.get("/console/audit?q=actor:cli:ada")
    nothing = await browser.get("/console/audit?q=actor:nobody&span=1h")
    one = await browser.get(f"/console/audit/{event.id}")
    gone = await browser.get("/console/audit/none")

    assert "session.begun" in everything.text
    assert "<bdi>horatio</bdi>" in everything.text
    assert "session.begun" not in named.text
    assert all("user.updated" in page.text for page in (everything, named, by))
    assert "Nothing like that happened" in nothing.text
    for text in ("a@x.example", "b@x.example", "asked", "cli:ada"):
        assert text in one.text
    assert (one.status_code, gone.status_code) == (200, 404)


async def test_pages_of_the_list_follow_one_another(console: Console) -> None:
    browser = await console.signed_in("horatio", AUDITOR)
    async with console.engine.database.write() as session:
        for number in range(60):
            await record(session, "thing.happened", actor="a", subject=f"s-{number}-", now=clock.now())

    first = await browser.get("/console/audit?q=thing.")
    older = re.search(r'href="([^"]+)" rel="next"', first.text)
    assert older is not None
    second = await browser.get(older[1].replace("&amp;", "&"))

    assert "s-59-" in first.text
    assert "s-9-" not in first.text
    assert "s-9-" in second.text
    assert 'rel="next"' not in second.text


async def test_the_chain_is_verified_by_a_click_and_exported(console: Console) -> None:
    browser = await console.signed_in("horatio", AUDITOR)
    await seal(console)

    answer = await browser.post("/console/audit/-/verify", page="/console/audit")
    shown = await browser.get("/console/audit")
    exported = await browser.get("/console/audit/-/export")

    assert answer.headers["location"] == "/console/audit?done=verified"
    assert "Verified up to event" in shown.text
    assert verify_lines(exported.content.splitlines(keepends=True)).finding is None


async def test_what_does_not_hold_is_said(console: Console) -> None:
    browser = await console.signed_in("horatio", AUDITOR)
    await seal(console)
    await console.engine.database.writer.run(
        lambda execute: execute("UPDATE audit_head SET n = n + 1, link = 'x' WHERE one = 1")
    )

    await browser.post("/console/audit/-/verify", page="/console/audit")

    assert "were removed from its end" in (await browser.get("/console/audit")).text


async def test_a_webhook_is_made_shown_once_tested_rotated_and_removed(console: Console) -> None:
    browser = await console.signed_in("gertrude", ADMIN)

    made = await browser.post("/console/webhooks/-/new", HOOK)
    again = await browser.get("/console/webhooks/siem")
    tested = await browser.post("/console/webhooks/siem/test", page="/console/webhooks/siem")
    shown = await browser.get("/console/webhooks/siem?done=tested")
    rotated = await browser.post("/console/webhooks/siem/secret")
    listed = await browser.get("/console/webhooks")
    removed = await browser.post("/console/webhooks/siem/remove")

    assert "whsec_" in made.text
    assert "whsec_" not in again.text
    assert tested.status_code == 303
    assert "webhook.test" in shown.text
    assert "whsec_" in rotated.text
    assert "https://siem.example/hook" in listed.text
    assert removed.headers["location"] == "/console/webhooks?done=removed"
    async with console.engine.database.read() as session:
        assert await find_webhook(session, "siem") is None


async def test_a_wrong_webhook_is_told_what_is_wrong(console: Console) -> None:
    browser = await console.signed_in("gertrude", ADMIN)

    wrong = await browser.post("/console/webhooks/-/new", {"name": "X", "url": "nowhere", "events": "?"})
    await browser.post("/console/webhooks/-/new", HOOK)
    twice = await browser.post("/console/webhooks/-/new", HOOK)
    edited = await browser.post("/console/webhooks/siem/edit", {"url": "https://siem.example/b", "events": "*"})

    assert (wrong.status_code, twice.status_code, edited.status_code) == (422, 422, 303)
    assert all(where in wrong.text for where in ("name", "url", "events[0]"))
    assert "already" in twice.text
    assert "https://siem.example/b" in (await browser.get("/console/webhooks/siem")).text


@pytest.mark.parametrize("roles", [AUDITOR, SUPPORT])
async def test_who_may_only_read_changes_nothing(console: Console, roles: tuple[str, ...]) -> None:
    admin = await console.signed_in("gertrude", ADMIN)
    await admin.post("/console/webhooks/-/new", HOOK)
    browser = await console.signed_in("horatio", roles)

    pages = [await browser.get(path) for path in ("/console/audit", "/console/webhooks", "/console/webhooks/siem")]
    refused = [
        await browser.get("/console/webhooks/-/new"),
        await browser.get("/console/webhooks/siem/remove"),
        await browser.post("/console/webhooks/siem/test", page="/console/audit"),
    ]

    assert [page.status_code for page in pages] == [200, 200, 200]
    assert [page.status_code for page in refused] == [403, 403, 403]
    assert "New secret" not in pages[2].text


async def test_strangers_and_people_without_a_role_see_nothing(console: Console) -> None:
    stranger, person = await console.browser(), await console.signed_in("yorick", ())

    for path in ("/console/audit", "/console/audit/-/export", "/console/webhooks"):
        assert (await stranger.get(path)).status_code == 303
        assert (await person.get(path)).status_code == 403
