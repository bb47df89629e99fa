"""`/console/limits`: who is near or over a quota, when it is free again, and letting somebody begin anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.limits import live as limits
from kronborg.limits.live import Live
from kronborg.sessions.console_pages import ConfirmPage, actor_of, asked, confirm, done_of, may
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/limits"
QUOTA = Resource("quota")
DONE = {"reset": "The counter begins anew; gateways hear of it within two seconds."}
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class LimitsPage(ConsolePage):
    """The counters nearest to their end."""

    rows: tuple[Live, ...]
    q: str
    may_write: bool
    done: str | None
    now: datetime


def routes() -> list[Route]:
    """Everything below `/console/limits`."""
    return [
        Route(HOME, show_limits, methods=["GET"]),
        Route(f"{HOME}/-/reset", reset, methods=["GET", "POST"]),
    ]


async def show_limits(request: Request) -> Response:
    """Every counter; HTMX asks for the list alone, every few seconds."""
    found = await admitted(request, "quotas:read", QUOTA)
    if isinstance(found, Response):
        return found
    now, q = clock.now(), asked(request)
    rows = tuple(await limits.live(parts_of(request).database, now=now, who=q))
    writes = may(request, found, "quotas:write", QUOTA)
    return render(
        request,
        "limits/limits.html",
        LimitsPage(found, "limits", rows, q, writes, done_of(request, DONE), now),
        block="found",
    )


async def reset(request: Request) -> Response:
    """Ask, then let the counter begin anew."""
    form = await checked_form(request) if request.method == "POST" else None
    found = await admitted(request, "quotas:write", QUOTA)
    if isinstance(found, Response):
        return found
    given = request.query_params if form is None else form
    quota, identity = str(given.get("quota", ""))[:63], str(given.get("identity", "")).replace("\0", "")[:_LONGEST]
    if form is None:
        question = ConfirmPage(
            found,
            "limits",
            "Let this counter begin anew?",
            "What was used of the quota is forgotten; its window stays as it is.",
            "Reset",
            f"{HOME}/-/reset",
            HOME,
            names=(f"{quota}: {identity}",),
            fields=(("quota", quota), ("identity", identity)),
            crumbs=(("Limits", HOME),),
        )
        return confirm(request, question)
    async with parts_of(request).database.write() as session:
        await limits.reset(session, quota, identity, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=reset")
