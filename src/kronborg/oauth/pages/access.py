"""`/console/access`: who or what has access to what, since when, used when; and the ways to end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.accounts.model import User
from kronborg.accounts.store import find_by_login, find_user, roles_of
from kronborg.clients.model import Client
from kronborg.clients.store import find_client
from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.core.html import redirect, render
from kronborg.core.policy import Resource, is_privileged
from kronborg.oauth.model import Consent
from kronborg.oauth.store import consents_of_user
from kronborg.sessions.console_pages import Paging, asked, done_of, may, paged
from kronborg.sessions.model import BrowserSession, ConsolePage, device_of
from kronborg.sessions.store import find_session, list_sessions
from kronborg.sessions.visits import admitted
from kronborg.tokens.access_store import ShownGrant, Side, grants_page, shown_grant
from kronborg.tokens.engine import Engine

HOME = "/console/access"
ROWS = 50
DONE = {
    "grant": "The grant is revoked. Its tokens stop working within seconds.",
    "session": "The session has ended.",
    "user": "Everything is revoked, and every session has ended.",
    "client": "Everything this client held is revoked.",
    "consent": "The consent is withdrawn, and what was given with it.",
}


@dataclass(frozen=True, slots=True)
class ShownSession:
    """A session as a row."""

    session: BrowserSession
    device: str


@dataclass(frozen=True, slots=True)
class AccessPage(ConsolePage):
    """Grants of everybody, or of one user, client or session, with what belongs to it."""

    side: Side
    of: str
    title: str
    grants: Paging[ShownGrant]
    q: str
    missed: bool
    user: User | None
    client: Client | None
    session: ShownSession | None
    sessions: tuple[ShownSession, ...]
    consents: tuple[Consent, ...]
    may_revoke: bool
    may_end: bool
    done: str | None
    now: datetime


def routes(engine: Engine) -> list[Route]:
    """The lists; the ways to end things are in `ending.py`."""
    return [
        Route(HOME, partial(show_all, engine), methods=["GET"]),
        Route(f"{HOME}/users/{{of}}", partial(show_user, engine), methods=["GET"]),
        Route(f"{HOME}/clients/{{of:path}}", partial(show_client, engine), methods=["GET"]),
        Route(f"{HOME}/sessions/{{of}}", partial(show_session, engine), methods=["GET"]),
    ]


async def show_all(engine: Engine, request: Request) -> Response:
    """The newest grants of everybody; or, for what was typed, the page of the user, client, session or grant."""
    q = asked(request)
    if not q:
        return await _show(engine, request, "all", "", "Access")
    found = await admitted(request, "access:read", Resource("access"))
    if isinstance(found, Response):
        return found
    place = await _place_of(engine, q)
    if place is not None:
        return redirect(request, place)
    return await _show(engine, request, "all", "", "Access", missed=True)


async def show_user(engine: Engine, request: Request) -> Response:
    """What one person has given, and where they are signed in."""
    user_id = request.path_params["of"]
    async with engine.database.read() as session:
        user = await find_user(session, user_id)
        sessions = await list_sessions(session, user_id, now=clock.now(), idle=engine.session_idle)
    consents = await consents_of_user(engine.database.lookup, user_id)
    title = "A user who is gone" if user is None else user.name or user.username
    return await _show(engine, request, "user", user_id, title, user=user, sessions=sessions, consents=consents)


async def show_client(engine: Engine, request: Request) -> Response:
    """What people have given to one client."""
    client_id = request.path_params["of"]
    async with engine.database.read() as session:
        client = await find_client(session, client_id)
    title = client_id if client is None else client.name
    return await _show(engine, request, "client", client_id, title, client=client)


async def show_session(engine: Engine, request: Request) -> Response:
    """One signed-in browser, and what was given in it."""
    session_id = request.path_params["of"]
    async with engine.database.read() as reading:
        session = await find_session(reading, session_id)
        user = None if session is None else await find_user(reading, session.user_id)
    return await _show(engine, request, "session", session_id, "Session", user=user, session=session)


async def _show(
    engine: Engine,
    request: Request,
    side: Side,
    of: str,
    title: str,
    *,
    missed: bool = False,
    user: User | None = None,
    client: Client | None = None,
    session: BrowserSession | None = None,
    sessions: Sequence[BrowserSession] = (),
    consents: tuple[Consent, ...] = (),
) -> Response:
    """The page, once the visitor may see it: nothing that was read before is told to anybody else."""
    resource = Resource("access", of)
    found = await admitted(request, "access:read", resource)
    if isinstance(found, Response):
        return found
    before, now = asked(request, "before"), clock.now()
    privileged = False
    if user is not None:
        async with engine.database.read() as reading:
            privileged = is_privileged(await roles_of(reading, user.id))
    grants = await grants_page(engine.database.lookup, side, of, before=before, limit=ROWS + 1)
    if side != "all" and not (grants or before or user or client or session):
        raise NotFound("there is nothing with this id")
    page = AccessPage(
        found,
        "access",
        side,
        of,
        title,
        paged(request, grants, ROWS, lambda one: one.id, by="before"),
        asked(request),
        missed,
        user,
        client,
        None if session is None else ShownSession(session, device_of(session.user_agent)),
        tuple(ShownSession(one, device_of(one.user_agent)) for one in sessions),
        consents,
        may(request, found, "access:revoke", resource),
        may(request, found, "users:end-sessions", Resource("user", "" if user is None else user.id, "", privileged)),
        done_of(request, DONE),
        now,
    )
    return render(request, "oauth/access.html", page, block="found")


async def _place_of(engine: Engine, text: str) -> str | None:
    """The page about whatever has this name or id."""
    async with engine.database.read() as session:
        user = await find_by_login(session, text) or await find_user(session, text)
        if user is not None:
            return f"{HOME}/users/{user.id}"
        if await find_client(session, text) is not None:
            return f"{HOME}/clients/{quote(text, safe='')}"
        if await find_session(session, text) is not None:
            return f"{HOME}/sessions/{quote(text, safe='')}"
    grant = await shown_grant(engine.database.lookup, text)
    return None if grant is None else f"{HOME}/grants/{grant.id}/revoke"
