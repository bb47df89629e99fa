"""How these pages answer: a redirect to a client, or a page that says why there can be none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kronborg.clients.directory import Apis
from kronborg.clients.model import BUILT_IN_SCOPES, Client
from kronborg.core.csrf import MAX_FORM
from kronborg.core.html import render
from kronborg.oauth.authorize_errors import NoRedirect
from kronborg.oauth.checks import KnownCase, redirect_target
from kronborg.oauth.consent_page import OAuthErrorPage, ScopeGroup
from kronborg.oauth.parameters import Unreadable
from kronborg.oauth.redirects import ResponseMode, with_answer
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import OAuthError

AUTHORIZE = "/oauth/authorize"
MEND = "Start again from the app. Its makers find what the request has to look like in our documentation."


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


def to_client(engine: Engine, case: KnownCase, answer: Mapping[str, str]) -> Response:
    """Send the answer to the client's redirect URI, with `state` and `iss` (RFC 9207 §2)."""
    state = {} if case.request.state is None else {"state": case.request.state}
    mode: ResponseMode = "fragment" if case.request.response_mode == "fragment" else "query"
    return see_other(with_answer(redirect_target(case), {**answer, **state, "iss": engine.issuer}, mode=mode))


def error_to_client(engine: Engine, case: KnownCase, error: str, detail: str) -> Response:
    """Tell the client no (RFC 6749 §4.1.2.1)."""
    return to_client(engine, case, {"error": error, "error_description": detail})


def refusal_to_client(engine: Engine, case: KnownCase, refusal: OAuthError) -> Response:
    """The same for a refusal."""
    return error_to_client(engine, case, refusal.error, refusal.detail)


def no_redirect(request: Request, refusal: NoRedirect | Unreadable, client: Client | None = None) -> Response:
    """A page: there is no address that may be trusted with the answer."""
    detail = refusal.detail if isinstance(refusal, NoRedirect) else str(refusal)
    shown = OAuthErrorPage(
        "invalid_request", f"{detail[:1].upper()}{detail[1:]}.", MEND, None if client is None else client.name
    )
    return render(request, "oauth/error.html", shown, status=400)


def host_of(uri: str) -> str:
    """What a person recognises of an address: its host, or its scheme where it has none."""
    parts = urlsplit(uri)
    return parts.netloc or f"{parts.scheme}:"


def scope_groups(apis: Apis, scopes: Collection[str], audiences: Collection[str] = ()) -> tuple[ScopeGroup, ...]:
    """Scopes as sentences, by API; an API without any of them is called in the person's name all the same."""
    built_in = tuple(scope.description for scope in BUILT_IN_SCOPES if scope.name in scopes)
    groups = [ScopeGroup("Your account", built_in)] if built_in else []
    for api in apis.by_audience.values():
        sentences = tuple(scope.description or scope.name for scope in api.scopes if scope.name in scopes)
        if not sentences and api.audience in audiences:
            sentences = ("Show that you are signed in",)
        if sentences:
            groups.append(ScopeGroup(api.name, sentences))
    return tuple(groups)
