"""Invitations and attributes over the admin API."""

from __future__ import annotations

import pytest

from admin.conftest import Admin
from kronborg.accounts.organisations import OrganisationDraft, create_organisation
from kronborg.accounts.store import find_user
from kronborg.core import clock
from kronborg.core.mail_store import due_letters

pytestmark = pytest.mark.anyio


async def letters(admin: Admin) -> int:
    async with admin.database.read() as session:
        return len(await due_letters(session, now=clock.now(), limit=50))


async def test_a_person_is_made_and_invited_or_neither(admin: Admin) -> None:
    body = {"email": "yorick@kronborg.example", "name": "Yorick"}

    made = await admin.http.post("/api/invitations", json=body, headers=admin.write)
    again = await admin.http.post("/api/invitations", json=body, headers=admin.write)
    faulty = await admin.http.post("/api/invitations", json={"email": "x"}, headers=admin.write)
    reader = await admin.http.post("/api/invitations", json=body, headers=admin.read)
    answers = [
        await admin.http.post(f"/api/users/{made.json()['user_id']}/invitation", json={}, headers=admin.write)
        for _ in range(5)
    ]

    assert made.status_code == 201, made.text
    assert made.json()["username"] == "yorick"
    assert made.headers["location"].endswith(f"/api/users/{made.json()['user_id']}")
    assert (again.status_code, faulty.status_code, reader.status_code) == (409, 422, 403)
    assert [answer.status_code for answer in answers] == [202, 202, 202, 202, 429]
    assert await letters(admin) == 5


async def test_an_invitation_makes_a_member(admin: Admin) -> None:
    async with admin.database.write() as session:
        draft = OrganisationDraft("acme", "Acme A/S")
        acme = await create_organisation(session, draft, actor="test", now=clock.now())

    body = {"email": "anna@acme.example", "organisation": acme.id}
    made = await admin.http.post("/api/invitations", json=body, headers=admin.write)
    wrong = {"email": "bo@acme.example", "organisation": "nosuch"}
    refused = await admin.http.post("/api/invitations", json=wrong, headers=admin.write)
    members = await admin.http.get(f"/api/organisations/{acme.id}/members", headers=admin.read)

    assert made.status_code == 201, made.text
    assert refused.status_code == 404
    assert [one["username"] for one in members.json()["items"]] == ["anna"]


async def test_whom_nobody_can_write_to(admin: Admin) -> None:
    made = await admin.http.post("/api/users", json={"username": "ghost"}, headers=admin.write)

    nowhere = await admin.http.post(f"/api/users/{made.json()['id']}/invitation", json={}, headers=admin.write)
    nobody = await admin.http.post("/api/users/nosuch/invitation", json={}, headers=admin.write)

    assert (nowhere.status_code, nobody.status_code) == (422, 404)


async def test_attributes_are_held_to_the_schema(admin: Admin) -> None:
    made = await admin.http.post("/api/users", json={"username": "ghost"}, headers=admin.write)
    path = f"/api/users/{made.json()['id']}/attributes"

    schema = await admin.http.get("/api/attributes", headers=admin.read)
    empty = await admin.http.get(path, headers=admin.read)
    unknown = await admin.http.patch(path, json={"attributes": {"team": "red"}}, headers=admin.write)
    async with admin.database.read() as session:
        user = await find_user(session, made.json()["id"])

    assert schema.json() == []
    assert empty.json() == {"attributes": {}}
    assert unknown.status_code == 422
    assert unknown.json()["problems"][0]["where"] == "attributes.team"
    assert user is not None
    assert user.attributes == {}
