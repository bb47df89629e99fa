"""`/console/users`: find people, see one of them, make and change them. What hurts is in `user_action_pages.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts import user_action_pages
from kronborg.accounts.model import Belonging, User
from kronborg.accounts.organisations_store import organisations_of
from kronborg.accounts.reach import organisation_for
from kronborg.accounts.roles_store import list_declared_roles
from kronborg.accounts.store import list_groups, list_users, roles_of
from kronborg.accounts.user_action_pages import HOME, href_of, lines, reached, told
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import Paging, actor_of, asked, may, paged, problems_of
from kronborg.sessions.model import Admitted, BrowserSession, ConsolePage, device_of
from kronborg.sessions.store import list_sessions
from kronborg.sessions.visits import admitted

ROWS = 50
NEW = f"{HOME}/new"
MOST_BOXES = 60


@dataclass(frozen=True, slots=True)
class UsersPage(ConsolePage):
    """The list."""

    q: str
    users: Paging[User]
    verbs: tuple[tuple[str, str, str], ...]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A browser in which somebody is signed in."""

    device: str
    address: str
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class UserPage(ConsolePage):
    """One person."""

    user: User
    href: str
    roles: tuple[str, ...]
    organisations: tuple[Belonging, ...]
    sessions: tuple[ShownSession, ...]
    myself: bool
    may_write: bool
    may_delete: bool
    may_end: bool
    may_reset: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class UserFormPage(ConsolePage):
    """The form of a person, new or not. `may_identify`: also names to sign in with; `may_roles`: groups and roles."""

    user: User
    href: str
    is_new: bool
    may_identify: bool
    may_roles: bool
    groups: tuple[str, ...]
    declared: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


def routes() -> list[Route]:
    """Everything below `/console/users`."""
    return [
        Route(HOME, show_users, methods=["GET"]),
        Route(NEW, show_new, methods=["GET"]),
        Route(NEW, submit_new, methods=["POST"]),
        *user_action_pages.routes(),
        Route(f"{HOME}/{{user_id}}", show_user, methods=["GET"]),
        Route(f"{HOME}/{{user_id}}/edit", show_edit, methods=["GET"]),
        Route(f"{HOME}/{{user_id}}/edit", submit_edit, methods=["POST"]),
    ]


async def show_users(request: Request) -> Response:
    """People by username, some at a time, or those whose username, address or name begins with what was typed."""
    found = await admitted(request, "users:read", Resource("user"))
    if isinstance(found, Response):
        return found
    q, after = asked(request), asked(request, "after")
    async with parts_of(request).database.read() as session:
        users = await list_users(session, search=q, after=after or None, limit=ROWS + 1)
    may_write = may(request, found, "users:write", Resource("user"))
    page = UsersPage(
        found,
        "users",
        q,
        paged(request, users, ROWS, lambda one: one.id),
        user_action_pages.verbs_for(request, found),
        may_write,
        told(request),
    )
    return render(request, "accounts/users.html", page, block="found")


async def show_user(request: Request) -> Response:
    """One person, with groups, roles, organisations and browsers."""
    found = await reached(request, "users:read")
    if isinstance(found, Response):
        return found
    here, user, now = found.admitted, found.user, clock.now()
    async with parts_of(request).database.read() as session:
        roles = await roles_of(session, user.id)
        belongs = tuple(await organisations_of(session, user.id))
        browsers = await list_sessions(session, user.id, idle=parts_of(request).session_idle, now=now)
        own = await organisation_for(session, user.id, here.principal.administers, change=True)
    change = Resource("user", user.id, own, found.privileged)
    page = UserPage(
        here,
        found.section,
        user,
        href_of(user.id),
        roles,
        belongs,
        tuple(_shown(one) for one in browsers[:20]),
        user.id == here.visit.user_id,
        may(request, here, "users:write", change),
        may(request, here, "users:delete", change),
        may(request, here, "users:end-sessions", change),
        may(request, here, "users:reset-mfa", change) and user_action_pages.resetter(request) is not None,
        told(request),
        now,
    )
    return render(request, "accounts/user.html", page)


def _shown(one: BrowserSession) -> ShownSession:
    return ShownSession(device_of(one.user_agent), one.address, one.last_seen_at)


async def show_new(request: Request) -> Response:
    """The form of a new person."""
    found = await admitted(request, "users:write", Resource("user"))
    if isinstance(found, Response):
        return found
    return await _form(request, found, "users", _blank(), is_new=True)


async def submit_new(request: Request) -> Response:
    """Make the person."""
    form = await checked_form(request)
    found = await admitted(request, "users:write", Resource("user"), fresh=True, back=NEW)
    if isinstance(found, Response):
        return found
    user = replace(
        _blank(),
        username=form.get("username", "").strip(),
        email=form.get("email", "").strip(),
        name=form.get("name", "").strip(),
        kind="service" if form.get("kind") == "service" else "person",
    )
    if may(request, found, "users:roles", Resource("user")):
        user = replace(user, roles=lines(form.get("roles", "")), groups=_groups(form))
    new = NewUser(user.username, user.email, user.name, user.roles, user.groups, kind=user.kind)
    try:
        async with whole(parts_of(request).database) as session:
            made = await create_user(session, new, actor=actor_of(found), now=clock.now())
    except (Invalid, Conflict) as refusal:
        return await _form(request, found, "users", user, is_new=True, problems=problems_of(refusal, "username"))
    return redirect(request, f"{href_of(made.id)}?done={'service' if made.kind == 'service' else 'made'}")


async def show_edit(request: Request) -> Response:
    """The form of somebody."""
    found = await reached(request, "users:write")
    if isinstance(found, Response):
        return found
    return await _form(request, found.admitted, found.section, found.user, privileged=found.privileged)


async def submit_edit(request: Request) -> Response:
    """Save what this administrator may change: those of an organisation change no names to sign in with, no roles."""
    form = await checked_form(request)
    found = await reached(request, "users:write", fresh=True, page="/edit")
    if isinstance(found, Response):
        return found
    user, everywhere = found.user, Resource("user", found.user.id, privileged=found.privileged)
    after, change = replace(user, name=form.get("name", user.name)), UserChange(name=form.get("name"))
    if may(request, found.admitted, "users:write", everywhere) and not user.managed_by:
        after = replace(after, username=form.get("username", user.username), email=form.get("email", ""))
        verified = "email_verified" in form and after.email != ""
        change = replace(change, username=after.username, email=after.email, email_verified=verified)
    if may(request, found.admitted, "users:roles", everywhere):
        after = replace(after, roles=lines(form.get("roles", "")), groups=_groups(form))
        change = replace(change, roles=after.roles, groups=after.groups)
    try:
        async with whole(parts_of(request).database) as session:
            await update_user(session, user.id, change, actor=actor_of(found.admitted), now=clock.now())
    except (Invalid, Conflict) as refusal:
        here, problems = found.admitted, problems_of(refusal, "username")
        return await _form(request, here, found.section, after, privileged=found.privileged, problems=problems)
    return redirect(request, f"{href_of(user.id)}?done=saved")


async def _form(
    request: Request,
    found: Admitted,
    section: str,
    user: User,
    *,
    is_new: bool = False,
    privileged: bool = False,
    problems: tuple[Problem, ...] = (),
) -> Response:
    everywhere = Resource("user", user.id, privileged=privileged)
    async with parts_of(request).database.read() as session:
        groups = await list_groups(session, limit=MOST_BOXES + 1)
        declared = await list_declared_roles(session, limit=200)
    page = UserFormPage(
        found,
        section,
        user,
        HOME if is_new else href_of(user.id),
        is_new,
        may(request, found, "users:write", everywhere),
        may(request, found, "users:roles", everywhere),
        tuple(one.name for one in groups) if len(groups) <= MOST_BOXES else (),
        tuple((one.full, one.description) for one in declared),
        problems,
    )
    return render(request, "accounts/user_form.html", page, status=422 if problems else 200)


def _groups(form: Mapping[str, str]) -> tuple[str, ...]:
    """The groups that were ticked, or written one to a line where there are too many to tick."""
    ticked = tuple(name.removeprefix("group:") for name in form if name.startswith("group:"))
    return ticked + lines(form.get("groups", ""))


def _blank() -> User:
    moment = clock.now()
    return User("", "", None, "", False, (), (), moment, moment)
