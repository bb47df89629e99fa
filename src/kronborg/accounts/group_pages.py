"""`/console/groups`: groups, how they stand in one another, who is in them; and who has which role."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.groups import create_group, delete_group, update_group
from kronborg.accounts.model import DeclaredRole, Group, User
from kronborg.accounts.roles_store import groups_with_role, list_declared_roles, roles_given, users_with_role
from kronborg.accounts.store import child_groups, find_group, list_group_members, list_groups
from kronborg.accounts.user_action_pages import lines
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import (
    ConfirmPage,
    Paging,
    actor_of,
    agreed,
    asked,
    confirm,
    done_of,
    may,
    paged,
    problems_of,
)
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/groups"
NEW = f"{HOME}/new"
ROLES = f"{HOME}/roles"
ROWS = 50
DONE = {
    "saved": "Saved. Tokens that are issued from now on say so.",
    "made": "The group is made.",
    "deleted": "The group is gone, and with it the roles that it gave.",
}


@dataclass(frozen=True, slots=True)
class GroupsPage(ConsolePage):
    """The list of groups."""

    q: str
    groups: Paging[Group]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class GroupPage(ConsolePage):
    """One group, with the groups in it and its direct members."""

    group: Group
    href: str
    children: tuple[Group, ...]
    members: Paging[User]
    may_write: bool
    may_delete: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class GroupFormPage(ConsolePage):
    """The form of a group."""

    group: Group
    parent: str
    href: str
    is_new: bool
    declared: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class RolesPage(ConsolePage):
    """Every role there is: declared, given, or both."""

    declared: tuple[DeclaredRole, ...]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RolePage(ConsolePage):
    """Who has a role."""

    role: str
    description: str | None
    groups: tuple[tuple[str, str], ...]
    users: Paging[User]


def routes() -> list[Route]:
    """Everything below `/console/groups`."""
    one = f"{HOME}/{{group_id}}"
    return [
        Route(HOME, show_groups, methods=["GET"]),
        Route(NEW, show_new, methods=["GET"]),
        Route(NEW, submit_new, methods=["POST"]),
        Route(ROLES, show_roles, methods=["GET"]),
        Route(f"{ROLES}/{{role:path}}", show_role, methods=["GET"]),
        Route(one, show_group, methods=["GET"]),
        Route(f"{one}/edit", show_edit, methods=["GET"]),
        Route(f"{one}/edit", submit_edit, methods=["POST"]),
        Route(f"{one}/delete", ask_delete, methods=["GET"]),
        Route(f"{one}/delete", submit_delete, methods=["POST"]),
    ]


async def show_groups(request: Request) -> Response:
    """Groups by name."""
    found = await admitted(request, "groups:read", Resource("group"))
    if isinstance(found, Response):
        return found
    q, after = asked(request), asked(request, "after")
    async with parts_of(request).database.read() as session:
        groups = await list_groups(session, search=q, after=after or None, limit=ROWS + 1)
    page = GroupsPage(
        found,
        "groups",
        q,
        paged(request, groups, ROWS, lambda one: one.id),
        may(request, found, "groups:write", Resource("group")),
        done_of(request, DONE),
    )
    return render(request, "accounts/groups.html", page, block="found")


async def show_group(request: Request) -> Response:
    """One group."""
    found, group = await _reached(request, "groups:read")
    if isinstance(found, Response):
        return found
    after = asked(request, "after")
    async with parts_of(request).database.read() as session:
        children = sorted(await child_groups(session, (group.id,)), key=lambda one: one.name)
        members = await list_group_members(session, group.id, after=after, limit=ROWS + 1)
    page = GroupPage(
        found,
        "groups",
        group,
        f"{HOME}/{group.id}",
        tuple(children),
        paged(request, members, ROWS, lambda one: one.id),
        may(request, found, "groups:write", Resource("group", group.id)),
        may(request, found, "groups:delete", Resource("group", group.id)),
        done_of(request, DONE),
    )
    return render(request, "accounts/group.html", page)


async def show_new(request: Request) -> Response:
    """The form of a new group."""
    found = await admitted(request, "groups:write", Resource("group"))
    if isinstance(found, Response):
        return found
    return await _form(request, found, _blank(), asked(request, "parent"), is_new=True)


async def submit_new(request: Request) -> Response:
    """Make the group."""
    form = await checked_form(request)
    found = await admitted(request, "groups:write", Resource("group"), fresh=True, back=NEW)
    if isinstance(found, Response):
        return found
    name, parent, roles = form.get("name", ""), form.get("parent", "").strip(), lines(form.get("roles", ""))
    try:
        async with whole(parts_of(request).database) as session:
            actor, now = actor_of(found), clock.now()
            made = await create_group(session, name, roles=roles, parent=parent, actor=actor, now=now)
    except (Invalid, Conflict) as refusal:
        group = replace(_blank(), name=name, roles=roles)
        return await _form(request, found, group, parent, is_new=True, problems=problems_of(refusal, "name"))
    return redirect(request, f"{HOME}/{made.id}?done=made")


async def show_edit(request: Request) -> Response:
    """The form of a group."""
    found, group = await _reached(request, "groups:write")
    if isinstance(found, Response):
        return found
    return await _form(request, found, group, group.parent or "")


async def submit_edit(request: Request) -> Response:
    """Save it."""
    form = await checked_form(request)
    found, group = await _reached(request, "groups:write", page="/edit")
    if isinstance(found, Response):
        return found
    name, parent, roles = form.get("name", ""), form.get("parent", "").strip(), lines(form.get("roles", ""))
    try:
        async with whole(parts_of(request).database) as session:
            actor, now = actor_of(found), clock.now()
            await update_group(session, group.id, name=name, roles=roles, parent=parent, actor=actor, now=now)
    except (Invalid, Conflict) as refusal:
        drafted = replace(group, name=name, roles=roles)
        return await _form(request, found, drafted, parent, problems=problems_of(refusal, "name"))
    return redirect(request, f"{HOME}/{group.id}?done=saved")


async def ask_delete(request: Request) -> Response:
    """What removing a group means; its name has to be typed."""
    found, group = await _reached(request, "groups:delete", page="/delete")
    return found if isinstance(found, Response) else confirm(request, _question(found, group))


async def submit_delete(request: Request) -> Response:
    """Remove it."""
    form = await checked_form(request)
    found, group = await _reached(request, "groups:delete", page="/delete")
    if isinstance(found, Response):
        return found
    if not agreed(form, group.name):
        return confirm(request, replace(_question(found, group), error="This is not the name of the group."))
    async with whole(parts_of(request).database) as session:
        await delete_group(session, group.id, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=deleted")


async def show_roles(request: Request) -> Response:
    """Every role."""
    found = await admitted(request, "groups:read", Resource("group"))
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        declared = tuple(await list_declared_roles(session))
        given = await roles_given(session)
    known = {one.full for one in declared}
    others = tuple(role for role in given if role not in known)
    return render(request, "accounts/roles.html", RolesPage(found, "groups", declared, others))


async def show_role(request: Request) -> Response:
    """Who has one role: groups that give it, and people who have it directly."""
    found = await admitted(request, "groups:read", Resource("group"))
    if isinstance(found, Response):
        return found
    role: str = request.path_params["role"][:200]
    after = asked(request, "after")
    async with parts_of(request).database.read() as session:
        declared = {one.full: one.description for one in await list_declared_roles(session)}
        groups = await groups_with_role(session, role)
        users = await users_with_role(session, role, after=after, limit=ROWS + 1)
    page = RolePage(
        found,
        "groups",
        role,
        declared.get(role),
        tuple(groups),
        paged(request, users, ROWS, lambda one: one.id),
    )
    return render(request, "accounts/role.html", page)


async def _reached(request: Request, action: str, *, page: str | None = None) -> tuple[Admitted | Response, Group]:
    """The group of this address, for somebody who may do this. Raises `Forbidden`, `NotFound`."""
    group_id: str = request.path_params["group_id"]
    back = None if page is None else f"{HOME}/{quote(group_id, safe='')}{page}"
    found = await admitted(request, action, Resource("group", group_id), fresh=page is not None, back=back)
    if isinstance(found, Response):
        return found, _blank()
    async with parts_of(request).database.read() as session:
        group = await find_group(session, group_id)
    if group is None:
        raise NotFound("there is no such group")
    return found, group


async def _form(
    request: Request,
    found: Admitted,
    group: Group,
    parent: str,
    *,
    is_new: bool = False,
    problems: tuple[Problem, ...] = (),
) -> Response:
    async with parts_of(request).database.read() as session:
        declared = await list_declared_roles(session, limit=200)
    page = GroupFormPage(
        found,
        "groups",
        group,
        parent,
        HOME if is_new else f"{HOME}/{group.id}",
        is_new,
        tuple((one.full, one.description) for one in declared),
        problems,
    )
    return render(request, "accounts/group_form.html", page, status=422 if problems else 200)


def _question(found: Admitted, group: Group) -> ConfirmPage:
    return ConfirmPage(
        found,
        "groups",
        f"Delete the group {group.name}?",
        "Its members stay, and lose what they have by it.",
        "Delete group",
        f"{HOME}/{group.id}/delete",
        f"{HOME}/{group.id}",
        (
            f"Roles that they lose, unless they have them otherwise: {', '.join(group.effective_roles) or 'none'}.",
            "Groups in it stand by themselves from then on.",
            "This cannot be undone.",
        ),
        crumbs=(("Groups", HOME), (group.name, f"{HOME}/{group.id}")),
        typed=group.name,
    )


def _blank() -> Group:
    return Group("", "", (), clock.now(), clock.now())
