"""Every operation of the admin API and of SCIM, by their own lists: what strangers and people of each role get."""

from __future__ import annotations

import re

import pytest

from admin.conftest import Admin
from admin.test_access import token_of_a_person
from kronborg.accounts.organisations import OrganisationDraft, add_member, create_organisation
from kronborg.accounts.store import find_by_login
from kronborg.core import clock
from kronborg.core.crypto import Vault

pytestmark = pytest.mark.anyio

READING = {("POST", "/config/plan"), ("POST", "/audit/verify"), ("POST", "/simulate")}
"""What changes nothing, although it is sent."""
HELP = re.compile(
    r"DELETE /users/\{\w+\}/(factors|mfa|sessions)(/.*)?|POST /users/\{\w+\}/(factors/reset|sessions/end)"
)
"""What support does for people who locked themselves out."""
PEOPLE = "/traffic/people/"
"""What shows who somebody is, which to read everything else does not include."""
SCIM = ("/Users", "/Users/x", "/Groups", "/Groups/x", "/Bulk", "/.search", "/Schemas", "/ServiceProviderConfig", "/Me")


async def operations(admin: Admin) -> list[tuple[str, str]]:
    """Method and path of every operation."""
    document = (await admin.http.get("/api/openapi.json")).json()
    return [(method.upper(), path) for path, known in document["paths"].items() for method in known]


@pytest.mark.parametrize(
    ("roles", "reads", "helps"),
    [
        ((), False, False),
        (("shopkeeper",), False, False),
        (("kronborg:auditor",), True, False),
        (("kronborg:support",), True, True),
    ],
)
async def test_each_operation_is_refused_to_who_has_no_right(
    admin: Admin, vault: Vault, roles: tuple[str, ...], reads: bool, helps: bool
) -> None:
    headers = {"authorization": f"Bearer {await token_of_a_person(admin, vault, roles=roles)}"}
    known, wrong = await operations(admin), []

    for method, path in known:
        may = (reads and PEOPLE not in path and (method == "GET" or (method, path) in READING)) or (
            helps and HELP.fullmatch(f"{method} {path}") is not None
        )
        url = "/api" + re.sub(r"\{\w+\}", "x", path)
        answer = await admin.http.request(method, url, headers=headers)
        if (answer.status_code == 403) == may or answer.status_code == 401:
            wrong.append((method, path, answer.status_code))

    assert not wrong, wrong
    assert len(known) > 80


async def test_each_operation_needs_a_token(admin: Admin) -> None:
    known = [("/api" + re.sub(r"\{\w+\}", "x", path), method) for method, path in await operations(admin)]
    scim = [(f"/scim/v2{path}", method) for path in SCIM for method in ("GET", "POST", "PUT", "PATCH", "DELETE")]

    answers = {(url, method): await admin.http.request(method, url) for url, method in (*known, *scim)}
    others = {(url, method): await admin.http.request(method, url, headers=admin.write) for url, method in scim}

    assert {answer.status_code for answer in answers.values()} == {401}
    # A token of the admin API is none of SCIM.
    assert {answer.status_code for answer in others.values()} == {401}


async def test_who_administers_an_organisation_has_its_members_and_nothing_else(admin: Admin, vault: Vault) -> None:
    headers = {"authorization": f"Bearer {await token_of_a_person(admin, vault, roles=())}"}
    async with admin.database.write() as session:
        me = await find_by_login(session, "ophelia")
        assert me is not None
        own, other = [
            (await create_organisation(session, OrganisationDraft(slug, slug), actor="test", now=clock.now())).id
            for slug in ("own", "other")
        ]
        await add_member(session, own, me.id, role="admin", actor="test", now=clock.now())
    let_in = set()

    for method, path in await operations(admin):
        for organisation in (own, other):
            url = "/api" + re.sub(r"\{\w+\}", "x", path.replace("{organisation_id}", organisation))
            if (await admin.http.request(method, url, headers=headers)).status_code != 403:
                let_in.add((method, path, organisation == own))

    assert let_in == {
        ("GET", "/organisations/{organisation_id}", True),
        ("GET", "/organisations/{organisation_id}/members", True),
        ("DELETE", "/organisations/{organisation_id}/members/{user_id}", True),
    }
