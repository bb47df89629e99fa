"""The surface and alerts as people and machines meet them: kept by day, pages, admin API, rights."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from admin.conftest import Admin
from console.conftest import ADMIN, AUDITOR, ISSUER, Console
from console.test_pages import csrf_of
from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.events import latest
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routing import save_route, save_service
from kronborg.gateway.watch_model import SurfaceSettings
from kronborg.traffic.parts import Traffic
from kronborg.traffic.sqlite_store import SqliteTraffic
from kronborg.traffic.surface_facts_model import SETTLED
from kronborg.traffic.surface_model import Surface
from kronborg.traffic.surface_refresh import compare, due, keep, last_surface, refresh
from kronborg.traffic.surface_store import list_days

pytestmark = pytest.mark.anyio

OPEN = Route("open", RoutePath("prefix", "/open"), "orders", public=True)


async def publish(database: Database, *routes: Route) -> None:
    now = clock.now()
    async with database.write() as session:
        await save_service(session, Service("orders", ("http://127.0.0.1:9",)), actor="test", now=now)
        for route in routes:
            await save_route(session, route, actor="test", now=now)
        await publish_declared(session, issuer=ISSUER, gateway_url="http://localhost:8080", author="test", now=now)


async def judged(database: Database, folder: Path) -> Surface:
    traffic = Traffic(lambda: SqliteTraffic(folder / "traffic"))
    surface = await refresh(database, traffic, SurfaceSettings(), (), now=clock.now())
    assert surface is not None
    return surface


async def test_a_surface_is_kept_by_day_and_compared_by_date(database: Database, tmp_path: Path) -> None:
    await publish(database, OPEN)
    first = await judged(database, tmp_path)
    yesterday = replace(first, at=first.at - timedelta(days=1), exposures=())
    await keep(database, yesterday)

    await keep(database, first)
    last = await last_surface(database)
    found, before, after = await compare(database, yesterday.at.date(), first.at.date())
    async with database.read() as session:
        days = await list_days(session)

    assert last == first
    assert len(days) == 2
    assert {one.method for one in found.reachable} >= {"GET", "DELETE"}
    assert before is not None
    assert after is not None
    assert (await compare(database, date(2000, 1, 1), date(2000, 1, 2)))[1:] == (None, None)


async def test_an_operator_sees_a_finding_acknowledges_it_with_a_reason_and_lets_it_count_again(
    console: Console, tmp_path: Path
) -> None:
    await publish(console.engine.database, OPEN)
    surface = await judged(console.engine.database, tmp_path)
    found = next(one for one in surface.findings if one.kind == "open_writes")
    ada, url = await console.signed_in("ada", ADMIN), f"/console/surface/findings/{found.id}"
    csrf = await csrf_of(ada)

    page = (await ada.get("/console/surface")).text
    wrong = await ada.http.post(url, data={"csrf": csrf, "do": "acknowledge", "reason": " ", "until": "2020-01-01"})
    until = (clock.now() + timedelta(days=3)).date().isoformat()
    right = await ada.http.post(url, data={"csrf": csrf, "do": "acknowledge", "reason": "a demo", "until": until})
    known = (await ada.get("/console/surface?state=acknowledged")).text
    again = await ada.http.post(url, data={"csrf": csrf, "do": "reopen"})
    async with console.engine.database.read() as session:
        events = [one.name for one in await latest(session, limit=2)]

    assert "Anybody may change things" in page
    assert (wrong.status_code, right.status_code, again.status_code) == (422, 303, 303)
    assert f"/console/surface/findings/{found.id}" in known
    assert events == ["surface.reopened", "surface.acknowledged"]


async def test_the_pages_show_what_is_published_and_what_changed_and_the_dashboard_the_score(
    console: Console, tmp_path: Path
) -> None:
    ada = await console.signed_in("ada", ADMIN)
    before = [(await ada.get(f"/console/surface{path}")).status_code for path in ("", "/published", "/listeners")]
    await publish(console.engine.database, OPEN)
    surface = await judged(console.engine.database, tmp_path)

    published = (await ada.get("/console/surface/published?access=public")).text
    changes = (await ada.get("/console/surface/changes")).text
    dashboard = (await ada.get("/console")).text
    auditor = await console.signed_in("bob", AUDITOR)

    assert before == [200, 200, 200]
    assert "any host /open/…" in published
    assert "Became reachable" in changes
    assert f'<p class="tile-figure">{surface.score}</p>' in dashboard
    assert (await auditor.get("/console/surface")).status_code == 200


async def test_an_operator_makes_changes_and_silences_rules(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)
    csrf = await csrf_of(ada)
    form = {"csrf": csrf, "name": "slow-orders", "title": "Orders are slow", "measure": "p95", "when": "above"}
    form |= {"threshold": "300", "window": "5m", "lasting": "1m", "calm": "5m", "repeat": "4h", "least": "10"}
    form |= {"severity": "warning", "absence": "fine", "mail": "ops@shop.example", "route": "orders"}

    wrong = await ada.http.post("/console/alerts/rules/-/new", data=form | {"threshold": "many", "name": "A B"})
    made = await ada.http.post("/console/alerts/rules/-/new", data=form)
    listed = (await ada.get("/console/alerts/rules")).text
    one = (await ada.get("/console/alerts/rules/slow-orders")).text
    silenced = await ada.http.post(
        "/console/alerts/-/silence", data={"csrf": csrf, "rule": "slow-orders", "span": "1h", "reason": "a move"}
    )
    page = (await ada.get("/console/alerts")).text
    removed = await ada.http.post("/console/alerts/rules/slow-orders/remove", data={"csrf": csrf})

    assert (wrong.status_code, made.status_code, silenced.status_code, removed.status_code) == (422, 303, 303, 303)
    assert "95 of 100 requests are answered within: above 300 ms for 1m, route orders only" in listed
    assert "ops@shop.example" in one
    assert "a move" in page
    assert (await ada.get("/console/alerts/rules/slow-orders")).status_code == 404


async def test_the_admin_api_has_all_of_it(admin: Admin, tmp_path: Path) -> None:
    none = await admin.http.get("/api/surface", headers=admin.read)
    async with admin.database.write() as session:
        draft = ApiDraft("https://shop.example/orders", "Orders", (Scope("orders:read", "See"),))
        await save_api(session, draft, actor="test", now=clock.now())
    await publish(admin.database, OPEN)
    await judged(admin.database, tmp_path)

    async def got(path: str) -> Any:
        answer = await admin.http.get(f"/api{path}", headers=admin.read)
        assert answer.status_code == 200, answer.text
        return answer.json()

    surface, findings = await got("/surface"), (await got("/surface/findings?limit=1"))
    grave = (await got("/surface/findings?severity=high"))["items"]
    url = f"/api/surface/acknowledgements/{grave[0]['id']}"
    known = await admin.http.put(url, headers=admin.write, json={"reason": "a demo", "days": 2})
    rule = {"measure": "errors", "threshold": 1, "route": "open", "lasting": "30s"}
    saved = await admin.http.put("/api/alerts/rules/errors", headers=admin.write, json=rule)
    bad = await admin.http.put(
        "/api/alerts/rules/x", headers=admin.write, json=rule | {"measure": "p95", "client": "a"}
    )
    silence = await admin.http.post(
        "/api/alerts/silences", headers=admin.write, json={"reason": "a move", "lasts": "1h"}
    )
    ended = await admin.http.delete(f"/api/alerts/silences/{silence.json()['id']}", headers=admin.write)
    back = await admin.http.delete(url, headers=admin.write)

    assert none.status_code == 404
    assert (surface["days"][0]["score"], len(findings["items"]), findings["next"]) == (surface["score"], 1, "1")
    assert [one["kind"] for one in grave] == ["open_writes"]
    assert (await got("/surface/published"))["items"][0]["access"] == "public"
    assert (await got("/surface/changes"))["reachable"]
    assert (known.status_code, known.json()["reason"], back.status_code) == (200, "a demo", 204)
    assert (saved.json()["threshold"], saved.json()["lasting"], bad.status_code) == (1, "30s", 422)
    assert next(one for one in (await got("/alerts/rules"))["items"] if one["name"] == "errors")["route"] == "open"
    assert (silence.status_code, ended.status_code) == (201, 204)
    assert (await got("/alerts?firing=true"))["items"] == []


async def test_the_surface_is_judged_again_once_gateways_had_time_to_follow(database: Database, tmp_path: Path) -> None:
    await publish(database, OPEN)
    surface = await judged(database, tmp_path)

    async with database.read() as session:
        right_away = await due(session, now=surface.at + timedelta(seconds=1))
        later = await due(session, now=surface.at + SETTLED)
    await keep(database, replace(surface, at=surface.at + SETTLED))
    async with database.read() as session:
        again = await due(session, now=surface.at + SETTLED + timedelta(seconds=1))

    assert (right_away, later, again) == (False, True, False)
