"""Users, groups and roles in the admin API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from kronborg.accounts.groups import create_group, delete_group, update_group
from kronborg.accounts.model import Group, User
from kronborg.accounts.organisations_api import check_right
from kronborg.accounts.roles_store import list_declared_roles
from kronborg.accounts.store import find_group, find_user, list_groups, list_users
from kronborg.accounts.users import NewUser, UserChange, create_user, delete_user, update_user
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
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole

router = APIRouter()

Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z._-]+$")]
Names = Annotated[tuple[Word, ...], Field(max_length=200)]


class ShownUser(Shown):
    """A person."""

    id: str
    username: str
    email: str | None
    name: str
    disabled: bool
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    kind: Literal["person", "service"]
    managed_by: str
    """Who keeps the account up to date, like `ldap:corp`; empty for Kronborg itself."""
    email_verified: bool
    created_at: datetime
    updated_at: datetime


class UserToMake(Body):
    """A person to be made, without a password."""

    username: Word
    email: Text | None = None
    name: Text = ""
    roles: Names = ()
    groups: Names = ()
    disabled: bool = False
    kind: Literal["person", "service"] = "person"
    """`service` for machines: a client names it as its service account, and nobody signs in with it."""


class UserToChange(Body):
    """What to change of a person; what is null or missing stays. An empty `email` takes the address away."""

    username: Word | None = None
    email: Text | None = None
    name: Text | None = None
    roles: Names | None = None
    groups: Names | None = None
    disabled: bool | None = None


class ShownGroup(Shown):
    """A group and the roles it gives."""

    id: str
    name: str
    parent: str | None
    """The group that it stands in."""
    roles: tuple[str, ...]
    effective_roles: tuple[str, ...]
    """What its members have by it: its roles, and those of all groups that it stands in."""
    created_at: datetime
    updated_at: datetime


class GroupToMake(Body):
    """A group to be made."""

    name: Word
    parent: Text = ""
    roles: Names = ()


class GroupToChange(Body):
    """What to change of a group; what is null or missing stays. An empty `parent` lets it stand by itself."""

    name: Word | None = None
    parent: Text | None = None
    roles: Names | None = None


class ShownRole(Shown):
    """A role that an API or a client declares, as it is given to people and groups."""

    full: str
    prefix: str
    name: str
    description: str


def _user(user: User) -> ShownUser:
    return ShownUser.model_validate(user)


def _group(group: Group) -> ShownGroup:
    return ShownGroup.model_validate(group)


@router.get("/users", tags=["users"], responses=refusals(422))
async def read_users(request: Request, search: Search = "", after: After = None, limit: Limit = 50) -> Page[ShownUser]:
    """People by username; `search` is the beginning of a username, an e-mail address or a name."""
    async with parts_of(request).database.read() as session:
        users = await list_users(session, search=search, after=after, limit=limit)
    return Page(items=[_user(user) for user in users], next=users[-1].id if len(users) == limit else None)


@router.post("/users", status_code=201, tags=["users"], responses=refusals(409, 422))
async def make_user(request: Request, response: Response, body: UserToMake) -> ShownUser:
    """Make a person. A password is set by `POST /users/{id}/password`."""
    new = NewUser(body.username, body.email, body.name, body.roles, body.groups, body.disabled, body.kind)
    if body.roles or body.groups:
        await check_right(request, "users:roles", Resource("user"))
    async with whole(parts_of(request).database) as session:
        user = await create_user(session, new, actor=caller_of(request).actor, now=clock.now())
    shown = _user(user)
    with_etag(response, shown)
    response.headers["location"] = f"{parts_of(request).issuer}/api/users/{user.id}"
    return shown


@router.get("/users/{user_id}", tags=["users"], responses=refusals(404, 422))
async def read_user(request: Request, response: Response, user_id: Id) -> ShownUser:
    """One person."""
    async with parts_of(request).database.read() as session:
        user = await find_user(session, user_id)
    if user is None:
        raise NotFound("there is no such user")
    shown = _user(user)
    with_etag(response, shown)
    return shown


@router.patch("/users/{user_id}", tags=["users"], responses=refusals(404, 409, 412, 422))
async def change_user(request: Request, response: Response, user_id: Id, body: UserToChange) -> ShownUser:
    """Change a person. `If-Match` guards against changes made meanwhile."""
    change = UserChange(body.username, body.email, body.name, body.roles, body.groups, body.disabled)
    if body.roles is not None or body.groups is not None:
        await check_right(request, "users:roles", Resource("user", user_id))
    async with whole(parts_of(request).database) as session:
        before = await find_user(session, user_id)
        check_match(request, None if before is None else _user(before))
        user = await update_user(session, user_id, change, actor=caller_of(request).actor, now=clock.now())
    shown = _user(user)
    with_etag(response, shown)
    return shown


@router.delete("/users/{user_id}", status_code=204, tags=["users"], responses=refusals(404, 412, 422))
async def remove_user(request: Request, user_id: Id) -> None:
    """Remove a person with password, sessions and memberships."""
    async with whole(parts_of(request).database) as session:
        before = await find_user(session, user_id)
        check_match(request, None if before is None else _user(before))
        await delete_user(session, user_id, actor=caller_of(request).actor, now=clock.now())


@router.get("/groups", tags=["groups"], responses=refusals(422))
async def read_groups(
    request: Request, search: Search = "", after: After = None, limit: Limit = 50
) -> Page[ShownGroup]:
    """Groups by name."""
    async with parts_of(request).database.read() as session:
        groups = await list_groups(session, search=search, after=after, limit=limit)
    return Page(items=[_group(group) for group in groups], next=groups[-1].id if len(groups) == limit else None)


@router.post("/groups", status_code=201, tags=["groups"], responses=refusals(409, 422))
async def make_group(request: Request, response: Response, body: GroupToMake) -> ShownGroup:
    """Make a group."""
    async with whole(parts_of(request).database) as session:
        actor = caller_of(request).actor
        group = await create_group(
            session, body.name, roles=body.roles, parent=body.parent, actor=actor, now=clock.now()
        )
    shown = _group(group)
    with_etag(response, shown)
    response.headers["location"] = f"{parts_of(request).issuer}/api/groups/{group.id}"
    return shown


@router.get("/groups/{group_id}", tags=["groups"], responses=refusals(404, 422))
async def read_group(request: Request, response: Response, group_id: Id) -> ShownGroup:
    """One group."""
    async with parts_of(request).database.read() as session:
        group = await find_group(session, group_id)
    if group is None:
        raise NotFound("there is no such group")
    shown = _group(group)
    with_etag(response, shown)
    return shown


@router.patch("/groups/{group_id}", tags=["groups"], responses=refusals(404, 409, 412, 422))
async def change_group(request: Request, response: Response, group_id: Id, body: GroupToChange) -> ShownGroup:
    """Change a group. `If-Match` guards against changes made meanwhile."""
    async with whole(parts_of(request).database) as session:
        before = await find_group(session, group_id)
        check_match(request, None if before is None else _group(before))
        actor = caller_of(request).actor
        group = await update_group(
            session,
            group_id,
            name=body.name,
            roles=body.roles,
            parent=body.parent,
            actor=actor,
            now=clock.now(),
        )
    shown = _group(group)
    with_etag(response, shown)
    return shown


@router.delete("/groups/{group_id}", status_code=204, tags=["groups"], responses=refusals(404, 412, 422))
async def remove_group(request: Request, group_id: Id) -> None:
    """Remove a group; its members lose its roles, and groups in it stand by themselves."""
    async with whole(parts_of(request).database) as session:
        before = await find_group(session, group_id)
        check_match(request, None if before is None else _group(before))
        await delete_group(session, group_id, actor=caller_of(request).actor, now=clock.now())


@router.get("/roles", tags=["groups"])
async def read_roles(request: Request) -> Page[ShownRole]:
    """Every role that an API or a client declares; all other roles are global, and need no declaration."""
    async with parts_of(request).database.read() as session:
        found = await list_declared_roles(session)
    return Page(items=[ShownRole.model_validate(one) for one in found], next=None)
