"""The console's pages of people: finding, making and changing them, one or many, with the rights each takes."""

from __future__ import annotations

import re

import pytest

from console.conftest import ADMIN, AUDITOR, SUPPORT, Console
from kronborg.accounts.groups import create_group
from kronborg.accounts.store import find_by_login, find_user
from kronborg.accounts.users import UserChange, update_user
from kronborg.core import clock
from kronborg.core.events import latest

pytestmark = pytest.mark.anyio

USERS = "/console/users"


async def _group(console: Console, name: str, *roles: str, parent: str = "") -> str:
    async with console.engine.database.write() as session:
        made = await create_group(session, name, roles=roles, parent=parent, actor="test", now=clock.now())
    return made.id


async def test_people_are_found_by_the_beginning_of_a_name(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    for name in ("hamlet", "hansine", "ofelia"):
        await console.person(name)

    everyone = await browser.get(USERS)
    found = await browser.get(f"{USERS}?q=HA")
    part = await browser.get(f"{USERS}?q=HA", headers={"hx-request": "true"})
    nobody = await browser.get(f"{USERS}?q=x%00%25")

    assert all(name in everyone.text for name in ("boss", "hamlet", "hansine", "ofelia"))
    assert "hamlet" in found.text
    assert "ofelia" not in found.text
    assert "<html" not in part.text
    assert "hansine" in part.text
    assert "Nobody is found" in nobody.text


async def test_long_lists_come_page_by_page(console: Console) -> None:
    browser = await console.signed_in("aboss", ADMIN)
    for number in range(60):
        await console.person(f"p{number:03}")

    first = await browser.get(USERS)
    onward = re.search(r'href="(/console/users\?after=[^"]+)"', first.text)
    assert onward is not None
    second = await browser.get(onward[1])

    assert "p048" in first.text
    assert "p049" not in first.text
    assert all(f"p{number:03}" in second.text for number in range(49, 60))


async def test_a_person_is_made_changed_and_told_in_the_audit_log(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    await _group(console, "staff", "clerk")
    values = {"username": "anna", "email": "anna@kronborg.example", "name": "Anna", "roles": "cook\n"}
    made = await browser.post(f"{USERS}/new", values | {"group:staff": "1"})
    at = made.headers["location"].partition("?")[0]
    shown = await browser.get(at)

    changed = await browser.post(f"{at}/edit", values | {"name": "Anna Ærø", "roles": ""})

    async with console.engine.database.read() as session:
        anna = await find_by_login(session, "anna")
        events = await latest(session)
    assert made.status_code == changed.status_code == 303
    assert "clerk, cook" in shown.text
    assert anna is not None
    assert (anna.name, anna.roles, anna.groups) == ("Anna Ærø", (), ())
    updated = next(event for event in events if event.name == "user.updated")
    assert updated.actor.startswith("user:")
    assert set(updated.detail["changed"]) >= {"name", "roles", "groups"}  # type: ignore[arg-type]  # a mapping


async def test_wrong_input_is_told_beside_what_was_typed(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    await console.person("taken")

    wrong = await browser.post(f"{USERS}/new", {"username": "no good", "email": "x", "name": "<Kept>"})
    taken = await browser.post(f"{USERS}/new", {"username": "TAKEN"})
    role = await browser.post(f"{USERS}/new", {"username": "x", "roles": "nobody/role"})

    assert (wrong.status_code, taken.status_code, role.status_code) == (422, 422, 422)
    assert "&lt;Kept&gt;" in wrong.text
    assert "already in use" in taken.text
    assert "nobody declares such a role" in role.text


async def test_what_hurts_is_asked_for_first(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    anna = await console.person("anna")
    theirs = await console.browser(anna)
    at = f"{USERS}/{anna.id}"

    asked = await browser.get(f"{at}/do/disable")
    done = await browser.post(f"{at}/do/disable")
    signed_out = await theirs.is_signed_in()
    enabled = await browser.post(f"{at}/do/enable")
    again = await console.browser(anna)
    await browser.post(f"{at}/do/sessions")
    wrong = await browser.post(f"{at}/do/delete", {"typed": "bo"})
    gone = await browser.post(f"{at}/do/delete", {"typed": "anna"})

    assert "Disable anna?" in asked.text
    assert "signed out at once" in asked.text
    assert (done.status_code, signed_out, enabled.status_code) == (303, False, 303)
    assert not await again.is_signed_in()
    assert (wrong.status_code, gone.status_code) == (422, 303)
    assert (await browser.get(at)).status_code == 404
    assert (await browser.get(f"{at}/do/nothing")).status_code == 404


async def test_nobody_disables_or_deletes_their_own_account(console: Console) -> None:
    boss = await console.person("boss", ADMIN)
    browser = await console.browser(boss)

    disabled = await browser.post(f"{USERS}/{boss.id}/do/disable")
    deleted = await browser.post(f"{USERS}/{boss.id}/do/delete", {"typed": "boss"})

    assert (disabled.status_code, deleted.status_code) == (409, 409)
    assert await browser.is_signed_in()


async def test_many_are_changed_at_once_or_none(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    await _group(console, "staff", "clerk")
    people = [await console.person(name) for name in ("anna", "bo", "carl")]
    ticked = {f"pick:{one.id}": "1" for one in people[:2]}

    asked = await browser.post(f"{USERS}/bulk", ticked | {"do": "disable"}, page=f"{USERS}/new")
    done = await browser.post(f"{USERS}/bulk/disable", ticked, page=f"{USERS}/new")
    choice = await browser.post(f"{USERS}/bulk", ticked | {"do": "group"}, page=f"{USERS}/new")
    nowhere = await browser.post(f"{USERS}/bulk/group", ticked | {"group": "none"}, page=f"{USERS}/new")
    joined = await browser.post(f"{USERS}/bulk/group", ticked | {"group": "STAFF"}, page=f"{USERS}/new")
    unsure = await browser.post(f"{USERS}/bulk/delete", ticked, page=f"{USERS}/new")
    nobody = await browser.post(f"{USERS}/bulk", {"do": "delete"}, page=f"{USERS}/new")

    async with console.engine.database.read() as session:
        found = [await find_user(session, one.id) for one in people]
    assert "Disable 2 accounts?" in asked.text
    assert "anna (Anna)" in asked.text
    assert "anna" in choice.text
    assert (done.status_code, nowhere.status_code, joined.status_code) == (303, 422, 303)
    assert [(one.disabled, one.groups) for one in found if one] == [(True, ("staff",))] * 2 + [(False, ())]
    assert (unsure.status_code, nobody.headers["location"]) == (422, USERS)


@pytest.mark.parametrize(("role", "reads", "resets"), [(SUPPORT, 200, 200), (AUDITOR, 200, 403), ((), 403, 403)])
async def test_rights_open_pages_and_buttons(console: Console, role: tuple[str, ...], reads: int, resets: int) -> None:
    browser = await console.signed_in("somebody", role)
    anna = await console.person("anna")
    at = f"{USERS}/{anna.id}"

    answers = [await browser.get(path) for path in (USERS, at, f"{at}/do/factors", f"{at}/edit", f"{at}/do/delete")]

    assert [answer.status_code for answer in answers] == [reads, reads, resets, 403, 403]
    assert "/edit" not in answers[1].text
    assert 'name="do"' not in answers[0].text


async def test_factors_are_reset_by_support(console: Console) -> None:
    browser = await console.signed_in("helper", SUPPORT)
    anna = await console.person("anna")

    done = await browser.post(f"{USERS}/{anna.id}/do/factors")

    async with console.engine.database.read() as session:
        names = [event.name for event in await latest(session)]
    assert done.status_code == 303
    assert "factor.reset" in names


async def test_what_a_directory_keeps_is_not_changed_here(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    anna = await console.person("anna")
    async with console.engine.database.write() as session:
        kept = UserChange(managed_by="ldap:corp", email_verified=True)
        await update_user(session, anna.id, kept, actor="test", now=clock.now(), by_source=True)
    at = f"{USERS}/{anna.id}"

    form = await browser.get(f"{at}/edit")
    refused = await browser.post(f"{at}/edit", {"name": "Other", "username": "other"})
    saved = await browser.post(f"{at}/edit", {"roles": "clerk"})

    async with console.engine.database.read() as session:
        found = await find_user(session, anna.id)
    assert "ldap:corp" in form.text
    assert 'name="username"' not in form.text
    assert (refused.status_code, saved.status_code) == (422, 303)
    assert found is not None
    assert (found.username, found.name, found.roles, found.email_verified) == ("anna", "Anna", ("clerk",), True)


async def test_groups_and_who_has_which_role(console: Console) -> None:
    browser = await console.signed_in("boss", ADMIN)
    await console.person("anna", ("night_watch",))
    staff = await _group(console, "staff", "clerk")
    made = await browser.post("/console/groups/new", {"name": "guard", "parent": "staff", "roles": "night_watch"})
    at = made.headers["location"].partition("?")[0]

    group = await browser.get(at)
    above = await browser.get(f"/console/groups/{staff}")
    circle = await browser.post(f"/console/groups/{staff}/edit", {"name": "staff", "parent": "guard", "roles": ""})
    roles = await browser.get("/console/groups/roles")
    role = await browser.get("/console/groups/roles/night_watch")
    other = await browser.get("/console/groups/roles/nightxwatch")
    listed = await browser.get("/console/groups?q=GU", headers={"hx-request": "true"})
    wrong = await browser.post(f"{at}/delete", {"typed": "no"})
    gone = await browser.post(f"{at}/delete", {"typed": "guard"})

    assert "clerk, night_watch" in group.text
    assert "guard" in above.text
    assert (circle.status_code, "cannot stand in itself" in circle.text) == (422, True)
    assert all(one in roles.text for one in ("clerk", "night_watch", "kronborg:admin"))
    assert "anna" in role.text
    assert "guard" in role.text
    assert "anna" not in other.text
    assert "guard" in listed.text
    assert (wrong.status_code, gone.status_code) == (422, 303)
