"""Shared policies in the console: the list, one with its routes, the form with the parser's words, and removing one."""

from __future__ import annotations

import html
from dataclasses import replace

import pytest

from console.conftest import ADMIN, AUDITOR, Console
from console.stage import stage
from console.test_gateway_publishing import ONE_DATABASE, ROUTE, post, published
from kronborg.core import clock
from kronborg.gateway.routing import save_route
from kronborg.gateway.shared_policies_store import find_policy
from kronborg.gateway.store import latest_published, latest_version
from people_site import Visitor

pytestmark = [pytest.mark.anyio, ONE_DATABASE]

TEXT = 'permit (principal, action, resource)\r\nwhen { context.claims.department == "sales" };'
WRONG = "permit (principal, action, resource)\r\nwhen {\r\n  context.path ==\r\n};"


@pytest.fixture
async def ada(console: Console) -> Visitor:
    await stage(console)
    await published(console)
    return await console.signed_in("ada", ADMIN)


async def use(console: Console, *policies: str) -> None:
    """Let the route name these."""
    async with console.engine.database.write() as session:
        await save_route(session, replace(ROUTE, policies=policies), actor="test", now=clock.now())


async def test_a_policy_is_made_shown_with_its_routes_and_kept_while_they_use_it(
    console: Console, ada: Visitor
) -> None:
    made = await post(ada, "/console/policies/-/new", name="sales", text=TEXT)
    await use(console, "sales")
    listed, one = await ada.get("/console/policies"), await ada.get("/console/policies/sales")
    kept = await post(ada, "/console/policies/sales/remove", draft="")
    await use(console)
    gone = await post(ada, "/console/policies/sales/remove", draft="")

    async with console.engine.database.read() as session:
        latest, left = await latest_published(session), await find_policy(session, "sales")
    assert made == (303, "/console/policies/sales?done=saved")
    assert "/console/policies/sales" in listed.text
    assert "/console/routes/orders" in one.text
    assert "context.claims.department" in one.text
    assert kept[0] == 422
    assert "take it out of them first" in kept[1]
    assert gone == (303, "/console/policies?done=removed")
    assert (left, latest and latest.snapshot.policies) == (None, ())


async def test_what_the_parser_says_stands_at_the_text_with_its_line(console: Console, ada: Visitor) -> None:
    for form, said in (
        ({"name": "sales", "text": WRONG}, "line 4: unexpected token `}`"),
        ({"name": "sales", "text": ""}, "holds no policy"),
        ({"name": "S!", "text": TEXT}, "use a-z, 0-9 and -"),
        ({"name": "sales", "text": TEXT, "draft": "none"}, "no draft with this name"),
        ({"name": "sales", "text": "<script>"}, "line 1: "),
    ):
        status, page = await post(ada, "/console/policies/-/new", **form)

        assert (status, said in html.unescape(page)) == (422, True), page
        assert html.escape(form["text"].strip().replace("\r\n", "\n"), quote=False)[:20] in html.unescape(page) + page
        assert "<script>" not in page.partition("<textarea")[2]
    assert await latest_version(console.engine.database) == 1


async def test_a_name_is_taken_once_and_a_change_says_whom_it_touches(console: Console, ada: Visitor) -> None:
    await post(ada, "/console/policies/-/new", name="sales", text=TEXT)
    await use(console, "sales")

    again = await post(ada, "/console/policies/-/new", name="sales", text=TEXT)
    form = await ada.get("/console/policies/sales/edit")
    changed = await post(ada, "/console/policies/sales/edit", text=TEXT.replace("sales", "support"))

    assert again[0] == 422
    assert "there is a policy with this name already" in again[1]
    assert "what these routes let through: orders" in form.text
    assert changed == (303, "/console/policies/sales?done=saved")


async def test_a_draft_shows_what_a_policy_means_and_takes_it_out_again(console: Console, ada: Visitor) -> None:
    await post(ada, "/console/policies/-/new", name="sales", text=TEXT)
    await use(console, "sales")
    await post(ada, "/console/publishing/drafts/-/new", name="autumn")

    saved = await post(
        ada, "/console/policies/sales/edit", text="permit (principal, action, resource);", draft="autumn"
    )
    draft = await ada.get("/console/publishing/drafts/autumn")
    held = await ada.get("/console/policies/sales/edit?draft=autumn")
    outside = await ada.get("/console/policies/sales/edit")
    csrf = held.text.partition('name="csrf" value="')[2].partition('"')[0]
    undone = await ada.http.post("/console/publishing/drafts/autumn/undo/policy/sales", data={"csrf": csrf})
    after = await ada.get("/console/publishing/drafts/autumn")

    assert saved == (303, "/console/publishing/drafts/autumn")
    assert 'href="/console/policies/sales/edit?draft=autumn"' in draft.text
    assert "policy is set" in draft.text
    assert "permit (principal, action, resource);" in held.text
    assert "department" in outside.text
    assert undone.status_code == 303
    assert "Nothing in it yet" in after.text


async def test_who_only_reads_sees_no_button_and_changes_nothing(console: Console, ada: Visitor) -> None:
    await post(ada, "/console/policies/-/new", name="sales", text=TEXT)
    otto = await console.signed_in("otto", AUDITOR)

    one, form = await otto.get("/console/policies/sales"), await otto.get("/console/policies/sales/edit")

    assert "/console/policies/sales/edit" not in one.text
    assert form.status_code == 403
