"""Clients whose people sign in with several factors (`require_factors`), where no authorization request asks for it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from kronborg.clients.model import Client
from kronborg.core.html import redirect
from kronborg.oauth.pages.answers import shown_name
from kronborg.sessions.model import MULTI_FACTOR, Visit, strength
from kronborg.sessions.tickets import Ticket
from kronborg.sessions.visits import sign_in_url


def stronger_first(request: Request, client: Client, here: Visit, *, back: str) -> Response | None:
    """The way to a stronger sign-in and back; None for somebody who needs none."""
    if not client.settings.require_factors or strength(here.amr) >= MULTI_FACTOR:
        return None
    ticket = Ticket(shown_name(client.name), login_hint=here.username, strength=MULTI_FACTOR, explicit=True)
    return redirect(request, sign_in_url(request, next_path=back, ticket=ticket))
