"""`/console`: what matters today."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.errors import Forbidden
from kronborg.core.html import redirect, render
from kronborg.core.policy import Resource
from kronborg.oauth.figures import Board, Figures
from kronborg.oauth.figures_store import FEW, MANY
from kronborg.sessions.model import ConsolePage, Tile, TileMaker
from kronborg.sessions.visits import PrincipalOf, admitted, open_sections, visit
from kronborg.tokens.engine import Engine

HEIGHT = 120
"""Of the bars, in units of the picture."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day in the chart: heights of its two bars, and what it says to who cannot see them."""

    label: str
    signed_in: int
    refused: int
    good: int
    bad: int


@dataclass(frozen=True, slots=True)
class DashboardPage(ConsolePage):
    """The dashboard."""

    figures: Figures
    people: str
    sessions: str
    today: str
    week: str
    refused: str
    created: str
    bars: tuple[Bar, ...]
    profile: str
    issuer: str
    tiles: tuple[Tile, ...]


def routes(engine: Engine) -> list[Route]:
    """`/console`."""
    return [Route("/console", partial(show, Board(engine), engine), methods=["GET"])]


async def show(board: Board, engine: Engine, request: Request) -> Response:
    """The figures; who may not see them is sent on to the first section that they may."""
    try:
        found = await admitted(request, "dashboard:read", Resource("dashboard"))
    except Forbidden:
        here = await visit(request)
        principal_of: PrincipalOf = request.app.state.principal_of
        sections = () if here is None else open_sections(request.app.state.policies, await principal_of(here))
        if not sections:
            raise
        return redirect(request, f"/console/{sections[0]}")
    if isinstance(found, Response):
        return found
    figures = await board.figures(now=clock.now())
    today = figures.days[-1]
    page = DashboardPage(
        found,
        "dashboard",
        figures,
        f"{figures.people:,}" if figures.people_exact else f"about {figures.people:,}",
        _shown(figures.sessions, MANY),
        _shown(today.signed_in, FEW),
        _shown(figures.week, FEW),
        _shown(figures.refused, FEW),
        _shown(figures.created, FEW),
        tuple(
            Bar(
                f"{day.at:%a} {day.at.day}",
                day.signed_in,
                day.refused,
                round(HEIGHT * day.signed_in / figures.highest),
                round(HEIGHT * day.refused / figures.highest),
            )
            for day in figures.days
        ),
        engine.profile,
        engine.issuer,
        await _tiles(request),
    )
    return render(request, "oauth/dashboard.html", page)


async def _tiles(request: Request) -> tuple[Tile, ...]:
    """What slices above this one show here."""
    makers: tuple[TileMaker, ...] = getattr(request.app.state, "tiles", ())
    return tuple([tile for maker in makers for tile in await maker(clock.now())])


def _shown(number: int, bound: int) -> str:
    return f"{bound:,}+" if number > bound else f"{number:,}"
