"""Services, routes, drafts, versions and simulation in the console."""

from __future__ import annotations

import re

import pytest

from console.conftest import ADMIN, AUDITOR, Console
from console.stage import ORDERS, stage
from console.test_pages import csrf_of
from kronborg.core import clock
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routing import save_route, save_service
from kronborg.gateway.store import find_route, latest_version
from people_site import Visitor

pytestmark = pytest.mark.anyio

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what a database has no part in."""

SERVICE = Service("orders", ("http://127.0.0.1:9001",))
ROUTE = Route("orders", Path("prefix", "/orders"), "orders", audience=ORDERS, scopes=("orders:read",))
FORM = {"name": "items", "kind": "path", "at": "/items", "access": "public", "service": "orders", "method:GET": "1"}


async def published(console: Console) -> None:
    """One service and one route, published."""
    async with console.engine.database.write() as session:
        await save_service(session, SERVICE, actor="test", now=clock.now())
        await save_route(session, ROUTE, actor="test", now=clock.now())
        await publish_declared(
            session, issuer=console.engine.issuer, gateway_url="http://localhost:8080", author="test", now=clock.now()
        )


@pytest.fixture
async def ada(console: Console) -> Visitor:
    await stage(console)
    await published(console)
    return await console.signed_in("ada", ADMIN)


async def post(browser: Visitor, path: str, **form: str) -> tuple[int, str]:
    """Status, and where it leads or what it says."""
    values = {name.replace("__", ":"): value for name, value in form.items()}
    answer = await browser.http.post(path, data={**values, "csrf": await csrf_of(browser)})
    return answer.status_code, answer.headers.get("location") or answer.text


@ONE_DATABASE
async def test_lists_show_protection_and_are_filtered(ada: Visitor) -> None:
    routes, none = await ada.get("/console/routes"), await ada.get("/console/routes?q=nothing-like-it")
    services, one = await ada.get("/console/services"), await ada.get("/console/routes/orders")

    assert all(word in routes.text for word in ("/orders/…", "Token", "1 scope"))
    assert "No route matches" in none.text
    assert "http://127.0.0.1:9001" in services.text
    assert "The scope orders:read." in one.text
    assert "audience: https://shop.example/orders" in one.text


async def test_a_route_is_made_and_published_by_its_form(console: Console, ada: Visitor) -> None:
    made = await post(ada, "/console/routes/-/new", **FORM, more="spike_arrest:\n  rate: 5ps\n  per: address\n")

    async with console.engine.database.read() as session:
        route = await find_route(session, "items")
    assert made == (303, "/console/routes/items?done=saved")
    assert route is not None
    assert (route.path, route.public, route.methods) == (Path("exact", "/items"), True, ("GET",))
    assert route.spike_arrest is not None
    assert await latest_version(console.engine.database) == 2


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({"more": "timeut: 3s\n"}, "line 1"),
    ({"more": "# none\nspike_arrest:\n  rate: 5ps\n  burrst: 2\n"}, "line 4"),
    ({"more": "methods: [GET]\n"}, "has a field of its own"),
    ({"more": "a: [1\n"}, "is not YAML"),
    ({"service": "orderz"}, "did you mean orders?"),
    ({"access": "token"}, "names neither"),
    ({"name": "orders"}, "there is a route with this name already"),
    ({"at": "/../x"}, "is not a path in normal form"),
    ({"draft": "none"}, "there is no draft with this name any more"),
)


@ONE_DATABASE
async def test_what_is_wrong_is_said_and_nothing_is_published(console: Console, ada: Visitor) -> None:
    for changed, said in WRONG:
        status, page = await post(ada, "/console/routes/-/new", **{**FORM, **changed})

        assert (status, said in page) == (422, True), page
    assert await latest_version(console.engine.database) == 1


async def test_a_draft_is_filled_looked_at_published_and_gone_back_from(console: Console, ada: Visitor) -> None:
    made = await post(ada, "/console/publishing/drafts/-/new", name="autumn", comment="New prices")
    filled = await post(ada, "/console/routes/-/new", **FORM, draft="autumn")
    changed = await post(
        ada,
        "/console/routes/orders/edit",
        kind="prefix",
        at="/orders",
        access="public",
        service="orders",
        draft="autumn",
    )
    before = await latest_version(console.engine.database)
    page = await ada.get("/console/publishing/drafts/autumn")
    digest = re.search(r'name="digest" value="(\w+)"', page.text)
    assert digest is not None
    stale = await post(ada, "/console/publishing/drafts/autumn/publish", digest="other")
    done = await post(ada, "/console/publishing/drafts/autumn/publish", digest=digest[1])
    listed, version = await ada.get("/console/publishing"), await ada.get("/console/publishing/versions/2")
    question = await ada.get("/console/publishing/versions/1/rollback")
    back = await post(ada, "/console/publishing/versions/1/rollback")

    async with console.engine.database.read() as session:
        left = await find_route(session, "items"), await find_route(session, "orders")
    assert [made[0], filled[0], changed[0], before] == [303, 303, 303, 1]
    assert all(
        word in page.text for word in ("becomes public", "opens /items for GET to everyone", "Publish 2 changes")
    )
    assert (stale[0], done[1]) == (422, "/console/publishing?done=published")
    assert "New prices" in listed.text
    assert "becomes public" in version.text
    assert "is public no more" in question.text
    assert (back[0], left) == (303, (None, ROUTE))
    assert await latest_version(console.engine.database) == 3


async def test_clashes_are_shown_and_a_draft_can_be_brought_up_to_date(console: Console, ada: Visitor) -> None:
    edit = {"kind": "prefix", "access": "public", "service": "orders"}
    await post(ada, "/console/publishing/drafts/-/new", name="autumn")
    await post(ada, "/console/routes/orders/edit", **edit, at="/mine", draft="autumn")
    await post(ada, "/console/routes/orders/edit", **edit, at="/theirs")

    page = await ada.get("/console/publishing/drafts/autumn")
    refused = await post(ada, "/console/publishing/drafts/autumn/publish")
    rebased = await post(ada, "/console/publishing/drafts/autumn/rebase")
    then = await ada.get("/console/publishing/drafts/autumn")
    undone = await post(ada, "/console/publishing/drafts/autumn/undo/route/orders")
    gone = await post(ada, "/console/publishing/drafts/autumn/discard")

    assert "Others changed the same since" in page.text
    assert (refused[0], rebased[0]) == (422, 303)
    assert "Others changed the same since" not in then.text
    assert "Publish 1 changes" in then.text
    assert (undone[0], gone[1]) == (303, "/console/publishing?done=discarded")


@ONE_DATABASE
async def test_what_a_route_needs_and_a_service_that_is_needed_are_told(ada: Visitor) -> None:
    kept = await post(ada, "/console/services/orders/remove")
    gone = await post(ada, "/console/routes/orders/remove")
    then = await post(ada, "/console/services/orders/remove")

    assert (kept[0], "a route needs this service" in kept[1]) == (422, True)
    assert [gone[0], then[0]] == [303, 303]


@ONE_DATABASE
async def test_a_request_is_decided_on_with_its_trail_and_the_token_is_not_repeated(ada: Visitor) -> None:
    claims = '{"aud": "https://shop.example/orders", "scope": "openid"}'
    none = await post(ada, "/console/simulate", method="GET", url="/orders/1")
    short = await post(ada, "/console/simulate", method="GET", url="/orders/1", claims=claims)
    fine = await post(ada, "/console/simulate", url="/orders/1", claims=claims.replace("openid", "orders:read"))
    odd = await post(ada, "/console/simulate", url="/orders/1", token="kro_at_not-a-token-of-ours")
    wrong = await post(ada, "/console/simulate", url="/orders/1", claims="[]", body="x")

    assert "Refused: 401 missing_token" in none[1]
    assert "Refused: 403 missing_scope" in short[1]
    assert "Passes" in fine[1]
    assert "invalid_token" in odd[1]
    assert "kro_at_not-a-token" not in odd[1]
    assert wrong[0] == 422


async def test_who_may_call_names_clients_and_people(ada: Visitor) -> None:
    by_name = await ada.get("/console/simulate/callers?route=orders&method=GET")
    by_path = await ada.get("/console/simulate/callers?url=/orders/7&method=GET")
    none = await ada.get("/console/simulate/callers?url=/nowhere")

    assert "The Shop" in by_name.text
    assert "For people who sign in" in by_path.text
    assert "No route is there" in none.text


@ONE_DATABASE
async def test_who_only_reads_is_offered_no_change(console: Console, ada: Visitor) -> None:
    reader = await console.signed_in("eve", AUDITOR)

    routes, version = await reader.get("/console/routes"), await reader.get("/console/publishing/versions/1")
    refused = await post(reader, "/console/publishing/drafts/-/new", name="mine")

    assert "New route" not in routes.text
    assert version.status_code == 200
    assert refused[0] == 403
