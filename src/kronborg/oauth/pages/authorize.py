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
from kronborg.oauth.asked import asked_query
from kronborg.oauth.asking import understand
from kronborg.oauth.authorize import AskConsent, Asking, Issue, Refuse, SignIn, StepUp, decide
from kronborg.oauth.authorize_errors import NoRedirect
from kronborg.oauth.authorize_request import parse
from kronborg.oauth.checks import KnownCase, after_redirect, before_redirect, redirect_target
from kronborg.oauth.consent import ConsentGone, unless_withdrawn
from kronborg.oauth.consent_page import ConsentPage
from kronborg.oauth.pages.answers import (
    AUTHORIZE,
    error_to_client,
    host_of,
    no_redirect,
    query_of,
    refusal_to_client,
    scope_groups,
    see_other,
    to_client,
)
from kronborg.oauth.parameters import Unreadable
from kronborg.oauth.store import find_consent
from kronborg.signin.model import Visit
from kronborg.signin.pages import sign_in_url, visit
from kronborg.signin.tickets import Ticket
from kronborg.tokens.codes import create_code
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError
from kronborg.tokens.model import Authorization


def routes(engine: Engine) -> list[Route]:
    """`/oauth/authorize`, by GET and POST (OIDC Core §3.1.2.1)."""
    return [Route(AUTHORIZE, partial(authorize, engine), methods=["GET", "POST"])]


async def authorize(engine: Engine, request: Request) -> Response:
    """The next step of an authorization: a screen, or the answer to the client."""
    now, client = clock.now(), None
    try:
        sent = parse(await query_of(request))
        if sent.client_id is not None:
            client = await engine.directory.client(sent.client_id, now=now)
        case = before_redirect(sent, client)
    except (NoRedirect, Unreadable) as refusal:
        return no_redirect(request, refusal, client)
    try:
        after_redirect(case)
        asking = await understand(engine, case, now=now)
    except OAuthError as refusal:
        return refusal_to_client(engine, case, refusal)
    here = await visit(request)
    if here is None and request.method == "POST":
        # Browsers keep our cookie (SameSite=Lax) from the POST of another site; they send it with the GET that follows.
        return see_other(f"{AUTHORIZE}?{sent.marked_query()}")
    return await _proceed(request, engine, case, asking, here, now=now)


async def _proceed(
    request: Request, engine: Engine, case: KnownCase, asking: Asking, here: Visit | None, *, now: datetime
) -> Response:
    grant = None if here is None else await find_consent(engine.database.lookup, here.user_id, case.client.id)
    decision = decide(asking, case.client, here, grant, now)
    match decision:
        case SignIn():
            return redirect(request, _sign_in(request, engine, case, asking, case.request.login_hint or "", now=now))
        case StepUp(visit=person):
            hint = case.request.login_hint or _same_person(asking, person)
            return redirect(request, _sign_in(request, engine, case, asking, hint, now=now, again=True))
        case AskConsent():
            return await _ask_consent(request, engine, case, asking, decision, now=now)
        case Issue():
            return await _issue(engine, case, asking, decision, now=now)
        case Refuse(error=error, detail=detail):
            return error_to_client(engine, case, error.error, detail)
        case _:
            assert_never(decision)


def _come_back(engine: Engine, case: KnownCase, asking: Asking, *, now: datetime) -> str:
    """The request as an address that remembers since when its person is asked: the first time counts."""
    return f"{AUTHORIZE}?{asked_query(engine.vault, case.request, now=asking.asked or now)}"


def _sign_in(
    request: Request,
    engine: Engine,
    case: KnownCase,
    asking: Asking,
    login_hint: str,
    *,
    now: datetime,
    again: bool = False,
) -> str:
    target = redirect_target(case)
    ticket = Ticket(case.client.name, redirect_source(target), again, login_hint)
    return sign_in_url(request, next_path=_come_back(engine, case, asking, now=now), ticket=ticket)


def _same_person(asking: Asking, here: Visit) -> str:
    """The name to fill in when the same person is asked again; empty when another is wanted."""
    if "select_account" in asking.prompts or asking.hinted_user not in (None, here.user_id):
        return ""
    return here.username


async def _ask_consent(
    request: Request,
    engine: Engine,
    case: KnownCase,
    asking: Asking,
    decision: AskConsent,
    *,
    now: datetime,
) -> Response:
    apis = await engine.directory.apis(now=now)
    target, back = redirect_target(case), _come_back(engine, case, asking, now=now)
    ticket = Ticket(case.client.name, redirect_source(target), again=True)
    page = ConsentPage(
        action="/oauth/consent",
        hidden=(
            ("request", back.partition("?")[2]),
            ("scopes", " ".join(decision.scopes)),
            ("audiences", " ".join(decision.audiences)),
        ),
        client_name=case.client.name,
        homepage_host=host_of(target),
        verified=True,
        person=decision.visit,
        switch_url=sign_in_url(request, next_path=back, ticket=ticket),
        groups=scope_groups(apis, decision.scopes, decision.audiences),
    )
    # The form leads on to the client, and browsers apply form-action to the redirects after a POST.
    return render(request, "oauth/consent.html", page, form_action=redirect_source(target))


async def _issue(engine: Engine, case: KnownCase, asking: Asking, decision: Issue, *, now: datetime) -> Response:
    here = decision.visit
    authorization = Authorization(
        client_id=case.client.id,
        user_id=here.user_id,
        session_id=here.session_id,
        scopes=decision.scopes,
        audiences=decision.audiences,
        redirect_uri=case.request.redirect_uri,
        challenge=case.request.code_challenge,
        nonce=case.request.nonce,
        auth_time=here.auth_time,
        amr=here.amr,
    )
    check = None
    if not case.client.first_party or "consent" in asking.prompts:
        check = unless_withdrawn(here.user_id, case.client.id, decision.scopes, decision.audiences)
    try:
        code = await create_code(engine, authorization, now=now, check=check)
    except ConsentGone:
        return see_other(f"{AUTHORIZE}?{case.request.marked_query()}")  # decided again, from the facts of now
    return to_client(engine, case, {"code": code})
