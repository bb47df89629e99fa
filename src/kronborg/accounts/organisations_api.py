"""Organisations, their domains and members in the admin API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from kronborg.accounts.model import Organisation
from kronborg.accounts.organisations import (
    OrganisationDraft,
    add_member,
    create_organisation,
    delete_organisation,
    remove_member,
    update_organisation,
)
from kronborg.accounts.organisations_store import find_member, find_organisation, list_members, list_organisations
from kronborg.accounts.principals import principal_of
from kronborg.core import clock
from kronborg.core.api import (
    After,
    Body,
    Limit,
    Page,
    Search,
    Shown,
    Text,
    Word,
    caller_of,
    check_match,
    refusals,
    with_etag,
)
from kronborg.core.db import ReadSession
from kronborg.core.errors import Forbidden, NotFound
from kronborg.core.parts import parts_of
from kronborg.core.policy import Policies, Resource
from kronborg.core.whole import whole

router = APIRouter(tags=["organisations"])

Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]
Domains = Annotated[tuple[Word, ...], Field(max_length=50)]


class ShownDomain(Shown):
    """A domain. `token` is what a TXT record of it says after `kronborg-domain=`, for whoever confirms it."""

    name: str
    token: str
    verified: bool


class ShownOrganisation(Shown):
    """A company whose people have accounts here."""

    id: str
    slug: str
    name: str
    provider: str
    domains: tuple[ShownDomain, ...]
    created_at: datetime
    updated_at: datetime


class OrganisationToSave(Body):
    """An organisation as it shall be. `verified` names those of its domains that are confirmed to be theirs."""

    slug: Word
    name: Text = ""
    provider: Text = ""
    domains: Domains = ()
    verified: Domains = ()


class ShownMember(Shown):
    """A person as a member."""

    id: str
    username: str
    name: str
    email: str | None
    disabled: bool
    role: Literal["member", "admin"]
    added_at: datetime


class MemberToSave(Body):
    """What a person shall be in the organisation."""

    role: Literal["member", "admin"] = "member"


async def check_right(request: Request, action: str, resource: Resource) -> None:
    """Raise `Forbidden` for a person who may not do this; for what the path of a request does not tell the guard.

    A client's own token has the rights of its scope.
    """
    kind, _, user_id = caller_of(request).actor.partition(":")
    if kind != "user":
        return
    policies: Policies = request.app.state.policies
    if not policies.allows(await principal_of(parts_of(request).database, user_id), action, resource):
        raise Forbidden("no policy permits this person to do that: it needs another role")


def _shown(one: Organisation) -> ShownOrganisation:
    return ShownOrganisation.model_validate(one)


def _draft(body: OrganisationToSave) -> OrganisationDraft:
    return OrganisationDraft(body.slug, body.name, body.provider, body.domains, body.verified)


async def _found(session: ReadSession, organisation_id: str) -> Organisation:
    one = await find_organisation(session, organisation_id)
    if one is None:
        raise NotFound("there is no such organisation")
    return one


@router.get("/organisations", responses=refusals(422))
async def read_organisations(
    request: Request, search: Search = "", after: After = None, limit: Limit = 50
) -> Page[ShownOrganisation]:
    """Organisations by short name."""
    async with parts_of(request).database.read() as session:
        found = await list_organisations(session, search=search, after=after, limit=limit)
    return Page(items=[_shown(one) for one in found], next=found[-1].id if len(found) == limit else None)


@router.post("/organisations", status_code=201, responses=refusals(409, 422))
async def make_organisation(request: Request, response: Response, body: OrganisationToSave) -> ShownOrganisation:
    """Make an organisation."""
    async with whole(parts_of(request).database) as session:
        one = await create_organisation(session, _draft(body), actor=caller_of(request).actor, now=clock.now())
    shown = _shown(one)
    with_etag(response, shown)
    response.headers["location"] = f"{parts_of(request).issuer}/api/organisations/{one.id}"
    return shown


@router.get("/organisations/{organisation_id}", responses=refusals(404, 422))
async def read_organisation(request: Request, response: Response, organisation_id: Id) -> ShownOrganisation:
    """One organisation."""
    async with parts_of(request).database.read() as session:
        shown = _shown(await _found(session, organisation_id))
    with_etag(response, shown)
    return shown


@router.put("/organisations/{organisation_id}", responses=refusals(404, 409, 412, 422))
async def save_organisation(
    request: Request, response: Response, organisation_id: Id, body: OrganisationToSave
) -> ShownOrganisation:
    """Replace an organisation; its members stay. `If-Match` guards against changes made meanwhile."""
    async with whole(parts_of(request).database) as session:
        check_match(request, _shown(await _found(session, organisation_id)))
        actor, now = caller_of(request).actor, clock.now()
        one = await update_organisation(session, organisation_id, _draft(body), actor=actor, now=now)
    shown = _shown(one)
    with_etag(response, shown)
    return shown


@router.delete("/organisations/{organisation_id}", status_code=204, responses=refusals(404, 412, 422))
async def remove_organisation(request: Request, organisation_id: Id) -> None:
    """Remove an organisation; its members keep their accounts."""
    async with whole(parts_of(request).database) as session:
        check_match(request, _shown(await _found(session, organisation_id)))
        await delete_organisation(session, organisation_id, actor=caller_of(request).actor, now=clock.now())


@router.get("/organisations/{organisation_id}/members", responses=refusals(404, 422))
async def read_members(
    request: Request, organisation_id: Id, search: Search = "", after: After = None, limit: Limit = 50
) -> Page[ShownMember]:
    """The members, in the order in which their accounts were made."""
    async with parts_of(request).database.read() as session:
        await _found(session, organisation_id)
        found = await list_members(session, (organisation_id,), search=search, after=after or "", limit=limit)
    items = [
        ShownMember(
            id=one.user.id,
            username=one.user.username,
            name=one.user.name,
            email=one.user.email,
            disabled=one.user.disabled,
            role=one.role,
            added_at=one.added_at,
        )
        for one in found
    ]
    return Page(items=items, next=found[-1].user.id if len(found) == limit else None)


@router.put("/organisations/{organisation_id}/members/{user_id}", status_code=204, responses=refusals(404, 422))
async def save_member(request: Request, organisation_id: Id, user_id: Id, body: MemberToSave) -> None:
    """Make a person a member, or change what they are there.

    Who only administers the organisation changes members; others are invited.
    """
    async with parts_of(request).database.read() as session:
        known = await find_member(session, organisation_id, user_id)
    if known is None:
        await check_right(request, "users:write", Resource("user", user_id))
    async with whole(parts_of(request).database) as session:
        actor, now = caller_of(request).actor, clock.now()
        await add_member(session, organisation_id, user_id, role=body.role, actor=actor, now=now)


@router.delete("/organisations/{organisation_id}/members/{user_id}", status_code=204, responses=refusals(404, 422))
async def drop_member(request: Request, organisation_id: Id, user_id: Id) -> None:
    """Let a person be no member any more; the account stays."""
    async with whole(parts_of(request).database) as session:
        actor, now = caller_of(request).actor, clock.now()
        await remove_member(session, organisation_id, user_id, actor=actor, now=now)
