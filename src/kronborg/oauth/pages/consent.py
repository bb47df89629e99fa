"""`/oauth/consent`: the answer of a person to the consent page. It leads back to the request, which decides again."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.oauth.asking import understand
from kronborg.oauth.authorize_errors import AccessDenied, NoRedirect
from kronborg.oauth.authorize_request import parse
from kronborg.oauth.checks import after_redirect, before_redirect
from kronborg.oauth.consent import remember
from kronborg.oauth.model import Consent
from kronborg.oauth.pages.answers import AUTHORIZE, no_redirect, refusal_to_client, see_other
from kronborg.oauth.parameters import Unreadable
from kronborg.signin.pages import visit
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError

CONSENT = "/oauth/consent"


def routes(engine: Engine) -> list[Route]:
    """`POST /oauth/consent`."""
    return [Route(CONSENT, partial(submit_consent, engine), methods=["POST"])]


async def submit_consent(engine: Engine, request: Request) -> Response:
    """Remember a yes and go back to the request; tell the client of a no."""
    form = await checked_form(request)
    now, client = clock.now(), None
    try:
        sent = parse(form.get("request", ""))
        if sent.client_id is not None:
            client = await engine.directory.client(sent.client_id, now=now)
        case = before_redirect(sent, client)
    except (NoRedirect, Unreadable) as refusal:
        return no_redirect(request, refusal, client)
    try:
        after_redirect(case)
        asking = await understand(engine, case, now=now)
        if form.get("decision") == "deny":
            raise AccessDenied("the person did not consent")
    except OAuthError as refusal:
        return refusal_to_client(engine, case, refusal)
    here = await visit(request)
    if here is not None and form.get("decision") == "allow":
        # Only what the page showed: a client that was widened since then has to ask for the rest.
        scopes = frozenset(asking.scopes).intersection(form.get("scopes", "").split(" "))
        audiences = frozenset(asking.audiences).intersection(form.get("audiences", "").split(" "))
        await remember(engine.database, Consent(here.user_id, case.client.id, scopes, audiences, now, now))
    return see_other(f"{AUTHORIZE}?{sent.marked_query()}")
