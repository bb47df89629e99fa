"""`/console/breakers`: where the breakers stand on each gateway, and the page that forces one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import NotFound
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.gateway.breaker_model import Order
from kronborg.gateway.breaker_orders import Guarded, force, list_breakers
from kronborg.sessions.console_pages import Choice, ConfirmPage, actor_of, confirm, done_of, may
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/breakers"
_DONE = {"forced": "Every gateway follows within about a second."}
_ORDERS: dict[str, Order | None] = {"automatic": None, "open": "open", "closed": "closed"}
_CHOICE = Choice(
    "state",
    "What it should do",
    (
        ("automatic", "Decide itself, by what becomes of calls"),
        ("open", "Open: no call reaches the service"),
        ("closed", "Closed: every call does, whatever happens"),
    ),
)


@dataclass(frozen=True, slots=True)
class BreakersPage(ConsolePage):
    """The list."""

    rows: tuple[Guarded, ...]
    may_write: bool
    done: str | None
    now: datetime


def routes() -> list[Route]:
    """Everything below `/console/breakers`."""
    return [
        Route(HOME, show_breakers, methods=["GET"]),
        Route(f"{HOME}/{{service}}", ask, methods=["GET"]),
        Route(f"{HOME}/{{service}}", order, methods=["POST"]),
    ]


async def show_breakers(request: Request) -> Response:
    """Every service with a breaker."""
    found = await admitted(request, "breakers:read", Resource("breaker"))
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        rows = await list_breakers(session)
    writes = may(request, found, "breakers:write", Resource("breaker"))
    page = BreakersPage(found, "breakers", rows, writes, done_of(request, _DONE), clock.now())
    return render(request, "gateway/breakers.html", page)


async def ask(request: Request) -> Response:
    """What should it do?"""
    service = str(request.path_params["service"])[:63]
    found = await admitted(request, "breakers:write", Resource("breaker", service))
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        if service not in {one.service for one in await list_breakers(session)}:
            raise NotFound("there is no service with this name that has a breaker")
    page = ConfirmPage(
        found,
        "breakers",
        title=f"The breaker of {service}",
        text="What is ordered holds on every gateway until something else is.",
        verb="Order it",
        action=f"{HOME}/{service}",
        back=HOME,
        crumbs=(("Breakers", HOME),),
        danger=False,
        choice=_CHOICE,
    )
    return confirm(request, page)


async def order(request: Request) -> Response:
    """Force one, or let it decide itself again."""
    form = await checked_form(request)
    service = str(request.path_params["service"])[:63]
    found = await admitted(
        request, "breakers:write", Resource("breaker", service), fresh=True, back=f"{HOME}/{service}"
    )
    if isinstance(found, Response):
        return found
    wanted = _ORDERS[_CHOICE.made(form)]
    async with whole(parts_of(request).database) as session:
        await force(session, service, wanted, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=forced")
