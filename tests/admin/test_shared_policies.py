"""Shared policies in the admin API: made, published, guarded by their ETag, put into drafts, kept while in use."""

from __future__ import annotations

import pytest

from admin.conftest import Admin

pytestmark = pytest.mark.anyio

SALES = 'permit (principal, action, resource) when { context.claims.department == "sales" };'
ANYONE = "permit (principal, action, resource);"
API = "http://localhost:8081/api"
ROUTE = {"service": "shop", "prefix": "/shop", "audience": API, "policies": ["sales"]}


async def test_a_policy_is_made_changed_used_and_removed(admin: Admin) -> None:
    http, write = admin.http, admin.write
    await http.put("/api/services/shop", json={"url": "http://127.0.0.1:9001"}, headers=write)

    early = await http.put("/api/routes/shop", json=ROUTE, headers=write)
    made = await http.put("/api/policies/sales", json={"text": SALES}, headers=write)
    used = await http.put("/api/routes/shop", json=ROUTE, headers=write)
    one = await http.get("/api/policies/sales", headers=admin.read)
    stale = await http.put("/api/policies/sales", json={"text": ANYONE}, headers={**write, "if-match": '"old"'})
    tag = one.headers["etag"]
    changed = await http.put("/api/policies/sales", json={"text": ANYONE}, headers={**write, "if-match": tag})
    differs = (await http.get("/api/versions/4/diff", headers=admin.read)).json()
    kept = await http.delete("/api/policies/sales", headers=write)
    version = (await http.get("/api/versions/3", headers=admin.read)).json()
    await http.post("/api/versions/3/rollback", json={}, headers=write)
    back = (await http.get("/api/policies/sales", headers=admin.read)).json()
    await http.delete("/api/routes/shop", headers=write)
    gone = await http.delete("/api/policies/sales", headers=write)
    listed = (await http.get("/api/policies", headers=admin.read)).json()

    assert early.status_code == 422
    assert "names a policy that there is not" in early.text
    assert [made.status_code, used.status_code, changed.status_code] == [200, 200, 200]
    assert one.json() == {"name": "sales", "text": SALES, "routes": ["shop"]}
    assert (stale.status_code, kept.status_code, gone.status_code) == (412, 409, 204)
    assert differs["changes"][0] | {"fields": []} == {
        "action": "update",
        "kind": "policy",
        "name": "sales",
        "fields": [],
    }
    assert differs["words"] == [{"weight": "moves", "kind": "route", "name": "shop", "text": "policy is changed"}]
    assert version["content"]["policies"] == {"sales": {"text": SALES}}
    assert (back["text"], listed["items"]) == (SALES, [])


async def test_what_does_not_stand_is_refused_with_the_line(admin: Admin) -> None:
    wrong = "permit (principal, action, resource)\nwhen { context.path == };"

    now = await admin.http.put("/api/policies/sales", json={"text": wrong}, headers=admin.write)
    await admin.http.post("/api/drafts/autumn", json={}, headers=admin.write)
    later = await admin.http.put("/api/drafts/autumn/policies/sales", json={"text": wrong}, headers=admin.write)
    read_only = await admin.http.put("/api/policies/sales", json={"text": SALES}, headers=admin.read)
    long = await admin.http.put("/api/policies/sales", json={"text": SALES + " " * 9000}, headers=admin.write)

    assert (now.status_code, later.status_code, read_only.status_code, long.status_code) == (422, 422, 403, 422)
    assert "line 2: unexpected token `}`" in now.text
    assert "line 2: " in later.text


async def test_a_draft_makes_and_removes_policies(admin: Admin) -> None:
    http, write = admin.http, admin.write
    await http.put("/api/policies/old", json={"text": ANYONE}, headers=write)
    await http.post("/api/drafts/autumn", json={}, headers=write)

    put = await http.put("/api/drafts/autumn/policies/sales", json={"text": SALES}, headers=write)
    drop = await http.delete("/api/drafts/autumn/policies/old", headers=write)
    looked = (await http.get("/api/drafts/autumn", headers=admin.read)).json()
    await http.post("/api/drafts/autumn/publish", json={"digest": looked["digest"]}, headers=write)
    listed = (await http.get("/api/policies", headers=admin.read)).json()

    assert (put.status_code, drop.status_code) == (204, 204)
    assert {(one["action"], one["name"]) for one in looked["difference"]["changes"]} == {
        ("create", "sales"),
        ("delete", "old"),
    }
    assert [one["name"] for one in listed["items"]] == ["sales"]
