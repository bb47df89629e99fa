"""`/console/fleet`: the gateways, what each serves and said, inviting one and taking one out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.fleet import nodes
from kronborg.fleet.authority import open_authority
from kronborg.fleet.canaries import Measured, measured
from kronborg.fleet.model import Invitation
from kronborg.fleet.show import Shown, shown
from kronborg.fleet.store import list_invitations
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, done_of, may, must, problems_of
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/fleet"
GATEWAY = Resource("fleet")
DONE = {"removed": "It is out of the fleet, and refused from now on."}


@dataclass(frozen=True, slots=True)
class FleetPage(ConsolePage):
    """The list, with who is invited."""

    rows: tuple[Shown, ...]
    invited: tuple[Invitation, ...]
    may_write: bool
    may_delete: bool
    reachable: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class GatewayPage(ConsolePage):
    """One gateway."""

    one: Shown
    canary: Measured
    uptime: str
    may_delete: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class InvitePage(ConsolePage):
    """The form of an invitation, and once its token."""

    name: str = ""
    token: str | None = None
    reachable: bool = True
    problems: tuple[Problem, ...] = ()


def routes() -> list[Route]:
    """Everything below `/console/fleet`."""
    return [
        Route(HOME, show_fleet, methods=["GET"]),
        Route(f"{HOME}/-/invite", invite, methods=["GET", "POST"]),
        Route(f"{HOME}/{{name}}", show_gateway, methods=["GET"]),
        Route(f"{HOME}/{{name}}/remove", remove, methods=["GET", "POST"]),
    ]


async def show_fleet(request: Request) -> Response:
    """Every gateway; HTMX asks for the list alone, every few seconds."""
    found = await admitted(request, "fleet:read", GATEWAY)
    if isinstance(found, Response):
        return found
    parts, now = parts_of(request), clock.now()
    async with parts.database.read() as session:
        rows, invited = tuple(await shown(session, now=now)), tuple(await list_invitations(session))
    page = FleetPage(
        found,
        "fleet",
        rows,
        tuple(one for one in invited if one.expires_at > now),
        may(request, found, "fleet:write", GATEWAY),
        may(request, found, "fleet:delete", GATEWAY),
        bool(parts.fleet_url),
        done_of(request, DONE),
        now,
    )
    return render(request, "fleet/fleet.html", page, block="found")


async def show_gateway(request: Request) -> Response:
    """One gateway, with everything that it says."""
    found = await admitted(request, "fleet:read", GATEWAY)
    if isinstance(found, Response):
        return found
    one, now = await _existing(request), clock.now()
    async with parts_of(request).database.read() as session:
        canary = await measured(session, one.name, now=now)
    page = GatewayPage(
        found, "fleet", one, canary, _up_for(one.uptime), may(request, found, "fleet:delete", GATEWAY), now
    )
    return render(request, "fleet/gateway.html", page)


def _up_for(seconds: int) -> str:
    """`3 d 4 h`, `2 h 5 min`, `40 s`."""
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    place = next((place for place, (length, _) in enumerate(units) if seconds >= length), len(units) - 1)
    told = []
    for length, name in units[place : place + 2]:
        count, seconds = divmod(seconds, length)
        told.append(f"{count} {name}")
    return " ".join(told)


async def invite(request: Request) -> Response:
    """Ask for a name, then show the token, this once."""
    form = await checked_form(request) if request.method == "POST" else None
    found = await admitted(request, "fleet:write", GATEWAY, fresh=True, back=f"{HOME}/-/invite")
    if isinstance(found, Response):
        return found
    parts, now = parts_of(request), clock.now()
    if form is None or not parts.fleet_url:
        page = InvitePage(found, "fleet", reachable=bool(parts.fleet_url))
        return render(request, "fleet/invite.html", page, status=200 if form is None else 409)
    name = form.get("name", "").strip()[:63]
    must(request, found, "fleet:write", Resource("fleet", name))
    try:
        authority = await open_authority(parts.database, parts.vault, now=now)
        token = await nodes.invite(
            parts.database, parts.vault, authority, name, url=parts.fleet_url, actor=actor_of(found), now=now
        )
    except (Invalid, Conflict) as refusal:
        page = InvitePage(found, "fleet", name, problems=problems_of(refusal, "name"))
        return render(request, "fleet/invite.html", page, status=422)
    return render(request, "fleet/invite.html", InvitePage(found, "fleet", name, str(token)))


async def remove(request: Request) -> Response:
    """Ask, then take it out of the fleet."""
    form = await checked_form(request) if request.method == "POST" else None
    name = str(request.path_params["name"])[:63]
    here = f"{HOME}/{name}/remove"
    found = await admitted(request, "fleet:delete", Resource("fleet", name), fresh=True, back=here)
    if isinstance(found, Response):
        return found
    if form is None:
        async with parts_of(request).database.read() as session:
            known = {one.name for one in await shown(session, now=clock.now())}
            invited = {one.name for one in await list_invitations(session)}
        if name not in known | invited:
            raise NotFound("there is no gateway of this name")
        question = ConfirmPage(
            found,
            "fleet",
            "Take this gateway out of the fleet?",
            "Its certificate, and what invites a gateway of this name, are refused from now on.",
            "Remove",
            here,
            HOME,
            effects=(
                "It hears of no new version, key or revocation, and trades no reference token.",
                "What lies on its disk it goes on serving until it is stopped there.",
            ),
            names=(name,),
            crumbs=(("Fleet", HOME),),
        )
        return confirm(request, question)
    await nodes.remove(parts_of(request).database, name, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=removed")


async def _existing(request: Request) -> Shown:
    async with parts_of(request).database.read() as session:
        for one in await shown(session, now=clock.now()):
            if one.name == request.path_params["name"]:
                return one
    raise NotFound("there is no gateway of this name")
