"""Drafts, versions, simulation and long lists of the gateway in the admin API."""

from __future__ import annotations

import pytest

from admin.conftest import Admin

pytestmark = pytest.mark.anyio

SERVICE = {"url": "http://127.0.0.1:9001"}
OPEN = {"service": "shop", "prefix": "/shop", "public": True}


async def test_a_draft_is_made_looked_at_published_and_gone_back_from(admin: Admin) -> None:
    http, write = admin.http, admin.write
    await http.put("/api/services/shop", json=SERVICE, headers=write)
    await http.put("/api/routes/shop", json=OPEN, headers=write)

    made = await http.post("/api/drafts/autumn", json={"comment": "New"}, headers=write)
    again = await http.post("/api/drafts/autumn", json={}, headers=write)
    put = await http.put("/api/drafts/autumn/routes/news", json={**OPEN, "prefix": "/news"}, headers=write)
    looked = (await http.get("/api/drafts/autumn", headers=admin.read)).json()
    read_only = await http.post("/api/drafts/autumn/publish", json={}, headers=admin.read)
    stale = await http.post("/api/drafts/autumn/publish", json={"digest": "x"}, headers=write)
    done = await http.post("/api/drafts/autumn/publish", json={"digest": looked["digest"]}, headers=write)
    versions = (await http.get("/api/versions?limit=1", headers=admin.read)).json()
    older = (await http.get(f"/api/versions?before={versions['next']}", headers=admin.read)).json()
    one = (await http.get("/api/versions/3", headers=admin.read)).json()
    differs = (await http.get("/api/versions/3/diff", headers=admin.read)).json()
    back = await http.post("/api/versions/2/rollback", json={"comment": "too early"}, headers=write)
    routes = (await http.get("/api/routes", headers=admin.read)).json()

    assert [made.status_code, again.status_code, put.status_code] == [201, 409, 204]
    assert (looked["ready"], looked["difference"]["changes"][0]["name"]) == (True, "news")
    assert [read_only.status_code, stale.status_code, done.json()] == [403, 409, {"version": 3}]
    assert [(item["number"], item["comment"]) for item in versions["items"]] == [(3, "New")]
    assert [item["number"] for item in older["items"]] == [2, 1]
    assert set(one["content"]["routes"]) == {"shop", "news"}
    assert differs["words"][0]["weight"] == "opens"
    assert (back.json(), [item["name"] for item in routes["items"]]) == ({"version": 4}, ["shop"])


async def test_lists_come_in_pages(admin: Admin) -> None:
    await admin.http.put("/api/services/shop", json=SERVICE, headers=admin.write)
    for name in ("a", "b", "c"):
        await admin.http.put(f"/api/routes/{name}", json={**OPEN, "prefix": f"/{name}"}, headers=admin.write)

    first = (await admin.http.get("/api/routes?limit=2", headers=admin.read)).json()
    rest = (await admin.http.get(f"/api/routes?after={first['next']}", headers=admin.read)).json()
    found = (await admin.http.get("/api/routes?q=/c", headers=admin.read)).json()

    assert [one["name"] for one in first["items"]] == ["a", "b"]
    assert ([one["name"] for one in rest["items"]], rest["next"]) == (["c"], None)
    assert [one["name"] for one in found["items"]] == ["c"]


async def test_a_request_is_decided_on_with_a_real_token(admin: Admin) -> None:
    await admin.http.put("/api/services/shop", json=SERVICE, headers=admin.write)
    guarded = {"service": "shop", "prefix": "/admin", "audience": "http://localhost:8081/api", "scopes": ["admin:read"]}
    await admin.http.put("/api/routes/admin", json=guarded, headers=admin.write)
    token = admin.read["authorization"]

    async def ask(**more: object) -> dict[str, object]:
        answer = await admin.http.post("/api/simulate", json={"url": "/admin/x", **more}, headers=admin.read)
        assert answer.status_code == 200, answer.text
        told: dict[str, object] = answer.json()
        return told

    fine, none, forged = await ask(token=token), await ask(), await ask(token=token[:-6] + "AAAAAA")
    revoked, elsewhere = await ask(token=token, revoked=True), await ask(url="https://other.example/admin")
    missing = await admin.http.post("/api/simulate", json={"url": "/", "draft": "none"}, headers=admin.read)
    callers = (await admin.http.get("/api/routes/admin/callers", headers=admin.read)).json()

    assert (fine["ending"], fine["route"]) == ("service", "admin")
    assert [one["reason"] for one in (none, forged, revoked, elsewhere)] == [
        *("missing_token", "invalid_token", "revoked", "unknown_host")
    ]
    assert missing.status_code == 404
    assert {one["id"] for one in callers["clients"]} == {"viewer", "operator"}
