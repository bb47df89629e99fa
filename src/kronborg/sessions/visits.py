"""Who visits a page, and where strangers are sent. Pages of every slice above ask here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from kronborg.core import clock
from kronborg.core.cookies import SESSION, read_cookie, set_cookie
from kronborg.core.errors import Forbidden
from kronborg.core.html import redirect
from kronborg.core.parts import parts_of
from kronborg.core.policy import Policies, Principal, Resource, Wish
from kronborg.sessions.life import Begun, recognise
from kronborg.sessions.model import Admitted, Origin, Visit
from kronborg.sessions.tickets import Ticket, sign_in_path


async def visit(request: Request) -> Visit | None:
    """Who is signed in in this browser, if anybody; looked up once for each request."""
    if not hasattr(request.state, "visit"):
        parts = parts_of(request)
        secret = read_cookie(request, SESSION, secure=parts.secure)
        request.state.visit = None
        if secret is not None:
            request.state.visit = await recognise(
                parts.database, parts.vault, secret, idle=parts.session_idle, now=clock.now()
            )
    found: Visit | None = request.state.visit
    request.state.locale = "" if found is None else found.locale
    if found is not None and request.url.path.startswith("/account") and not hasattr(request.state, "console"):
        request.state.console = await _has_console(request, found)
    return found


def origin_of_request(request: Request) -> Origin:
    """Where a request comes from; the server has already dealt with proxies."""
    address = "" if request.client is None else request.client.host
    return Origin(address, request.headers.get("user-agent", ""))


def sign_in_url(request: Request, *, next_path: str | None = None, ticket: Ticket | None = None) -> str:
    """The address that asks for sign-in and comes back to `next_path` (default: the address of this request)."""
    if next_path is None:
        # Not `request.url`: it cannot be made of a query that is not ASCII.
        query = request.scope["query_string"].decode("ascii", errors="ignore")
        next_path = quote(request.scope["path"]) + (f"?{query}" if query else "")
    return sign_in_path(parts_of(request).vault, next_path, ticket)


def put_session(request: Request, response: Response, begun: Begun) -> None:
    """Put a session's secret into the browser."""
    parts = parts_of(request)
    set_cookie(response, SESSION, begun.secret, secure=parts.secure, lifetime=parts.session_absolute)


SECTIONS = {
    "dashboard": "dashboard:read",
    "users": "users:read",
    "groups": "groups:read",
    "organisations": "organisations:read",
    "providers": "providers:read",
    "clients": "clients:read",
    "apis": "apis:read",
    "access": "access:read",
    "api-keys": "api-keys:read",
    "issuers": "issuers:read",
    "keys": "keys:read",
    "services": "services:read",
    "routes": "routes:read",
    "policies": "policies:read",
    "publishing": "routes:read",
    "simulate": "routes:read",
    "breakers": "breakers:read",
    "limits": "quotas:read",
    "certificates": "certificates:read",
    "fleet": "fleet:read",
    "traffic": "traffic:read",
    "surface": "surface:read",
    "alerts": "alerts:read",
    "audit": "audit:read",
    "webhooks": "webhooks:read",
    "settings": "settings:read",
}
"""The sections of the console, and what opens each."""

PrincipalOf = Callable[[Visit], Awaitable[Principal]]
"""What the composition root keeps at `app.state.principal_of`: roles are known to a slice above this one."""


FRESH = timedelta(minutes=15)
"""How long after a sign-in the console lets somebody do what cannot be undone, or changes who may do what."""


async def admitted(
    request: Request, action: str, resource: Resource, *, fresh: bool = False, back: str | None = None
) -> Admitted | Response:
    """Who is there, if they may do this; else the way to sign-in. Raises `Forbidden` for somebody who may not.

    `fresh` asks for a sign-in of the last minutes; who has none signs in again and comes back to `back` (default: the
    address of this request; a handler of a POST names the page its form stood on).
    """
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=back))
    principal_of: PrincipalOf = request.app.state.principal_of
    policies: Policies = request.app.state.policies
    principal = await principal_of(here)
    if not policies.allows(principal, action, resource):
        raise Forbidden("you may not see or do this: ask an administrator for the role that it needs")
    if fresh and clock.now() - here.auth_time > FRESH:
        return redirect(request, sign_in_url(request, next_path=back, ticket=Ticket(again=True)))
    return Admitted(here, principal, open_sections(policies, principal))


async def _has_console(request: Request, here: Visit) -> bool:
    """Whether the navigation of the account pages leads on to the console."""
    principal_of: PrincipalOf | None = getattr(request.app.state, "principal_of", None)
    if principal_of is None:
        return False
    return bool(open_sections(request.app.state.policies, await principal_of(here)))


def open_sections(policies: Policies, principal: Principal) -> tuple[str, ...]:
    """The sections of the console that somebody may read; none for most people.

    Who administers an organisation finds theirs under Organisations.
    """
    if not principal.roles and not principal.administers:
        return ()
    own = principal.administers[0] if principal.administers else ""
    wishes = [
        Wish(read, Resource(name, organisation=own if name == "organisations" else ""))
        for name, read in SECTIONS.items()
    ]
    return tuple(name for name, may in zip(SECTIONS, policies.decide(principal, wishes), strict=True) if may)
