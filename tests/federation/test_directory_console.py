"""Directories in the console: made, tried, synced, switched, deleted; who may, and what never shows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from federation.slapd import ADMIN, ADMIN_PASSWORD, PEOPLE, SECRET, Slapd
from kronborg.accounts.principals import principal_of
from kronborg.accounts.users import UserChange, update_user
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.policy import Policies
from kronborg.federation import directory_pages
from kronborg.federation.directory_store import find_directory
from people_site import PeopleSite, Visitor, people_site

pytestmark = pytest.mark.anyio

LIST = "/console/directories"


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[PeopleSite]:
    async with people_site(database, vault, routes=tuple(directory_pages.routes())) as opened:
        opened.app.state.policies = Policies()
        opened.app.state.principal_of = lambda visit: principal_of(database, visit.user_id)
        yield opened


async def visitor_with(site: PeopleSite, role: str) -> Visitor:
    user = await site.person("boss")
    async with site.parts.database.write() as session:
        await update_user(session, user.id, UserChange(roles=(role,)), actor="test", now=clock.now())
    visitor = site.visitor()
    await visitor.sign_in("boss")
    return visitor


def form(slapd: Slapd, **changes: str) -> dict[str, str]:
    return {
        "name": "Corp", "key": "corp", "kind": "ldap", "servers": f"{slapd.url}\n{slapd.tls_url}", "start_tls": "1",
        "ca": slapd.ca_file.read_text(), "bind_dn": ADMIN, "bind_password": ADMIN_PASSWORD, "base": PEOPLE,
        "email_attribute": "mail", "create": "1", "sync_every": "1h", "attributes": "department = departmentNumber",
        "groups": "cn=admins,ou=groups,dc=corp,dc=example = administrators", "groups_by": "member_of", **changes,
    }  # fmt: skip


async def test_an_administrator_makes_tries_syncs_switches_and_deletes_a_directory(
    site: PeopleSite, slapd: Slapd
) -> None:
    slapd.person("hamlet")
    visitor = await visitor_with(site, "kronborg:admin")

    made = await visitor.post(f"{LIST}/-/new", form(slapd))
    page = await visitor.get(f"{LIST}/corp")
    tried = await visitor.post(f"{LIST}/corp/test", page=f"{LIST}/corp")
    synced = await visitor.post(f"{LIST}/corp/sync", page=f"{LIST}/corp")
    changed = form(slapd, name="Company", bind_password="")
    saved = await visitor.http.post(
        f"{LIST}/corp",
        data={**changed, **hidden_of(await visitor.get(f"{LIST}/corp"))},
        headers={"origin": visitor.issuer, "sec-fetch-site": "same-origin"},
    )
    signed_in = await site.visitor().sign_in("hamlet", SECRET)
    off = await visitor.post(f"{LIST}/corp/switch", {"enabled": "0"}, page=f"{LIST}/corp")
    listed = await visitor.get(LIST)
    async with site.parts.database.read() as session:
        kept = await find_directory(session, "corp")
    unsure = await visitor.post(f"{LIST}/corp/delete", {"typed": "x"})
    gone = await visitor.post(f"{LIST}/corp/delete", {"typed": "corp"})

    assert (made.status_code, made.headers["location"]) == (303, f"{LIST}/corp?done=made")
    assert "It answers as it should." in tried.text
    assert synced.headers["location"].endswith("done=synced")
    assert (saved.status_code, signed_in.status_code, off.status_code) == (303, 303, 303)
    assert kept is not None
    assert kept.directory.groups == {"cn=admins,ou=groups,dc=corp,dc=example": "administrators"}
    assert (kept.directory.name, kept.directory.disabled, bool(kept.sealed)) == ("Company", True, True)
    assert "Disabled" in listed.text
    assert ADMIN_PASSWORD not in page.text + tried.text + listed.text
    assert (unsure.status_code, gone.headers["location"]) == (422, f"{LIST}?done=deleted")


def hidden_of(answer: object) -> dict[str, str]:
    """The hidden fields of the form that saves."""
    text = str(getattr(answer, "text", ""))
    inside = text[text.rindex("<form") :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', inside))


async def test_what_is_wrong_stands_on_the_form_with_what_was_typed(site: PeopleSite, slapd: Slapd) -> None:
    visitor = await visitor_with(site, "kronborg:admin")

    wrong = form(slapd, base="nowhere", sync_every="soon", filter="(uid=x)", groups="nothing here")
    answer = await visitor.post(f"{LIST}/-/new", wrong)
    unread = await visitor.post(f"{LIST}/-/new", form(slapd, base="nowhere", filter="(uid=x)"))

    assert answer.status_code == unread.status_code == 422
    assert "is not a duration" in answer.text
    assert "a line has no =" in answer.text
    assert "is not a distinguished name" in unread.text
    assert "nowhere" in unread.text
    assert ADMIN_PASSWORD not in answer.text


async def test_an_auditor_looks_and_changes_nothing_and_others_see_nothing(site: PeopleSite, slapd: Slapd) -> None:
    auditor = await visitor_with(site, "kronborg:auditor")
    await site.person("anna")
    anna = site.visitor()
    await anna.sign_in("anna")

    looked, made = await auditor.get(LIST), await auditor.get(f"{LIST}/-/new")
    nothing = await anna.get(LIST)
    stranger = await site.visitor().get(LIST)

    assert (looked.status_code, "New directory" in looked.text) == (200, False)
    assert (made.status_code, nothing.status_code, stranger.status_code) == (403, 403, 303)
