"""Organisations: short names, domains that count once verified, members."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from kronborg.accounts.organisations import (
    OrganisationDraft,
    add_member,
    create_organisation,
    delete_organisation,
    remove_member,
    update_organisation,
)
from kronborg.accounts.organisations_store import (
    find_organisation_by_slug,
    list_members,
    list_organisations,
    organisation_of_domain,
    organisations_of,
)
from kronborg.accounts.principals import principal_of
from kronborg.accounts.users import NewUser, create_user, delete_user
from kronborg.core.db import Database, Session
from kronborg.core.errors import Conflict, Invalid, NotFound
from kronborg.core.policy import Policies, Resource

pytestmark = pytest.mark.anyio

ACME = OrganisationDraft("acme", "Acme", domains=("Acme.example", "acme.test"))


async def _person(session: Session, name: str, now: datetime) -> str:
    return (await create_user(session, NewUser(name, f"{name}@acme.example"), actor="test", now=now)).id


async def test_a_domain_counts_once_it_is_verified(database: Database, now: datetime) -> None:
    async with database.write() as session:
        made = await create_organisation(session, ACME, actor="test", now=now)
        before = await organisation_of_domain(session, "acme.example")
        verified = OrganisationDraft(
            "acme", "Acme", domains=("acme.example", "new.example"), verified=("acme.example",)
        )
        changed = await update_organisation(session, made.id, verified, actor="test", now=now)
        found = await organisation_of_domain(session, "ACME.example")
        other = await organisation_of_domain(session, "acme.test")

    assert before is None
    assert found == changed
    assert other is None
    assert [domain.name for domain in changed.domains] == ["acme.example", "new.example"]
    assert changed.domains[0].token == made.domains[0].token != changed.domains[1].token


async def test_short_names_and_domains_belong_to_one(database: Database, now: datetime) -> None:
    async with database.write() as session:
        await create_organisation(session, ACME, actor="test", now=now)

    for draft in (OrganisationDraft("ACME"), OrganisationDraft("other", domains=("acme.TEST",))):
        with pytest.raises(Conflict):
            async with database.write() as session:
                await create_organisation(session, draft, actor="test", now=now)
    for wrong in (
        OrganisationDraft("-"),
        OrganisationDraft("x", domains=("no domain",)),
        OrganisationDraft("x", verified=("acme.example",)),
        OrganisationDraft("x", name="\u202ex"),
    ):
        with pytest.raises(Invalid):
            async with database.write() as session:
                await create_organisation(session, wrong, actor="test", now=now)


async def test_members_come_change_and_go(database: Database, now: datetime) -> None:
    async with database.write() as session:
        one = await create_organisation(session, ACME, actor="test", now=now)
        two = await create_organisation(session, OrganisationDraft("zeta"), actor="test", now=now)
        hamlet, ofelia = await _person(session, "hamlet", now), await _person(session, "ofelia", now)
        await add_member(session, one.id, hamlet, actor="test", now=now)
        await add_member(session, one.id, hamlet, role="admin", actor="test", now=now + timedelta(days=1))
        await add_member(session, two.id, hamlet, actor="test", now=now)
        await add_member(session, one.id, ofelia, actor="test", now=now)
        belongs = await organisations_of(session, hamlet)
        members = await list_members(session, (one.id, two.id))
        found = await list_members(session, (one.id,), search="OFE")
        await remove_member(session, two.id, hamlet, actor="test", now=now)
        await delete_user(session, ofelia, actor="test", now=now)
        left = await list_members(session, (one.id, two.id))
        with pytest.raises(NotFound):
            await remove_member(session, two.id, hamlet, actor="test", now=now)
        with pytest.raises(Invalid):
            await add_member(session, one.id, hamlet, role="king", actor="test", now=now)

    assert [(one.slug, one.role) for one in belongs] == [("acme", "admin"), ("zeta", "member")]
    assert [member.user.username for member in members] == ["hamlet", "ofelia"]
    assert [member.user.username for member in found] == ["ofelia"]
    assert [(member.user.username, member.role, member.added_at) for member in left] == [("hamlet", "admin", now)]


async def test_administrators_of_an_organisation_reach_their_own_only(database: Database, now: datetime) -> None:
    async with database.write() as session:
        one = await create_organisation(session, ACME, actor="test", now=now)
        hamlet = await _person(session, "hamlet", now)
        await add_member(session, one.id, hamlet, role="admin", actor="test", now=now)

    principal = await principal_of(database, hamlet)

    assert principal.administers == (one.id,)
    assert Policies().allows(principal, "users:write", Resource("user", "u", one.id))
    assert not Policies().allows(principal, "users:write", Resource("user", "u", "another"))
    assert not Policies().allows(principal, "users:write", Resource("user", "u"))
    assert not Policies().allows(principal, "users:delete", Resource("user", "u", one.id))


async def test_a_removed_organisation_leaves_its_people(database: Database, now: datetime) -> None:
    async with database.write() as session:
        one = await create_organisation(session, ACME, actor="test", now=now)
        hamlet = await _person(session, "hamlet", now)
        await add_member(session, one.id, hamlet, actor="test", now=now)

        await delete_organisation(session, one.id, actor="test", now=now)
        gone = await find_organisation_by_slug(session, "acme")
        none = await organisations_of(session, hamlet)
        left = await list_organisations(session)

    assert gone is None
    assert none == []
    assert left == []
