"""Invitations and attributes of people in the admin API."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field, JsonValue

from kronborg.accounts.attributes import checked_attributes
from kronborg.accounts.invitations import invite
from kronborg.accounts.organisations import add_member
from kronborg.accounts.organisations_api import check_right
from kronborg.accounts.organisations_store import find_organisation
from kronborg.accounts.people import People
from kronborg.accounts.store import find_user
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.core import clock
from kronborg.core.api import Body, Shown, Text, Word, caller_of, refusals
from kronborg.core.db import Session
from kronborg.core.errors import NotFound
from kronborg.core.parts import part_of, parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole

router = APIRouter(tags=["users"])

Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]
Names = Annotated[tuple[Word, ...], Field(max_length=200)]


class Invitation(Body):
    """An invitation to an account that stands. `organisation` is the id of one that they become a member of."""

    organisation: Word | None = None


class InvitationToMake(Body):
    """A person to be made and invited. Without a username it is the part of the address before the `@`."""

    email: Word
    username: Word | None = None
    name: Text = ""
    roles: Names = ()
    groups: Names = ()
    organisation: Word | None = None


class ShownInvitation(Shown):
    """Who was invited, and where the letter went."""

    user_id: str
    username: str
    email: str


class ShownAttribute(Shown):
    """Something that is known of everyone; set in `kronborg.yaml`."""

    name: str
    label: str
    kind: Literal["text", "number", "boolean", "choice"]
    choices: tuple[str, ...]
    read: Literal["person", "admin"]
    write: Literal["person", "admin"]
    required: bool
    claim: str | None
    scope: str


class Attributes(Body):
    """Attributes to set, by name; null takes one away, and what is not named stays."""

    attributes: Annotated[dict[str, JsonValue], Field(max_length=100)]


class ShownAttributes(Shown):
    """The attributes of a person."""

    attributes: dict[str, JsonValue]


@router.post("/users/{user_id}/invitation", status_code=202, responses=refusals(404, 409, 422))
async def invite_user(request: Request, user_id: Id, body: Invitation) -> ShownInvitation:
    """Send a person a link to choose a password by; older ones work no more."""
    if body.organisation is not None:
        await check_right(request, "organisations:members", _organisation(body.organisation))
    async with whole(parts_of(request).database) as session:
        return await _invited(request, session, user_id, body.organisation)


@router.post("/invitations", status_code=201, responses=refusals(404, 409, 422))
async def make_invitation(request: Request, response: Response, body: InvitationToMake) -> ShownInvitation:
    """Make a person and invite them, both or neither."""
    if body.roles or body.groups:
        await check_right(request, "users:roles", Resource("user"))
    if body.organisation is not None:
        await check_right(request, "organisations:members", _organisation(body.organisation))
    username = body.username or body.email.partition("@")[0]
    new = NewUser(username, body.email, body.name, body.roles, body.groups)
    async with whole(parts_of(request).database) as session:
        user = await create_user(session, new, actor=caller_of(request).actor, now=clock.now())
        shown = await _invited(request, session, user.id, body.organisation)
    response.headers["location"] = f"{parts_of(request).issuer}/api/users/{user.id}"
    return shown


@router.get("/attributes", responses=refusals(422))
async def read_attribute_schema(request: Request) -> list[ShownAttribute]:
    """What is known of everyone besides name and address."""
    return [ShownAttribute.model_validate(one) for one in _people(request).settings.attributes]


@router.get("/users/{user_id}/attributes", responses=refusals(404, 422))
async def read_attributes(request: Request, user_id: Id) -> ShownAttributes:
    """The attributes of a person."""
    async with parts_of(request).database.read() as session:
        user = await find_user(session, user_id)
    if user is None:
        raise NotFound("there is no such user")
    return ShownAttributes.model_validate({"attributes": user.attributes})


@router.patch("/users/{user_id}/attributes", responses=refusals(404, 422))
async def change_attributes(request: Request, user_id: Id, body: Attributes) -> ShownAttributes:
    """Set attributes of a person, as the schema allows."""
    schema = _people(request).settings.attributes
    async with whole(parts_of(request).database) as session:
        user = await find_user(session, user_id)
        if user is None:
            raise NotFound("there is no such user")
        change = UserChange(attributes=checked_attributes(schema, user.attributes, body.attributes, by="admin"))
        after = await update_user(session, user_id, change, actor=caller_of(request).actor, now=clock.now())
    return ShownAttributes.model_validate({"attributes": after.attributes})


async def _invited(request: Request, session: Session, user_id: str, organisation_id: str | None) -> ShownInvitation:
    actor, now, name = caller_of(request).actor, clock.now(), ""
    if organisation_id is not None:
        organisation = await find_organisation(session, organisation_id)
        if organisation is None:
            raise NotFound("there is no such organisation")
        await add_member(session, organisation.id, user_id, actor=actor, now=now)
        name = organisation.name
    letters = _people(request).letters
    user = await invite(session, letters, user_id, actor=actor, organisation=name, now=now)
    return ShownInvitation(user_id=user.id, username=user.username, email=user.email or "")


def _people(request: Request) -> People:
    return part_of(request, "people", People)


def _organisation(organisation_id: str) -> Resource:
    return Resource("organisation", organisation_id, organisation_id)
