"""Roles in tokens: global ones, those of an API and of a client, those of groups, and those of service accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from kronborg.accounts.groups import create_group
from kronborg.accounts.organisations import OrganisationDraft, add_member, create_organisation
from kronborg.accounts.users import NewUser, UserChange, create_user, delete_user, update_user
from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import remove_api, save_api
from kronborg.clients.settings import ApiSettings, ClientSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.jose import parse
from kronborg.tokens.exchange import exchange
from kronborg.tokens.model import GrantDetails
from token_site import CART, CATALOGUE, Person, Site, claims_of, token_site

pytestmark = pytest.mark.anyio

CLAIMS = {"mapped_roles": "roles"} | {name: name for name in ("groups", "org_id", "organisation", "org_role")}


@pytest.fixture
async def site(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Site]:
    async with token_site(database, vault, now) as opened:
        yield opened


async def _declare(site: Site, **settings: Any) -> None:
    """Both APIs of the site declare roles, and wish for claims about people."""
    async with site.engine.database.write() as session:
        for audience, scopes, form in (
            (CATALOGUE, ("catalogue:read", "catalogue:write"), "jwt"),
            (CART, ("cart:read",), "reference"),
        ):
            name = scopes[0].partition(":")[0]
            usual = {"roles": {"editor": "Edits", "reader": "Reads"}, "role_prefix": name, "claims": CLAIMS}
            draft = ApiDraft(audience, name, tuple(Scope(one, "Use") for one in scopes), form)
            draft = replace(draft, settings=ApiSettings(**(usual | settings)))
            await save_api(session, draft, actor="test", now=site.clock.now)


async def _give(site: Site, person: Person, *roles: str) -> None:
    async with site.engine.database.write() as session:
        await update_user(session, person.user.id, UserChange(roles=roles), actor="test", now=site.clock.now)


async def test_an_api_is_told_global_roles_and_its_own_without_prefix(site: Site) -> None:
    await _declare(site)
    await site.web_client()
    person = await site.person()
    await _give(site, person, "clerk", "catalogue/editor", "cart/reader")

    catalogue = await site.tokens(person)
    cart = await site.tokens(person, scopes=("cart:read",), audiences=(CART,))
    told = await site.introspect(cart["access_token"], "cart-api")
    inside = await exchange(site.engine, cart["access_token"], now=site.clock.now)

    claims = claims_of(catalogue["access_token"])
    assert claims["roles"] == claims["mapped_roles"] == ["clerk", "editor"]
    assert told["roles"] == ["clerk", "reader"]
    assert inside is not None
    assert parse(inside.token).claims["roles"] == ["clerk", "reader"]
    assert (await site.introspect(catalogue["access_token"]))["roles"] == ["clerk", "editor"]


async def test_roles_of_an_api_are_not_carried_to_another_by_exchange(site: Site) -> None:
    await _declare(site)
    await site.web_client()
    grant = "urn:ietf:params:oauth:grant-type:token-exchange"
    await site.client(
        "bff",
        grants=(grant,),
        scopes=("catalogue:read", "cart:read"),
        audiences=(CATALOGUE,),
        settings=ClientSettings(exchange_audiences=(CART,), may_impersonate=True),
    )
    person = await site.person()
    await _give(site, person, "clerk", "catalogue/editor", "cart/reader")
    code = await site.code(person, scopes=("catalogue:read", "cart:read"), audiences=(CATALOGUE, CART))
    token = (await site.redeem(code, resource=CATALOGUE)).json()["access_token"]

    answer = await site.token(
        "bff",
        grant_type=grant,
        subject_token=token,
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        resource=CART,
    )

    told = await site.introspect(answer.json()["access_token"], "cart-api")
    assert told["roles"] == ["clerk", "reader"]


async def test_a_client_is_told_its_own_roles(site: Site) -> None:
    await site.web_client(settings=ClientSettings(roles={"boss": "Leads"}))
    await site.web_client("other")
    person = await site.person()
    await _give(site, person, "clerk", "web/boss")

    own = await site.tokens(person)
    others = await site.tokens(person, "other")

    assert claims_of(own["id_token"])["roles"] == ["boss"]
    assert "roles" not in claims_of(others["id_token"])
    assert claims_of(own["access_token"])["roles"] == ["clerk"]


async def test_nobody_is_given_a_role_that_nobody_declares(site: Site) -> None:
    await _declare(site)
    person = await site.person()

    for role in ("catalogue/king", "nobody/editor"):
        with pytest.raises(Invalid):
            await _give(site, person, role)
        with pytest.raises(Invalid):
            async with site.engine.database.write() as session:
                await create_group(session, "g", roles=(role,), actor="test", now=site.clock.now)
    await _give(site, person, "catalogue/editor")
    async with site.engine.database.write() as session:
        await remove_api(session, CATALOGUE, actor="test", now=site.clock.now)
    # What somebody had stays until it is taken away, and says nothing to anybody.
    await _give(site, person, "catalogue/editor", "clerk")


async def test_two_do_not_declare_roles_under_one_name(site: Site) -> None:
    await _declare(site)

    with pytest.raises(Invalid):
        await site.web_client("catalogue", settings=ClientSettings(roles={"x": ""}))
    for roles in ({"kronborg:admin": ""}, {"a/b": ""}, {"": ""}, {"x": "\u202e"}):
        with pytest.raises(Invalid):
            await site.web_client("web", settings=ClientSettings(roles=roles))
    with pytest.raises(Invalid):
        await _declare(site, role_prefix=None)


async def test_groups_and_roles_of_all_a_group_stands_in_are_told(site: Site) -> None:
    await _declare(site)
    await site.web_client()
    person = await site.person()
    async with site.engine.database.write() as session:
        now = site.clock.now
        await create_group(session, "staff", roles=("catalogue/editor",), actor="test", now=now)
        await create_group(session, "guard", roles=("watch",), parent="staff", actor="test", now=now)
        await update_user(session, person.user.id, UserChange(groups=("guard",)), actor="test", now=now)

    claims = claims_of((await site.tokens(person))["access_token"])

    assert claims["roles"] == ["editor", "watch"]
    assert claims["groups"] == ["guard", "staff"]


@pytest.mark.spec("RFC 9068 §2.2.3.1")
async def test_a_service_account_gives_its_client_roles_and_groups(site: Site) -> None:
    await _declare(site)
    async with site.engine.database.write() as session:
        now = site.clock.now
        await create_group(session, "robots", roles=("night",), actor="test", now=now)
        new = NewUser("importer", kind="service", roles=("catalogue/editor", "cart/reader"), groups=("robots",))
        account = await create_user(session, new, actor="test", now=now)
    await site.client("batch", settings=ClientSettings(service_account="Importer"))
    grant = "client_credentials"

    jwt = (await site.token("batch", grant_type=grant, resource=CATALOGUE)).json()["access_token"]
    reference = (await site.token("batch", grant_type=grant, resource=CART)).json()["access_token"]
    told = await site.introspect(reference, "cart-api")
    async with site.engine.database.write() as session:
        await update_user(session, account.id, UserChange(disabled=True), actor="test", now=site.clock.now)
    refused = await site.token("batch", grant_type=grant, resource=CATALOGUE)
    after = await site.introspect(reference, "cart-api"), await site.introspect(jwt)

    claims = claims_of(jwt)
    assert (claims["sub"], claims["roles"], claims["groups"]) == ("batch", ["editor", "night"], ["robots"])
    assert (told["sub"], told["roles"]) == ("batch", ["night", "reader"])
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert after == ({"active": False}, {"active": False})


async def test_a_person_is_no_service_account(site: Site) -> None:
    await site.person("hamlet", roles=("king",))
    await site.client("batch", settings=ClientSettings(service_account="hamlet"))

    answer = await site.token("batch", grant_type="client_credentials", resource=CATALOGUE)

    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


async def test_the_organisation_is_told_when_there_is_one_or_one_was_asked_for(site: Site) -> None:
    await _declare(site)
    await site.web_client()
    person = await site.person()
    async with site.engine.database.write() as session:
        now = site.clock.now
        one = await create_organisation(session, OrganisationDraft("acme"), actor="test", now=now)
        two = await create_organisation(session, OrganisationDraft("zeta"), actor="test", now=now)
        await add_member(session, one.id, person.user.id, role="admin", actor="test", now=now)

    single = claims_of((await site.tokens(person))["access_token"])
    async with site.engine.database.write() as session:
        await add_member(session, two.id, person.user.id, actor="test", now=site.clock.now)
    several = claims_of((await site.tokens(person))["access_token"])
    asked = await site.tokens(person, details=GrantDetails(organisation=two.id))

    assert (single["org_id"], single["organisation"], single["org_role"]) == (one.id, "acme", "admin")
    assert "org_id" not in several
    assert claims_of(asked["access_token"])["organisation"] == claims_of(asked["id_token"])["organisation"] == "zeta"


async def test_a_deleted_service_account_ends_its_tokens(site: Site) -> None:
    async with site.engine.database.write() as session:
        account = await create_user(session, NewUser("robot", kind="service"), actor="test", now=site.clock.now)
    await site.client("batch", settings=ClientSettings(service_account="robot"))
    token = (await site.token("batch", grant_type="client_credentials", resource=CATALOGUE)).json()["access_token"]
    async with site.engine.database.write() as session:
        await delete_user(session, account.id, actor="test", now=site.clock.now)

    assert await site.introspect(token) == {"active": False}
