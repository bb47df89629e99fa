"""Organisations in the console, and how far the rights of their own administrators go."""

from __future__ import annotations

import pytest

from console.conftest import ADMIN, Console
from kronborg.accounts.model import Organisation, User
from kronborg.accounts.organisations import OrganisationDraft, add_member, create_organisation
from kronborg.accounts.organisations_store import find_organisation, organisation_of_domain
from kronborg.accounts.store import find_user
from kronborg.accounts.users import UserChange, update_user
from kronborg.core import clock

pytestmark = pytest.mark.anyio

HOME = "/console/organisations"


async def _made(console: Console, slug: str, *members: tuple[User, str]) -> Organisation:
    async with console.engine.database.write() as session:
        one = await create_organisation(session, OrganisationDraft(slug), actor="test", now=clock.now())
        for user, role in members:
            await add_member(session, one.id, user.id, role=role, actor="test", now=clock.now())
    return one


async def test_an_organisation_from_beginning_to_end(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    anna = await console.person("anna")
    made = await browser.post(f"{HOME}/new", {"slug": "acme", "name": "Acme", "domains": "Acme.example\n"})
    at = made.headers["location"].partition("?")[0]
    asked = await browser.get(f"{at}/domains/acme.example")
    await browser.post(f"{at}/domains/acme.example")
    await browser.post(f"{at}/edit", {"slug": "acme", "name": "Acme A/S", "domains": "acme.example\nb.example"})
    added = await browser.post(f"{at}/members", {"who": "anna@kronborg.example", "role": "member"}, page=f"{at}/edit")
    ghost = await browser.post(f"{at}/members", {"who": "nobody"}, page=f"{at}/edit")
    shown = await browser.get(f"{at}?q=an")
    raised = await browser.post(f"{at}/members/{anna.id}/admin")
    removed = await browser.post(f"{at}/members/{anna.id}/remove")
    listed = await browser.get(f"{HOME}?q=ac")
    async with console.engine.database.read() as session:
        found = await organisation_of_domain(session, "acme.example")
        pending = await organisation_of_domain(session, "b.example")
    twice = await browser.post(f"{HOME}/new", {"slug": "acme"})
    kept = await browser.post(f"{at}/delete", {"typed": "no"})
    gone = await browser.post(f"{at}/delete", {"typed": "acme"})

    assert "kronborg-domain=" in asked.text
    assert found is not None
    assert (found.name, pending) == ("Acme A/S", None)
    assert (added.status_code, ghost.status_code, raised.status_code, removed.status_code) == (303, 422, 303, 303)
    assert "anna" in shown.text
    assert "Acme A/S" in listed.text
    assert (twice.status_code, kept.status_code, gone.status_code) == (422, 422, 303)


async def test_administrators_of_an_organisation_see_theirs_only(console: Console) -> None:
    chief, anna, stranger = [await console.person(name) for name in ("chief", "anna", "stranger")]
    own = await _made(console, "acme", (chief, "admin"), (anna, "member"))
    other = await _made(console, "rival", (stranger, "member"))
    browser = await console.browser(chief)

    listed = await browser.get(HOME)
    answers = [
        (await browser.get(path)).status_code
        for path in (
            f"{HOME}/{own.id}",
            f"{HOME}/{other.id}",
            "/console/users",
            f"/console/users/{anna.id}",
            f"/console/users/{stranger.id}",
            f"{HOME}/{own.id}/edit",
            f"{HOME}/{own.id}/delete",
            "/console/groups",
            f"/console/users/{anna.id}/do/delete",
        )
    ]

    assert "acme" in listed.text
    assert "rival" not in listed.text
    assert answers == [200, 403, 403, 200, 403, 403, 403, 403, 403]


async def test_administrators_of_an_organisation_help_their_members_and_give_no_rights(console: Console) -> None:
    chief, anna, stranger = [await console.person(name) for name in ("chief", "anna", "stranger")]
    own = await _made(console, "acme", (chief, "admin"), (anna, "member"))
    browser = await console.browser(chief)
    at, members = f"/console/users/{anna.id}", f"{HOME}/{own.id}/members"

    form = await browser.get(f"{at}/edit")
    named = await browser.post(
        f"{at}/edit", {"name": "Anna B", "email": "mine@evil.example", "roles": "kronborg:admin"}
    )
    disabled = await browser.post(f"{at}/do/disable")
    taken_in = await browser.post(members, {"who": "stranger"}, page=f"{at}/edit")
    raised = await browser.post(f"{members}/{anna.id}/admin")

    async with console.engine.database.read() as session:
        found = await find_user(session, anna.id)
        one = await find_organisation(session, own.id)
    assert 'name="roles"' not in form.text
    assert (named.status_code, disabled.status_code, taken_in.status_code, raised.status_code) == (303, 303, 403, 303)
    assert found is not None
    assert (found.name, found.email, found.roles) == ("Anna B", "anna@kronborg.example", ())
    assert found.disabled
    assert one is not None
    assert stranger.id != anna.id


async def test_who_has_rights_elsewhere_is_out_of_their_reach(console: Console) -> None:
    chief, shared, boss = [await console.person(name) for name in ("chief", "shared", "boss")]
    async with console.engine.database.write() as session:
        await update_user(session, boss.id, UserChange(roles=ADMIN), actor="test", now=clock.now())
    members = ((chief, "admin"), (shared, "member"), (boss, "member"))
    await _made(console, "acme", *members)
    await _made(console, "rival", (shared, "member"))
    browser = await console.browser(chief)

    answers = {}
    for user in (shared, boss):
        seen = await browser.get(f"/console/users/{user.id}")
        reset = await browser.get(f"/console/users/{user.id}/do/factors")
        disabled = await browser.get(f"/console/users/{user.id}/do/disable")
        assert "/do/" not in seen.text
        answers[user.username] = (seen.status_code, reset.status_code, disabled.status_code)

    assert answers == {"shared": (200, 403, 403), "boss": (200, 403, 403)}
