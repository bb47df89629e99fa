"""`/oauth/authorize`: check, decide, and show a screen or answer the client (RFC 6749 §4.1.1, OIDC Core §3.1.2)."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import assert_never

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.html import redirect, redirect_source, render
from kronborg.core.speaking import keep_wish
from kronborg.oauth.authorize import AskConsent, Asking, Issue, Refuse, SignIn, StepUp, decide
from kronborg.oauth.authorize_errors import LoginRequired
from kronborg.oauth.checks import redirect_target
from kronborg.oauth.consent import ConsentGone
from kronborg.oauth.consent_page import ConsentPage
from kronborg.oauth.issuing import issue
from kronborg.oauth.pages.answers import (
    AUTHORIZE,
    host_of,
    no_redirect,
    query_of,
    refusal_to_client,
    scope_groups,
    see_other,
    shown_name,
    to_client,
)
from kronborg.oauth.pages.opened import (
    Here,
    OnAPage,
    come_back,
    kept_here,
    of_person,
    open_here,
    understand_here,
    with_browser,
)
from kronborg.oauth.pages.shown import is_local, links_of, run_by, shown_details
from kronborg.oauth.parameters import Unreadable
from kronborg.oauth.store import find_consent
from kronborg.sessions.model import Visit
from kronborg.sessions.tickets import Ticket
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError
from kronborg.tokens.front import NobodyThere
from kronborg.tokens.rich import audiences_of


def routes(engine: Engine) -> list[Route]:
    """`/oauth/authorize`, by GET and POST (OIDC Core §3.1.2.1)."""
    return [Route(AUTHORIZE, partial(authorize, engine), methods=["GET", "POST"])]


async def authorize(engine: Engine, request: Request) -> Response:
    """The next step of an authorization: a screen, or the answer to the client."""
    now = clock.now()
    try:
        here = await open_here(engine, request, await query_of(request), now=now)
    except OnAPage as page:
        return no_redirect(request, page.refusal, page.client)
    except Unreadable as refusal:
        return no_redirect(request, refusal)
    try:
        asking = await understand_here(engine, here, now=now)
    except OAuthError as refusal:
        return await refusal_to_client(request, engine, here.case, refusal, now=now)
    person = await visit(request)
    if person is None and request.method == "POST":
        # Browsers keep our cookie (SameSite=Lax) from the POST of another site; they send it with the GET that follows.
        return see_other(f"{AUTHORIZE}?{here.marked}")
    asking = of_person(engine, here, asking, person, now=now)
    try:
        return await _proceed(request, engine, here, asking, person, now=now)
    except OAuthError as refusal:
        return await refusal_to_client(request, engine, here.case, refusal, now=now)


async def _proceed(
    request: Request, engine: Engine, here: Here, asking: Asking, person: Visit | None, *, now: datetime
) -> Response:
    client = here.case.client
    grant = None if person is None else await find_consent(engine.database.lookup, person.user_id, client.id)
    decision = decide(asking, client, person, grant, now)
    match decision:
        case SignIn():
            return await _sign_in(request, engine, here, asking, here.case.request.login_hint or "", now=now)
        case StepUp(visit=somebody, again=again):
            hint = here.case.request.login_hint or _same_person(asking, somebody)
            return await _sign_in(request, engine, here, asking, hint, now=now, again=again)
        case AskConsent():
            return await _ask_consent(request, engine, here, asking, decision, now=now)
        case Issue():
            return await _issue(request, engine, here, asking, decision, now=now)
        case Refuse(error=error, detail=detail):
            raise error(detail)
        case _:
            assert_never(decision)


async def _sign_in(
    request: Request,
    engine: Engine,
    here: Here,
    asking: Asking,
    login_hint: str,
    *,
    now: datetime,
    again: bool = False,
) -> Response:
    target = redirect_target(here.case)
    provider = (here.case.request.idp_hint or "")[:40]
    ticket = Ticket(
        shown_name(here.case.client.name),
        redirect_source(target),
        again,
        login_hint,
        strength=asking.acr.strength,
        explicit=asking.acr.strength > 0 or asking.max_age is not None or bool(asking.prompts & {"login"}),
        provider=provider,
    )
    back, browser = await come_back(engine, here, asking, now=now)
    answer = redirect(request, sign_in_url(request, next_path=back, ticket=ticket))
    keep_wish(request, answer, here.case.request.ui_locales)
    return with_browser(request, answer, browser)


def _same_person(asking: Asking, here: Visit) -> str:
    """The name to fill in when the same person is asked again; empty when another is wanted."""
    if "select_account" in asking.prompts or asking.hinted_user not in (None, here.user_id):
        return ""
    return here.username


async def _ask_consent(
    request: Request, engine: Engine, here: Here, asking: Asking, decision: AskConsent, *, now: datetime
) -> Response:
    if decision.details:
        # RFC 9396: allowed for this time only, so that the request may be answered only once.
        here = await kept_here(engine, here, now=now)
    client = here.case.client
    apis = await engine.directory.apis(now=now)
    target = redirect_target(here.case)
    back, browser = await come_back(engine, here, asking, now=now)
    ticket = Ticket(shown_name(client.name), redirect_source(target), again=True)
    # An API that is meant by the details alone is told with them.
    meant = audiences_of(decision.details, apis)
    plain = tuple(audience for audience in decision.audiences if audience not in meant)
    page = ConsentPage(
        action="/oauth/consent",
        hidden=(
            ("request", back.partition("?")[2]),
            ("scopes", " ".join(decision.scopes)),
            ("audiences", " ".join(decision.audiences)),
        ),
        client_name=shown_name(client.name),
        homepage_host=run_by(client, target),
        sent_to=host_of(target),
        local=is_local(target),
        verified=not client.settings.unverified,
        person=decision.visit,
        switch_url=sign_in_url(request, next_path=back, ticket=ticket),
        groups=scope_groups(apis, decision.scopes, plain),
        details=shown_details(decision.details, apis),
        links=links_of(client),
    )
    request.state.ui_locales = here.case.request.ui_locales
    # The form leads on to the client, and browsers apply form-action to the redirects after a POST.
    shown = render(request, "oauth/consent.html", page, form_action=redirect_source(target))
    return with_browser(request, shown, browser)


async def _issue(
    request: Request, engine: Engine, here: Here, asking: Asking, decision: Issue, *, now: datetime
) -> Response:
    try:
        values = await issue(engine, here.case, asking, decision, now=now)
    except ConsentGone:
        return see_other(f"{AUTHORIZE}?{here.marked}")  # decided again, from the facts of now
    except NobodyThere:
        raise LoginRequired("the person was signed out meanwhile") from None
    return await to_client(request, engine, here.case, values, now=now)
