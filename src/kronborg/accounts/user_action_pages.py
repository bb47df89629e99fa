"""What the console does to people, one or many: disable, enable, delete, end sessions, reset factors, add to a group.

Everything that hurts is asked for on a page of its own first, which says to whom it happens and what follows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.invitations import invite
from kronborg.accounts.model import User
from kronborg.accounts.people import People
from kronborg.accounts.reach import organisation_for
from kronborg.accounts.store import find_user, roles_of
from kronborg.accounts.users import UserChange, delete_user, join_group, update_user
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.db import Session
from kronborg.core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Policies, Principal, Resource, Wish, is_privileged
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import ConfirmPage, actor_of, agreed, confirm, done_of, may, picked, picks
from kronborg.sessions.life import end_all_sessions
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted, visit

HOME = "/console/users"
DONE = {
    "saved": "Saved.",
    "made": "The account is made. Invite its person, and they choose a password.",
    "service": "The service account is made. Name it in a client: settings.service_account.",
    "disable": "Disabled. Nobody signs in with this account any more.",
    "enable": "Enabled again.",
    "delete": "Deleted.",
    "invite": "The invitation is on its way.",
    "sessions": "Signed out everywhere.",
    "factors": "All second factors are gone. The next sign-in is by password alone.",
    "group": "Added to the group.",
}

Resetter = Callable[..., Awaitable[int]]
"""`factors.manage.reset_factors`, kept at `app.state.reset_factors`: a slice above this one."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something done to people: the right it takes, what the page asks, what the button says, what follows."""

    action: str
    question: str
    text: str
    verb: str
    effects: tuple[str, ...]
    danger: bool = True


DEEDS: Mapping[str, Deed] = {
    "disable": Deed(
        "users:write",
        "Disable %s?",
        "Nobody can sign in with the account any more.",
        "Disable",
        (
            "Every browser is signed out at once.",
            "Tokens stop working within seconds.",
            "Nothing is lost: it can be enabled again.",
        ),
    ),
    "enable": Deed(
        "users:write",
        "Enable %s?",
        "People can sign in with the account again.",
        "Enable",
        ("Roles and groups are those it had.", "They have to sign in again everywhere."),
        danger=False,
    ),
    "invite": Deed(
        "users:write",
        "Invite %s?",
        "A letter with a link goes to the address of the account: whoever follows it chooses the password.",
        "Send the invitation",
        ("The link works once, within seven days.", "Links of earlier invitations work no more."),
        danger=False,
    ),
    "delete": Deed(
        "users:delete",
        "Delete %s?",
        "The account is removed for good.",
        "Delete",
        (
            "Password, factors, sessions and memberships go with it.",
            "Applications cannot use its tokens any more.",
            "The audit log keeps what happened, without personal data.",
            "This cannot be undone.",
        ),
    ),
    "sessions": Deed(
        "users:end-sessions",
        "Sign %s out everywhere?",
        "Every browser that is signed in with the account is signed out.",
        "Sign out everywhere",
        ("Applications of these sessions are told, and their tokens end.", "Signing in again works as ever."),
    ),
    "factors": Deed(
        "users:reset-mfa",
        "Reset the second factors of %s?",
        "Authenticator apps, passkeys, recovery codes and remembered browsers are taken away.",
        "Reset second factors",
        (
            "The next sign-in is by password alone, and sets up a factor again where the policy asks for one.",
            "Make sure first that it is really they who ask: this is what somebody does who wants their account.",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Reached:
    """A person, and who may do what was asked with them; `organisation` is the one in which they may."""

    admitted: Admitted
    user: User
    organisation: str
    privileged: bool

    @property
    def section(self) -> str:
        """Where the navigation shows this person."""
        return "users" if "users" in self.admitted.sections else "organisations"


@dataclass(frozen=True, slots=True)
class GroupChoicePage(ConsolePage):
    """Into which group those selected go."""

    users: tuple[User, ...]
    fields: tuple[tuple[str, str], ...]
    group: str
    problems: tuple[Problem, ...]


def routes() -> list[Route]:
    """What is done to many, and to one."""
    return [
        Route(f"{HOME}/bulk", ask_bulk, methods=["POST"]),
        Route(f"{HOME}/bulk/group", submit_group, methods=["POST"]),
        Route(f"{HOME}/bulk/{{deed}}", submit_bulk, methods=["POST"]),
        Route(f"{HOME}/{{user_id}}/do/{{deed}}", ask_one, methods=["GET"]),
        Route(f"{HOME}/{{user_id}}/do/{{deed}}", submit_one, methods=["POST"]),
    ]


def href_of(user_id: str) -> str:
    """The page of a person."""
    return f"{HOME}/{user_id}"


def lines(text: str) -> tuple[str, ...]:
    """What is written one to a line."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def told(request: Request) -> str | None:
    """What the page says about what was just done."""
    return done_of(request, DONE)


def resetter(request: Request) -> Resetter | None:
    """What takes factors away, where there are any."""
    found: Resetter | None = getattr(request.app.state, "reset_factors", None)
    return found


def verbs_for(request: Request, found: Admitted) -> tuple[tuple[str, str, str], ...]:
    """What may be done to those selected in a list: value, label, kind of button."""
    wished = (
        ("users:roles", "group", "Add to a group", ""),
        ("users:write", "enable", "Enable", ""),
        ("users:write", "disable", "Disable", "danger"),
        ("users:delete", "delete", "Delete", "danger"),
    )
    return tuple(
        (value, label, kind) for action, value, label, kind in wished if may(request, found, action, Resource("user"))
    )


async def reached(request: Request, action: str, *, fresh: bool = False, page: str = "") -> Reached | Response:
    """The person of this address, for somebody who may do this. Raises `Forbidden`, `NotFound`.

    `page` is what follows the person's address on the page that asks, for who has to sign in again first.
    """
    user_id: str = request.path_params["user_id"]
    here = await visit(request)
    organisation, user, privileged = "", None, False
    if here is not None:
        principal: Principal = await request.app.state.principal_of(here)
        async with parts_of(request).database.read() as session:
            user = await find_user(session, user_id)
            change = action != "users:read"
            organisation = await organisation_for(session, user_id, principal.administers, change=change)
            privileged = is_privileged(await roles_of(session, user_id))
    back = f"{href_of(user_id)}{page}" if fresh else None
    found = await admitted(request, action, Resource("user", user_id, organisation, privileged), fresh=fresh, back=back)
    if isinstance(found, Response):
        return found
    if user is None:
        raise NotFound("there is no such user")
    return Reached(found, user, organisation, privileged)


async def ask_one(request: Request) -> Response:
    """What doing this to one person means."""
    name, deed = _deed(request)
    found = await reached(request, deed.action, fresh=True, page=f"/do/{name}")
    if isinstance(found, Response):
        return found
    return confirm(request, _question(found, name, deed))


async def submit_one(request: Request) -> Response:
    """Do it."""
    form = await checked_form(request)
    name, deed = _deed(request)
    found = await reached(request, deed.action, fresh=True, page=f"/do/{name}")
    if isinstance(found, Response):
        return found
    if name == "delete" and not agreed(form, found.user.username):
        page = _question(found, name, deed, error="This is not the username.")
        return confirm(request, page)
    async with whole(parts_of(request).database) as session:
        await _do(request, session, name, found.user, found.admitted, clock.now())
    if name == "delete":
        return redirect(request, f"{HOME}?done=delete")
    return redirect(request, f"{href_of(found.user.id)}?done={name}")


def _question(found: Reached, name: str, deed: Deed, *, error: str = "") -> ConfirmPage:
    user = found.user
    return ConfirmPage(
        found.admitted,
        found.section,
        deed.question % user.username,
        deed.text,
        deed.verb,
        f"{href_of(user.id)}/do/{name}",
        href_of(user.id),
        deed.effects,
        (_called(user),),
        crumbs=(("Users", HOME), (user.username, href_of(user.id))),
        danger=deed.danger,
        typed=user.username if name == "delete" else "",
        error=error,
    )


async def ask_bulk(request: Request) -> Response:
    """What doing this to all those selected means."""
    form = await checked_form(request)
    name, ids = form.get("do", ""), picked(form)
    deed = DEEDS.get(name)
    if name != "group" and (deed is None or name not in ("disable", "enable", "delete")):
        raise NotFound("there is no such action")
    action = "users:roles" if deed is None else deed.action
    found = await admitted(request, action, Resource("user"), fresh=True, back=HOME)
    if isinstance(found, Response):
        return found
    users = await _selected(request, ids)
    if not users:
        return redirect(request, HOME)
    fields = picks(tuple(user.id for user in users))
    if deed is None:
        return render(request, "accounts/choose_group.html", GroupChoicePage(found, "users", users, fields, "", ()))
    count = f"{len(users)} account{'s' if len(users) > 1 else ''}"
    page = ConfirmPage(
        found,
        "users",
        deed.question % count,
        deed.text,
        f"{deed.verb} {count}",
        f"{HOME}/bulk/{name}",
        HOME,
        deed.effects,
        tuple(_called(user) for user in users),
        fields,
        (("Users", HOME),),
        danger=deed.danger,
        typed="delete" if name == "delete" else "",
    )
    return confirm(request, page)


async def submit_bulk(request: Request) -> Response:
    """Do it to all of them, or to none."""
    form = await checked_form(request)
    name, deed = _deed(request)
    if name not in ("disable", "enable", "delete"):
        raise NotFound("there is no such action")
    found = await admitted(request, deed.action, Resource("user"), fresh=True, back=HOME)
    if isinstance(found, Response):
        return found
    if name == "delete" and not agreed(form, "delete"):
        raise Invalid(Problem("typed", "the word that confirms it is missing", "go back and type it"))
    users = await _selected(request, picked(form))
    await _check_each(request, found, deed.action, users)
    async with whole(parts_of(request).database) as session:
        for user in users:
            await _do(request, session, name, user, found, clock.now())
    return redirect(request, f"{HOME}?done={name}")


async def submit_group(request: Request) -> Response:
    """Put all of them into a group."""
    form = await checked_form(request)
    found = await admitted(request, "users:roles", Resource("user"), fresh=True, back=HOME)
    if isinstance(found, Response):
        return found
    users, group = await _selected(request, picked(form)), form.get("group", "").strip()
    await _check_each(request, found, "users:roles", users)
    try:
        async with whole(parts_of(request).database) as session:
            for user in users:
                await join_group(session, user.id, group, actor=actor_of(found), now=clock.now())
    except Invalid as refusal:
        fields = picks(tuple(user.id for user in users))
        page = GroupChoicePage(found, "users", users, fields, group, refusal.problems[:1])
        return render(request, "accounts/choose_group.html", page, status=422)
    return redirect(request, f"{HOME}?done=group")


async def _do(request: Request, session: Session, name: str, user: User, found: Admitted, now: datetime) -> None:
    actor = actor_of(found)
    if user.id == found.visit.user_id and name in ("disable", "delete"):
        raise Conflict("this is your own account: let another administrator do that")
    match name:
        case "disable" | "enable":
            await update_user(session, user.id, UserChange(disabled=name == "disable"), actor=actor, now=now)
        case "invite":
            people: People = request.app.state.people
            await invite(session, people.letters, user.id, actor=actor, now=now)
        case "delete":
            await delete_user(session, user.id, actor=actor, now=now)
        case "sessions":
            await end_all_sessions(session, user.id, actor=actor, now=now)
        case "factors":
            reset = resetter(request)
            if reset is None:
                raise NotFound("there are no factors here")
            await reset(session, user.id, actor=actor, now=now)


def _deed(request: Request) -> tuple[str, Deed]:
    name: str = request.path_params["deed"]
    if name not in DEEDS:
        raise NotFound("there is no such action")
    return name, DEEDS[name]


async def _selected(request: Request, ids: tuple[str, ...]) -> tuple[User, ...]:
    async with parts_of(request).database.read() as session:
        found = [await find_user(session, user_id) for user_id in ids]
    return tuple(user for user in found if user is not None)


async def _check_each(request: Request, found: Admitted, action: str, users: tuple[User, ...]) -> None:
    """Raise `Forbidden` when one of those selected is out of reach: policies may tell people apart."""
    policies: Policies = request.app.state.policies
    async with parts_of(request).database.read() as session:
        privileged = [is_privileged(await roles_of(session, user.id)) for user in users]
    wishes = [
        Wish(action, Resource("user", user.id, privileged=one)) for user, one in zip(users, privileged, strict=True)
    ]
    if not all(policies.decide(found.principal, wishes)):
        raise Forbidden("you may not do this to all of those selected")


def _called(user: User) -> str:
    return f"{user.username} ({user.name})" if user.name else user.username
