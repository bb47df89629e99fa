"""`/console/traffic/what-if`: what a draft, or the way back to a version, would have done with what passed."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.core.html import render
from kronborg.core.parts import part_of, parts_of
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import asked
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.traffic.parts import Traffic
from kronborg.traffic.questions import span_of
from kronborg.traffic.what_if import WhatIf, asked_for, what_if

HOME = "/console/traffic/what-if"
_SECONDS = 10.0
_CHOICES = (("15m", "15 minutes"), ("1h", "Last hour"), ("6h", "6 hours"), ("1d", "Last day"))
_LONGEST = 63
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class WhatIfPage(ConsolePage):
    """A replay, and of what."""

    draft: str
    version: int
    span: str
    spans: tuple[tuple[str, str], ...]
    found: WhatIf


def routes() -> list[Route]:
    """The page."""
    return [Route(HOME, show_what_if, methods=["GET"])]


async def show_what_if(request: Request) -> Response:
    """Replay what passed, and show what would be otherwise."""
    found = await admitted(request, "routes:read", Resource("route"))
    if isinstance(found, Response):
        return found
    found = await admitted(request, "traffic:read", Resource("traffic"))
    if isinstance(found, Response):
        return found
    draft, number, span = asked(request, "draft"), asked(request, "version"), asked(request, "span")
    version = int(number) if number.isascii() and number.isdecimal() and len(number) <= _DIGITS else 0
    if len(draft) > _LONGEST or not (draft or version):
        raise NotFound("name the draft or the version")
    span = span if span in dict(_CHOICES) else "1h"
    parts = parts_of(request)
    snapshot = await asked_for(parts.database, draft, version, issuer=parts.issuer, gateway_url=parts.gateway_url)
    traffic = part_of(request, "traffic", Traffic)
    replayed = await what_if(parts.database, traffic, snapshot, span_of(span, clock.now()), seconds=_SECONDS)
    page = WhatIfPage(found, "publishing", draft, version, span, _CHOICES, replayed)
    return render(request, "traffic/what_if.html", page)
