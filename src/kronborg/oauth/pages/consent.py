"""`/oauth/consent`: the answer of a person to the consent page. It leads back to the request, which decides again."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.oauth.authorize_errors import AccessDenied
from kronborg.oauth.consent import remember
from kronborg.oauth.kept_requests import spend
from kronborg.oauth.model import Consent
from kronborg.oauth.pages.answers import AUTHORIZE, no_redirect, refusal_to_client, see_other
from kronborg.oauth.pages.opened import OnAPage, open_here, understand_here
from kronborg.sessions.visits import visit
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError

CONSENT = "/oauth/consent"


def routes(engine: Engine) -> list[Route]:
    """`POST /oauth/consent`."""
    return [Route(CONSENT, partial(submit_consent, engine), methods=["POST"])]


async def submit_consent(engine: Engine, request: Request) -> Response:
    """Remember a yes and go back to the request; tell the client of a no."""
    form = await checked_form(request)
    now = clock.now()
    try:
        here = await open_here(engine, request, form.get("request", ""), now=now)
    except OnAPage as page:
        return no_redirect(request, page.refusal, page.client)
    case = here.case
    try:
        asking = await understand_here(engine, here, now=now)
        if form.get("decision") == "deny":
            if case.came.digest is not None:
                await spend(engine, case.came.digest, now=now)
            raise AccessDenied("the person did not consent")
    except OAuthError as refusal:
        return await refusal_to_client(request, engine, case, refusal, now=now)
    person = await visit(request)
    if person is None or form.get("decision") != "allow":
        return see_other(f"{AUTHORIZE}?{here.marked}")
    # Only what the page showed: a client that was widened since then has to ask for the rest.
    scopes = frozenset(asking.to_allow).intersection(form.get("scopes", "").split(" "))
    audiences = frozenset(asking.audiences).intersection(form.get("audiences", "").split(" "))
    await remember(engine.database, Consent(person.user_id, case.client.id, scopes, audiences, now, now))
    if asking.details:
        return see_other(f"{AUTHORIZE}?{here.allowed(engine, person.session_id, now=now)}")
    return see_other(f"{AUTHORIZE}?{here.marked}")
