"""The members of an organisation in the console: add, change, remove.

Who administers the organisation changes and removes its members; only who may change any account adds one that there is
already. Others are invited.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.model import MEMBER_ROLES, Organisation, User
from kronborg.accounts.organisations import add_member, remove_member
from kronborg.accounts.organisations_store import find_member, find_organisation
from kronborg.accounts.store import find_by_login, find_user
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Forbidden, Invalid, NotFound, Problem
from kronborg.core.html import redirect
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, may
from kronborg.sessions.model import Admitted
from kronborg.sessions.visits import admitted

HOME = "/console/organisations"
EFFECTS = {
    "admin": ("They see its members, change and disable them, sign them out and reset their second factors.",),
    "member": ("They do not administer the organisation any more.",),
    "remove": (
        "The account stays, with its groups and roles.",
        "Tokens do not tell of the organisation any more.",
    ),
}


def routes() -> list[Route]:
    """What changes who is a member."""
    one = f"{HOME}/{{organisation_id}}/members"
    return [
        Route(one, submit_new, methods=["POST"]),
        Route(f"{one}/{{user_id}}/{{change}}", ask_change, methods=["GET"]),
        Route(f"{one}/{{user_id}}/{{change}}", submit_change, methods=["POST"]),
    ]


def href_of(organisation_id: str) -> str:
    """The page of an organisation."""
    return f"{HOME}/{organisation_id}"


async def organisation_reached(
    request: Request, action: str, *, page: str | None = None
) -> tuple[Admitted | Response, Organisation]:
    """The organisation of this address, for somebody who may do this. Raises `Forbidden`, `NotFound`.

    With `page`, that of the form, somebody who signed in long ago does so again first.
    """
    organisation_id: str = request.path_params["organisation_id"]
    back = None if page is None else f"{href_of(organisation_id)}{page}"
    resource = Resource("organisation", organisation_id, organisation_id)
    found = await admitted(request, action, resource, fresh=page is not None, back=back)
    if isinstance(found, Response):
        return found, _nothing()
    async with parts_of(request).database.read() as session:
        one = await find_organisation(session, organisation_id)
    if one is None:
        raise NotFound("there is no such organisation")
    return found, one


async def submit_new(request: Request) -> Response:
    """Make somebody a member who has an account."""
    form = await checked_form(request)
    found, one = await organisation_reached(request, "organisations:members", page="")
    if isinstance(found, Response):
        return found
    if not may(request, found, "users:write", Resource("user")):
        raise Forbidden("only an administrator of all accounts adds one that there is: invite the person")
    async with parts_of(request).database.read() as session:
        user = await find_by_login(session, form.get("who", "").strip())
    if user is None:
        raise Invalid(Problem("who", "nobody has this username or e-mail address", "go back and look at the spelling"))
    role = form.get("role", "member")
    async with whole(parts_of(request).database) as session:
        await add_member(session, one.id, user.id, role=role, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{href_of(one.id)}?done=member")


async def ask_change(request: Request) -> Response:
    """What it means for this member."""
    found, one, user = await _member(request)
    if isinstance(found, Response):
        return found
    change: str = request.path_params["change"]
    title, verb = {
        "admin": (f"Let {user.username} administer {one.name}?", "Make administrator"),
        "member": (f"Let {user.username} be a plain member?", "Make plain member"),
        "remove": (f"Remove {user.username} from {one.name}?", "Remove from organisation"),
    }[change]
    page = ConfirmPage(
        found,
        "organisations",
        title,
        "This holds at once.",
        verb,
        f"{href_of(one.id)}/members/{user.id}/{change}",
        href_of(one.id),
        EFFECTS[change],
        (f"{user.username} ({user.name})" if user.name else user.username,),
        crumbs=(("Organisations", HOME), (one.name, href_of(one.id))),
        danger=change != "member",
    )
    return confirm(request, page)


async def submit_change(request: Request) -> Response:
    """Do it."""
    await checked_form(request)
    found, one, user = await _member(request)
    if isinstance(found, Response):
        return found
    change: str = request.path_params["change"]
    async with whole(parts_of(request).database) as session:
        if change == "remove":
            await remove_member(session, one.id, user.id, actor=actor_of(found), now=clock.now())
        else:
            await add_member(session, one.id, user.id, role=change, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{href_of(one.id)}?done={'removed' if change == 'remove' else 'member'}")


async def _member(request: Request) -> tuple[Admitted | Response, Organisation, User]:
    user_id, change = request.path_params["user_id"], request.path_params["change"]
    if change not in (*MEMBER_ROLES, "remove"):
        raise NotFound("there is no such action")
    found, one = await organisation_reached(request, "organisations:members", page=f"/members/{user_id}/{change}")
    now = clock.now()
    if isinstance(found, Response):
        return found, one, User("", "", None, "", False, (), (), now, now)
    async with parts_of(request).database.read() as session:
        user, role = await find_user(session, user_id), await find_member(session, one.id, user_id)
    if user is None or role is None:
        raise NotFound("this person is no member of the organisation")
    return found, one, user


def _nothing() -> Organisation:
    return Organisation("", "", "", "", (), clock.now(), clock.now())
