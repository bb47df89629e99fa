"""Nested groups, declared roles, service accounts and organisations in the admin API."""

from __future__ import annotations

import pytest

from admin.conftest import Admin

pytestmark = pytest.mark.anyio


async def test_groups_stand_in_groups(admin: Admin) -> None:
    await admin.http.post("/api/groups", json={"name": "staff", "roles": ["clerk"]}, headers=admin.write)
    made = await admin.http.post("/api/groups", json={"name": "guard", "parent": "Staff"}, headers=admin.write)
    circle = await admin.http.patch(made.headers["location"], json={"parent": "guard"}, headers=admin.write)
    alone = await admin.http.patch(made.headers["location"], json={"parent": ""}, headers=admin.write)
    found = await admin.http.get("/api/groups", params={"search": "gu"}, headers=admin.read)

    assert (made.status_code, made.json()["parent"], made.json()["effective_roles"]) == (201, "staff", ["clerk"])
    assert (circle.status_code, circle.json()["problems"][0]["where"]) == (422, "parent")
    assert (alone.json()["parent"], alone.json()["effective_roles"]) == (None, [])
    assert [group["name"] for group in found.json()["items"]] == ["guard"]


async def test_roles_of_an_api_are_declared_listed_and_given(admin: Admin) -> None:
    body = {
        "audience": "https://shop.example/api",
        "name": "Shop",
        "settings": {"roles": {"editor": "Edits"}, "role_prefix": "shop"},
    }
    made = await admin.http.post("/api/apis", json=body, headers=admin.write)
    listed = await admin.http.get("/api/roles", headers=admin.read)
    good = await admin.http.post("/api/users", json={"username": "anna", "roles": ["shop/editor"]}, headers=admin.write)
    bad = await admin.http.post("/api/users", json={"username": "bo", "roles": ["shop/boss"]}, headers=admin.write)

    assert made.status_code == 201
    assert [role["full"] for role in listed.json()["items"]] == ["shop/editor"]
    assert good.json()["roles"] == ["shop/editor"]
    assert (bad.status_code, bad.json()["problems"][0]["detail"]) == (422, "nobody declares such a role")


async def test_an_organisation_from_beginning_to_end(admin: Admin) -> None:
    http, write = admin.http, admin.write
    user = (await http.post("/api/users", json={"username": "anna"}, headers=write)).json()["id"]
    made = await http.post("/api/organisations", json={"slug": "acme", "domains": ["acme.example"]}, headers=write)
    at = made.headers["location"]
    twice = await http.post("/api/organisations", json={"slug": "acme"}, headers=write)
    stale = await http.put(at, json={"slug": "acme"}, headers={**write, "if-match": '"no"'})
    verified = {"slug": "acme", "name": "Acme", "domains": ["acme.example"], "verified": ["acme.example"]}
    saved = await http.put(at, json=verified, headers={**write, "if-match": made.headers["etag"]})
    joined = await http.put(f"{at}/members/{user}", json={"role": "admin"}, headers=write)
    members = await http.get(f"{at}/members", headers=admin.read)
    nobody = await http.put(f"{at}/members/no-such", json={}, headers=write)
    left = await http.delete(f"{at}/members/{user}", headers=write)
    removed = await http.delete(at, headers=write)
    gone = await http.get(at, headers=admin.read)

    assert made.json()["domains"][0]["verified"] is False
    assert (twice.status_code, stale.status_code, saved.status_code) == (409, 412, 200)
    assert saved.json()["domains"][0] == made.json()["domains"][0] | {"verified": True}
    assert joined.status_code == 204
    assert [(one["username"], one["role"]) for one in members.json()["items"]] == [("anna", "admin")]
    assert (nobody.status_code, left.status_code, removed.status_code, gone.status_code) == (404, 204, 204, 404)


async def test_a_service_account_is_of_its_kind(admin: Admin) -> None:
    made = await admin.http.post("/api/users", json={"username": "robot", "kind": "service"}, headers=admin.write)

    assert (made.status_code, made.json()["kind"], made.json()["managed_by"]) == (201, "service", "")
