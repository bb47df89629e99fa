"""The console's traffic pages and the admin API over the same records."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from console.conftest import ADMIN, AUDITOR, ISSUER, Console
from kronborg.accounts.names_store import names_of  # noqa: F401  # the app is composed whole
from kronborg.app import compose
from kronborg.clients.register import ensure_admin_api
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.core.parts import Parts
from kronborg.gateway.drafts import make_draft, wish
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.store import put_route, put_service
from kronborg.tokens.engine import open_engine
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.sqlite_store import SqliteTraffic
from traffic.lines import NOON, line

pytestmark = pytest.mark.anyio

REFUSED = {"c": 403, "d": "rbac_access_denied_matched_policy[missing_scope]", "us": None, "uh": None, "p": "=danger"}
ID = "00000000-0000-4000-8000-{:012x}"


@pytest.fixture
def database_url(tmp_path: Path, sqlite_template: Path) -> str:
    path = tmp_path / "kronborg.db"
    path.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
async def console(database: Database, vault: Vault, tmp_path: Path) -> AsyncIterator[Console]:
    parts = Parts(database, vault, ISSUER)
    engine = await open_engine(database, vault, issuer=ISSUER, session_idle=parts.session_idle, now=clock.now())
    await ensure_admin_api(database, issuer=ISSUER, now=clock.now())
    store, after = SqliteTraffic(tmp_path / "traffic"), clock.now() - NOON - timedelta(minutes=3)
    made = [line(n, after=after + timedelta(seconds=n)) for n in range(60)]
    made += [line(99, after=after + timedelta(seconds=80), k="cart-app", u="user-2", a="198.51.100.7", **REFUSED)]
    store.write(rows_of(made, "gateway-1")[0])
    store.close()
    app = compose(parts, engine, settings=Settings(data=tmp_path))
    site = Console(engine, httpx.ASGITransport(app, raise_app_exceptions=False))
    yield site
    for http in site.opened:
        await http.aclose()


async def test_the_dashboard_shows_rates_causes_and_tops_and_renews_itself(console: Console) -> None:
    browser = await console.signed_in("ada", ADMIN)

    page = (await browser.get("/console/traffic")).text
    part = (await browser.http.get("/console/traffic?span=1d", headers={"hx-request": "true"})).text

    for words in ("missing_scope", "shop-web", "cart-app", "user-1", "<polyline", 'hx-trigger="every 5s"'):
        assert words in page, words
    assert part.lstrip().startswith('<div id="live"')
    assert "<html" not in part


async def test_the_explorer_searches_pages_and_leads_to_a_request_with_its_trail(console: Console) -> None:
    browser = await console.signed_in("ada", ADMIN)

    all_ = (await browser.get("/console/traffic/requests")).text
    one = (await browser.get("/console/traffic/requests?q=address:198.51.100.7+status:4xx")).text
    nothing = (await browser.get("/console/traffic/requests?q=colour:red")).text
    request = (await browser.get(f"/console/traffic/requests/{ID.format(99)}")).text
    unknown = await browser.http.get("/console/traffic/requests/none")

    assert "before=" in all_
    assert ID.format(99) in one
    assert ID.format(5) not in one
    assert "a word that is not known" in nothing
    for words in (
        "Scopes and roles",
        "refused",
        "not reached",
        "The token lacks a scope",
        "user-2",
        "grants/grant-1/revoke",
    ):
        assert words in request, words
    assert unknown.status_code == 404


async def test_people_are_hidden_from_who_may_not_see_them(console: Console) -> None:
    browser = await console.signed_in("grace", AUDITOR)

    pages = [
        (await browser.http.get(path)).text
        for path in (
            "/console/traffic",
            "/console/traffic/requests",
            f"/console/traffic/requests/{ID.format(99)}",
            "/console/traffic/requests?q=user:user-2",
            "/console/traffic/export?as=ndjson",
        )
    ]

    for text in pages:
        assert "198.51.100.7" not in text
        assert "session-1" not in text
    assert not any("user-2" in text for text in (*pages[:3], pages[4]))
    assert "you may not see" in pages[3]
    assert "hidden" in pages[4]


async def test_an_export_is_whole_harmless_and_noted(console: Console) -> None:
    browser = await console.signed_in("ada", ADMIN)

    answer = await browser.http.get("/console/traffic/export?as=csv&span=1h&q=client:cart-app")

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["subject"] for row in rows] == ["user-2"]
    assert rows[0]["path"] == "'=danger"
    async with console.engine.database.read() as session:
        event = (await latest(session))[0]
    assert (event.name, event.detail) == ("traffic.exported", {"by": "client"})


async def test_the_map_shows_who_calls_whom(console: Console) -> None:
    browser = await console.signed_in("ada", ADMIN)

    page = (await browser.get("/console/traffic/map")).text

    assert "shop-web to things: 60 requests" in page
    assert "things to things: 60 requests" in page


async def test_who_has_no_right_sees_nothing(console: Console) -> None:
    browser = await console.signed_in("eve", ("shopkeeper",))

    for path in ("", "/requests", "/map", "/export", f"/requests/{ID.format(1)}"):
        assert (await browser.http.get(f"/console/traffic{path}")).status_code == 403


async def test_what_if_a_draft_were_published_is_asked_on_its_page_and_in_the_admin_api(console: Console) -> None:
    browser = await console.signed_in("ada", ADMIN)
    long_ago = clock.now() - timedelta(days=1)
    things = Route("things", RoutePath("prefix", "/things"), "things", audience="https://shop.example/things")
    async with console.engine.database.write() as session:
        await put_service(session, Service("things", ("http://127.0.0.1:8091",)), now=long_ago)
        await put_route(session, replace(things, public=True, audience=None, host="shop.example"), now=long_ago)
        await publish_declared(session, issuer=ISSUER, gateway_url="http://localhost:8080", author="ada", now=long_ago)
        await make_draft(session, "spring", actor="ada", now=clock.now())
        await wish(session, "spring", "route", "things", None, actor="ada", now=clock.now())

    draft = (await browser.get("/console/publishing/drafts/spring")).text
    page = (await browser.get("/console/traffic/what-if?draft=spring")).text
    version = (await browser.get("/console/traffic/what-if?version=1")).text
    nobody = await browser.http.get("/console/traffic/what-if?draft=none")

    assert "/console/traffic/what-if?draft=spring" in draft
    for words in ("Newly refused", "unknown_host", ">60<", "shop-web", "/console/traffic/requests/0000"):
        assert words in page, words
    assert "No request that can be judged would have met another fate" in version
    assert nobody.status_code == 404


async def test_the_token_of_a_request_is_blocked_after_a_question_and_only_by_who_may(console: Console) -> None:
    browser, auditor = await console.signed_in("ada", ADMIN), await console.signed_in("grace", AUDITOR)
    address = f"/console/traffic/requests/{ID.format(5)}/block-token"

    shown = (await browser.get(f"/console/traffic/requests/{ID.format(5)}")).text
    question = (await browser.get(address)).text
    done = await browser.post(address, {})
    refused = await auditor.http.get(address)

    assert "block-token" in shown
    assert "token-1" in question
    assert done.status_code in (200, 303), done.text
    assert refused.status_code == 403
    async with console.engine.database.read() as session:
        event = (await latest(session))[0]
    assert (event.name, event.subject) == ("token.revoked", "token-1")


async def test_what_would_have_been_refused_is_counted_found_and_explained(console: Console, tmp_path: Path) -> None:
    store = SqliteTraffic(tmp_path / "traffic")
    store.write(rows_of([line(98, after=clock.now() - NOON, sh="spike_arrest")], "gateway-1")[0])
    store.close()
    browser = await console.signed_in("ada", ADMIN)

    live = (await browser.get("/console/traffic")).text
    found = (await browser.get("/console/traffic/requests?q=decision:reported")).text
    one = (await browser.get(f"/console/traffic/requests/{ID.format(98)}")).text

    assert "Would have been refused" in live
    assert "/console/traffic/requests?q=decision%3Areported" in live
    assert ID.format(98) in found
    assert ID.format(99) not in found
    assert "would be refused" in found
    assert "Would have been refused: Calls came faster" in one
