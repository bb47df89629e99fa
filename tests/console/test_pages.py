"""Every page of the console for every role: who sees it, who may change what, and how it is refused."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from console.conftest import ADMIN, AUDITOR, SUPPORT, Console
from console.stage import stage
from kronborg.accounts.organisations import add_member
from kronborg.core import clock
from kronborg.sessions.store import list_sessions

pytestmark = pytest.mark.anyio

PAGES = (
    "/console",
    "/console/clients",
    "/console/clients?q=sho",
    "/console/clients/shop",
    "/console/clients/shop/secrets",
    "/console/apis",
    "/console/apis/{api}",
    "/console/access",
    "/console/access/users/{user}",
    "/console/access/clients/shop",
    "/console/access/sessions/{session}",
    "/console/keys",
    "/console/settings",
    "/console/users",
    "/console/users?q=ham",
    "/console/users/{user}",
    "/console/groups",
    "/console/groups/{group}",
    "/console/groups/roles",
    "/console/groups/roles/watch",
    "/console/organisations",
    "/console/organisations/{organisation}",
    "/console/providers",
    "/console/audit",
    "/console/webhooks",
    "/console/breakers",
    "/console/api-keys",
    "/console/api-keys?q=shop",
    "/console/issuers",
    "/console/policies",
)
FORMS = (
    "/console/policies/-/new",
    "/console/routes/-/new",
    "/console/api-keys/-/new",
    "/console/issuers/-/new",
    "/console/clients/-/new",
    "/console/clients/-/new?kind=web",
    "/console/clients/-/new?kind=machine",
    "/console/clients/shop/edit",
    "/console/clients/shop/settings",
    "/console/clients/shop/disable",
    "/console/clients/shop/delete",
    "/console/clients/shop/secrets/{secret}/remove",
    "/console/apis/-/new",
    "/console/apis/{api}/edit",
    "/console/apis/{api}/delete",
    "/console/access/grants/{grant}/revoke",
    "/console/access/users/{user}/revoke",
    "/console/access/users/{user}/consents/shop/withdraw",
    "/console/access/clients/shop/revoke",
    "/console/keys/rotate",
    "/console/keys/{key}/revoke",
    "/console/users/new",
    "/console/users/{user}/edit",
    "/console/users/{user}/do/disable",
    "/console/users/{user}/do/delete",
    "/console/groups/new",
    "/console/groups/{group}/edit",
    "/console/groups/{group}/delete",
    "/console/organisations/new",
    "/console/organisations/{organisation}/edit",
    "/console/organisations/{organisation}/delete",
    "/console/organisations/{organisation}/domains/elsinore.example",
    "/console/organisations/{organisation}/members/{user}/admin",
)
HELP = (
    "/console/users/{user}/do/factors",
    "/console/users/{user}/do/sessions",
    "/console/access/users/{user}/end-sessions",
    "/console/access/sessions/{session}/end",
)


async def test_each_page_is_for_those_whose_role_reads_or_changes(console: Console) -> None:
    there = await stage(console)
    people = {
        "admin": (await console.signed_in("ada", ADMIN), PAGES + FORMS + HELP),
        "support": (await console.signed_in("sue", SUPPORT), PAGES + HELP),
        "auditor": (await console.signed_in("otto", AUDITOR), PAGES),
        "nobody": (await console.signed_in("nils", ("shopkeeper",)), ()),
    }

    wrong = []
    for name, (browser, mine) in people.items():
        for path in PAGES + FORMS + HELP:
            answer = await browser.get(there.fill(path))
            if answer.status_code != (200 if path in mine else 403):
                wrong.append((name, path, answer.status_code))

    assert wrong == []


async def test_a_stranger_is_asked_to_sign_in_and_comes_back(console: Console) -> None:
    there = await stage(console)
    stranger = await console.browser()

    for path in PAGES + FORMS + HELP:
        answer = await stranger.get(there.fill(path))

        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/signin?next=%2Fconsole"), path


@pytest.mark.parametrize("roles", [AUDITOR, SUPPORT, ()])
async def test_who_may_not_change_something_cannot_by_sending_its_form(
    console: Console, roles: tuple[str, ...]
) -> None:
    there = await stage(console)
    browser = await console.signed_in("eve", roles)
    token = await csrf_of(browser)

    paths = (*FORMS, "/console/clients/shop/enable", "/console/clients/shop/secrets")
    for path in paths if roles else (*paths, *HELP):
        answer = await browser.http.post(
            there.fill(path), data={"csrf": token, "typed": "shop"}, headers={"accept": "text/html"}
        )

        assert answer.status_code == 403, path
    assert (await (await console.signed_in("ada", ADMIN)).get("/console/clients/shop")).status_code == 200


async def csrf_of(browser: object) -> str:
    """A token of this browser, from a page that everybody who is signed in has."""
    from people_site import Visitor

    assert isinstance(browser, Visitor)
    page = await browser.get("/signout")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found.group(1)


async def test_a_form_without_its_token_does_nothing(console: Console) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN)

    for path in (*FORMS, *HELP):
        answer = await ada.http.post(there.fill(path), data={"typed": "shop"}, headers={"accept": "text/html"})

        assert answer.status_code == 403, path


async def test_what_cannot_be_undone_asks_for_a_fresh_sign_in(console: Console) -> None:
    there = await stage(console)
    ada = await console.signed_in("ada", ADMIN, ago=timedelta(minutes=16))

    for path in ("/console/clients/shop/delete", "/console/keys/{key}/revoke", *HELP):
        answer = await ada.get(there.fill(path))

        assert answer.status_code == 303, path
        assert "ticket=" in answer.headers["location"]
    read = await ada.get("/console/clients/shop")
    saved = await ada.post("/console/clients/shop/edit", {"name": "Mine"})

    assert read.status_code == 200
    assert saved.status_code == 303
    assert saved.headers["location"].startswith("/signin?next=%2Fconsole%2Fclients%2Fshop%2Fedit")


async def test_support_ends_the_sessions_of_somebody(console: Console) -> None:
    there = await stage(console)
    sue = await console.signed_in("sue", SUPPORT)

    answer = await sue.post(f"/console/access/users/{there.user}/end-sessions")

    assert answer.status_code == 303
    async with console.engine.database.read() as session:
        left = await list_sessions(session, there.user, now=clock.now(), idle=timedelta(hours=12))
    assert left == []


async def test_the_account_leads_to_the_console_only_who_may_enter(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)
    nils = await console.signed_in("nils", ("shopkeeper",))

    assert 'href="/console"' in (await ada.get("/account")).text
    assert 'href="/console"' not in (await nils.get("/account")).text


async def test_a_person_without_the_role_cannot_give_it_to_themselves(console: Console) -> None:
    sue = await console.person("sue", SUPPORT)
    browser = await console.browser(sue)
    token = await csrf_of(browser)

    for path in (f"/console/users/{sue.id}", f"/console/users/{sue.id}/roles", f"/console/users/{sue.id}/edit"):
        await browser.http.post(path, data={"csrf": token, "roles": "kronborg:admin", "role": "kronborg:admin"})

    assert (await browser.get("/console/clients/-/new")).status_code == 403


async def test_support_does_not_end_the_sessions_of_an_administrator(console: Console) -> None:
    boss = await console.person("ada", ADMIN)
    await console.session_of(boss)
    sue = await console.signed_in("sue", SUPPORT)

    answer = await sue.get(f"/console/access/users/{boss.id}/end-sessions")

    assert answer.status_code == 403
    assert "End all sessions" not in (await sue.get(f"/console/access/users/{boss.id}")).text


async def test_who_administers_an_organisation_finds_it_and_nothing_else(console: Console) -> None:
    there = await stage(console)
    owner = await console.person("claudius")
    async with console.engine.database.write() as session:
        await add_member(session, there.organisation, owner.id, role="admin", actor="test", now=clock.now())
    browser = await console.browser(owner)

    begin = await browser.get("/console")
    answers = {path: (await browser.get(there.fill(path))).status_code for path in PAGES + FORMS}

    assert (begin.status_code, begin.headers["location"]) == (303, "/console/organisations")
    assert {path for path, status in answers.items() if status == 200} == {
        "/console/organisations",
        "/console/organisations/{organisation}",
        "/console/organisations/{organisation}/members/{user}/admin",
        "/console/users/{user}",
        "/console/users/{user}/edit",
        "/console/users/{user}/do/disable",
    }
    assert 'href="/console"' in (await browser.get("/account")).text
