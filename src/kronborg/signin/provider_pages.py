"""Identity providers on the sign-in page: their buttons, and the way to one by a hint or the domain of an address."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from kronborg.core import clock
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.federation.home_realm import Offered, home_of, is_offered, offered
from kronborg.federation.parts import FederationParts
from kronborg.federation.told_sessions import upstream_logout
from kronborg.sessions.tickets import Ticket

NONE = Offered()


async def see_providers(request: Request) -> None:
    """Look once, early in a request, what `offered_here` tells the page later."""
    if getattr(request.app.state, "federation", None) is not None:
        request.state.offered = await offered(parts_of(request).database)


def offered_here(request: Request) -> Offered:
    """The providers to show; none in an app without federation."""
    found = getattr(request.state, "offered", NONE)
    return found if isinstance(found, Offered) else NONE


async def hinted_provider(request: Request, next_path: str, ticket_text: str, ticket: Ticket) -> Response | None:
    """Straight to the provider that the page before asked for (`idp_hint`), or that the hinted address belongs to.

    `way=local` says that the person came back from there.
    """
    if not offered_here(request).by_domain or request.query_params.get("way") == "local":
        return None
    database, key = parts_of(request).database, ticket.provider
    if not key or not await is_offered(database, key):
        key = await home_of(database, ticket.login_hint) or ""
    return redirect(request, _start(key, next_path, ticket_text, ticket.login_hint)) if key else None


async def home_provider(request: Request, next_path: str, ticket_text: str, login: str) -> Response | None:
    """To the provider that somebody belongs to who typed an address and no password."""
    if not offered_here(request).by_domain:
        return None
    key = await home_of(parts_of(request).database, login)
    return redirect(request, _start(key, next_path, ticket_text, login, via="form")) if key else None


def _start(key: str, next_path: str, ticket_text: str, login: str, *, via: str = "") -> str:
    fields = {"next": next_path, "ticket": ticket_text, "login_hint": login.strip()[:254], "via": via}
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"/federation/{key}/start?{query}"


@dataclass(frozen=True, slots=True)
class SignOutTherePage:
    """What `federation/sign_out_there.html` shows for a moment: the browser goes on to the provider by itself."""

    url: str


async def sign_out_there(request: Request, session_id: str) -> Response | None:
    """The page that leads on to the provider that vouched for this session, if signing out there too is wished."""
    federation = getattr(request.app.state, "federation", None)
    if not isinstance(federation, FederationParts):
        return None
    parts = parts_of(request)
    back = f"{parts.issuer}/signout"
    url = await upstream_logout(parts.database, federation.fetcher, session_id, back_to=back, now=clock.now())
    # A page in between: browsers hold the redirects after a form to `form-action`.
    return None if url is None else render(request, "federation/sign_out_there.html", SignOutTherePage(url))
