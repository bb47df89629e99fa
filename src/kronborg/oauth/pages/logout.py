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
from kronborg.signin.model import Visit
from kronborg.signin.pages import visit
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
            return await _sign_out(request, engine, asked, person, now=now)
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
    return see_other(destination(asked)) if here is None else await _sign_out(request, engine, asked, here, now=now)


async def _who_asks(engine: Engine, asked: LogoutRequest, *, now: datetime) -> tuple[Client | None, Hint | None]:
    """The client and the hint of a request; a hint that is not genuine is no hint."""
    hint = None if asked.id_token_hint is None else await read_hint(engine, asked.id_token_hint, now=now)
    client_id = asked.client_id or (None if hint is None else hint.client_id)
    return None if client_id is None else await engine.directory.client(client_id, now=now), hint


async def _sign_out(request: Request, engine: Engine, asked: LogoutRequest, here: Visit, *, now: datetime) -> Response:
    await sign_out(engine, here, now=now)
    response = see_other(destination(asked))
    drop_cookie(response, SESSION, secure=parts_of(request).secure)
    return response
