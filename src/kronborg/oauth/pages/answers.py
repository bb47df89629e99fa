"""How these pages answer: a redirect to a client, or a page that says why there can be none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kronborg.clients.directory import Apis
from kronborg.clients.model import BUILT_IN_SCOPES, Client
from kronborg.core.csrf import MAX_FORM
from kronborg.core.html import redirect_source, render
from kronborg.core.jose import BadKey
from kronborg.core.languages import N_
from kronborg.oauth.answering import answer_of
from kronborg.oauth.authorize_errors import NoRedirect
from kronborg.oauth.checks import KnownCase
from kronborg.oauth.consent_page import FormPostPage, OAuthErrorPage, ScopeGroup
from kronborg.oauth.parameters import Unreadable
from kronborg.oauth.redirects import with_answer
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError

AUTHORIZE = "/oauth/authorize"
MAX_NAME = 120
MEND = N_("Start again from the app. Its makers find what the request has to look like in our documentation.")


def query_string(request: Request) -> str:
    """The query as it was sent; bytes that are no UTF-8 become U+FFFD, which no parameter may hold."""
    raw: bytes = request.scope["query_string"]
    return raw.decode("utf-8", errors="replace")


async def query_of(request: Request) -> str:
    """The parameters of a request by GET or POST, still encoded. Raises `Unreadable`."""
    if request.method != "POST":
        return query_string(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise Unreadable("the request is not a form")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise Unreadable("the request is too large")
    return body.decode("utf-8", errors="replace")


def see_other(url: str) -> Response:
    """Send the browser on by GET, whatever it came with (RFC 9700 §4.12: never 307)."""
    return RedirectResponse(url, 303, headers={"cache-control": "no-store"})


async def to_client(
    request: Request, engine: Engine, case: KnownCase, values: Mapping[str, str], *, now: datetime
) -> Response:
    """Send the answer to the client's redirect URI, the way it wants it."""
    try:
        answer = await answer_of(engine, case, values, now=now)
    except BadKey:
        # JARM §2.2: never in the clear when it was to be encrypted.
        refusal = NoRedirect("the application has no usable key for its encrypted answer", error="invalid_client")
        return no_redirect(request, refusal, case.client)
    if answer.carrier == "form_post":
        # OAuth 2.0 Form Post Response Mode §2
        page = FormPostPage(answer.target, tuple(answer.parameters.items()), shown_name(case.client.name))
        return render(request, "oauth/form_post.html", page, form_action=redirect_source(answer.target))
    return see_other(with_answer(answer.target, answer.parameters, mode=answer.carrier))


async def refusal_to_client(
    request: Request, engine: Engine, case: KnownCase, refusal: OAuthError, *, now: datetime
) -> Response:
    """Tell the client no (RFC 6749 §4.1.2.1)."""
    values = {"error": refusal.error, "error_description": refusal.detail}
    return await to_client(request, engine, case, values, now=now)


def no_redirect(
    request: Request, refusal: NoRedirect | Unreadable | OAuthError, client: Client | None = None
) -> Response:
    """A page: there is no address that may be trusted with the answer."""
    detail = str(refusal) if isinstance(refusal, Unreadable) else refusal.detail
    error = "invalid_request" if isinstance(refusal, Unreadable) else refusal.error
    shown = OAuthErrorPage(
        error, f"{detail[:1].upper()}{detail[1:]}.", MEND, None if client is None else shown_name(client.name)
    )
    return render(request, "oauth/error.html", shown, status=400)


def shown_name(name: str) -> str:
    """A name that cannot turn around or hide what stands beside it: without control and direction characters."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in name)[:MAX_NAME]


def host_of(uri: str) -> str:
    """What a person recognises of an address: its host, or its scheme where it has none."""
    parts = urlsplit(uri)
    return parts.netloc or f"{parts.scheme}:"


def scope_groups(apis: Apis, scopes: Collection[str], audiences: Collection[str] = ()) -> tuple[ScopeGroup, ...]:
    """Scopes as sentences, by API; an API without any of them is called in the person's name all the same."""
    built_in = tuple(scope.description for scope in BUILT_IN_SCOPES if scope.name in scopes)
    groups = [ScopeGroup(N_("Your account"), built_in)] if built_in else []
    for api in apis.by_audience.values():
        sentences = tuple(scope.description or scope.name for scope in api.scopes if scope.name in scopes)
        if not sentences and api.audience in audiences:
            sentences = (N_("Show that you are signed in"),)
        if sentences:
            groups.append(ScopeGroup(api.name, sentences))
    return tuple(groups)
