"""`/oauth/logout`: sign-out that begins at a client (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients.model import Client
from kronborg.core import clock
from kronborg.core.cookies import SESSION, drop_cookie
from kronborg.core.csrf import checked_form
from kronborg.core.html import redirect_source, render
from kronborg.core.parts import parts_of
from kronborg.oauth.authorize_errors import NoRedirect
from kronborg.oauth.consent_page import AppSignOutPage
from kronborg.oauth.frontchannel import WAIT, SignedOutPage, frames, sources
from kronborg.oauth.hints import Hint, read_hint
from kronborg.oauth.logout import (
    AskSignOut,
    LogoutRequest,
    NobodyHere,
    SignOut,
    check,
    decide,
    destination,
    parse,
    sign_out,
)
from kronborg.oauth.pages.answers import no_redirect, query_of, see_other
from kronborg.oauth.parameters import Unreadable
from kronborg.sessions.model import Visit
from kronborg.sessions.visits import visit
from kronborg.tokens.engine import Engine

LOGOUT = "/oauth/logout"
CONFIRM = "/oauth/logout/confirm"


def routes(engine: Engine) -> list[Route]:
    """`/oauth/logout` by GET and POST (RP-Initiated Logout §2), and the answer to its question."""
    return [
        Route(LOGOUT, partial(logout, engine), methods=["GET", "POST"]),
        Route(CONFIRM, partial(confirm, engine), methods=["POST"]),
    ]


async def logout(engine: Engine, request: Request) -> Response:
    """Sign out, ask first, or go on at once when nobody is signed in."""
    now, client = clock.now(), None
    try:
        asked = parse(await query_of(request))
        client, hint = await _who_asks(engine, asked, now=now)
        check(asked, client, hint)
    except (NoRedirect, Unreadable) as refusal:
        return no_redirect(request, refusal, client)
    here = await visit(request)
    if here is None and request.method == "POST":
        # Browsers keep our cookie (SameSite=Lax) from the POST of another site; they send it with the GET that follows.
        return see_other(f"{LOGOUT}?{asked.query()}")
    decision = decide(here, hint)
    match decision:
        case SignOut(visit=person):
            return await _sign_out(request, engine, asked, client, person, now=now)
        case AskSignOut(visit=person):
            hidden = (("request", asked.query()),)
            page = AppSignOutPage(CONFIRM, hidden, None if client is None else client.name, person)
            uri = asked.post_logout_redirect_uri
            onward = () if uri is None else redirect_source(uri)
            return render(request, "oauth/sign_out.html", page, form_action=onward)
        case NobodyHere():
            return see_other(destination(asked))
        case _:
            assert_never(decision)


async def confirm(engine: Engine, request: Request) -> Response:
    """The person's answer on the page that asks."""
    form = await checked_form(request)
    now, client = clock.now(), None
    if form.get("decision") != "sign_out":
        return see_other("/account")
    try:
        asked = parse(form.get("request", ""))
        client, hint = await _who_asks(engine, asked, now=now)
        check(asked, client, hint)
    except (NoRedirect, Unreadable) as refusal:
        return no_redirect(request, refusal, client)
    here = await visit(request)
    if here is None:
        return see_other(destination(asked))
    return await _sign_out(request, engine, asked, client, here, now=now)


async def _who_asks(engine: Engine, asked: LogoutRequest, *, now: datetime) -> tuple[Client | None, Hint | None]:
    """The client and the hint of a request; a hint that is not genuine is no hint."""
    hint = None if asked.id_token_hint is None else await read_hint(engine, asked.id_token_hint, now=now)
    client_id = asked.client_id or (None if hint is None else hint.client_id)
    return None if client_id is None else await engine.directory.client(client_id, now=now), hint


async def _sign_out(
    request: Request, engine: Engine, asked: LogoutRequest, client: Client | None, here: Visit, *, now: datetime
) -> Response:
    await sign_out(engine, here, now=now)
    name = None if client is None or asked.post_logout_redirect_uri is None else client.name
    told = await tell_by_browser(engine, request, here, destination(asked), name)
    response = told or see_other(destination(asked))
    drop_cookie(response, SESSION, secure=parts_of(request).secure)
    return response


async def signed_out(engine: Engine, request: Request, here: Visit) -> Response | None:
    """What follows our own sign-out page when clients have to be told; None when there are none."""
    return await tell_by_browser(engine, request, here, "/signout", None)


async def tell_by_browser(
    engine: Engine, request: Request, here: Visit, onward: str, client_name: str | None
) -> Response | None:
    """The page whose frames tell the clients of a session that it is over; None when none of them wants that.

    It goes on by itself, by a header that needs no script, whether the frames loaded or not.
    """
    addresses = await frames(engine, here.session_id, now=clock.now())
    if not addresses:
        return None
    page = SignedOutPage(addresses, onward, client_name)
    refresh = {"refresh": f"{WAIT}; url={onward}"}
    return render(request, "oauth/signed_out.html", page, frame_src=sources(addresses), headers=refresh)
