"""`/account/apps`: which apps act for a person, and the way to stop one."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_
from kronborg.oauth.consent import Access, access_of, withdraw
from kronborg.oauth.consent_page import AppsPage, ScopeGroup, ShownApp
from kronborg.oauth.pages.answers import scope_groups, shown_name
from kronborg.oauth.pages.shown import run_by
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.tokens.engine import Engine

APPS = "/account/apps"
DONE = N_("The app has no access any more.")


def routes(engine: Engine) -> list[Route]:
    """`/account/apps`."""
    return [
        Route(APPS, partial(show_apps, engine), methods=["GET"]),
        Route(APPS, partial(submit_withdrawal, engine), methods=["POST"]),
    ]


async def show_apps(engine: Engine, request: Request) -> Response:
    """Every app with access, and what it may do."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    now = clock.now()
    found = await access_of(engine.database, here.user_id, now=now)
    shown = [await _shown(engine, access, now=now) for access in found]
    done = DONE if request.query_params.get("done") == "withdrawn" else None
    apps = tuple(app for app in shown if app is not None)
    return render(request, "oauth/apps.html", AppsPage(here, "apps", apps, done, now))


async def submit_withdrawal(engine: Engine, request: Request) -> Response:
    """Take back everything that one app was allowed."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=APPS))
    withdrawn = await withdraw(engine.database, here.user_id, form.get("client_id", "")[:200], now=clock.now())
    return redirect(request, f"{APPS}?done=withdrawn" if withdrawn else APPS)


async def _shown(engine: Engine, access: Access, *, now: datetime) -> ShownApp | None:
    """How an app is shown; None for one that was removed, and for our own unless they stay connected after sign-out."""
    client = await engine.directory.stored(access.client_id, now=now)
    if client is None or (client.first_party and not access.lasting):
        return None
    apis = await engine.directory.apis(now=now)
    host = run_by(client, client.redirect_uris[0]) if client.redirect_uris else ""
    groups = scope_groups(apis, access.scopes)
    if access.types:
        groups = (*groups, ScopeGroup(N_("What you allowed in detail"), access.types))
    return ShownApp(
        client.id,
        shown_name(client.name),
        host,
        not client.settings.unverified,
        groups,
        access.since,
        access.last_used_at,
    )
