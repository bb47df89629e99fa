"""`/federation/<key>/…`: to a provider and back. Every way that ends well seals a proof for the sign-in journey.

The pages in between are few: what went wrong, and the question whether an account shall be linked.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.addresses import network_of
from kronborg.core.cookies import BROWSER, read_cookie, set_cookie
from kronborg.core.errors import NotFound
from kronborg.core.events import record
from kronborg.core.html import redirect, render
from kronborg.core.ids import random_token
from kronborg.core.jose import BadKey
from kronborg.core.languages import N_
from kronborg.core.log import get_logger
from kronborg.core.parts import part_of, parts_of
from kronborg.federation.attempts import keep_pending, take_back
from kronborg.federation.client_secrets import open_secret, published_key
from kronborg.federation.linking import AlreadyLinked, Entered, NotAdmitted, ProveFirst, amr_of, enter, managed_by
from kronborg.federation.model import Attempt, Told
from kronborg.federation.parts import FederationParts
from kronborg.federation.presets import Known, known
from kronborg.federation.providers_store import find_provider
from kronborg.federation.sign_in_upstream import Upstream, Wish, begin, understand
from kronborg.federation.told_sessions import log_out
from kronborg.federation.upstream import UpstreamRefused
from kronborg.sessions.proof import Proof, continue_path, seal_proof
from kronborg.sessions.tickets import Ticket, local_path, read_ticket
from kronborg.sessions.visits import origin_of_request, sign_in_url, visit

log = get_logger("kronborg.federation")

MAX_FORM = 64 * 1024
FRESH = timedelta(minutes=15)
"""How recently somebody must have signed in who links another way to sign in."""
FAILED = N_("The sign-in there did not succeed. Try again, or choose another way.")
STALE = N_("This sign-in was open for too long, or was begun in another browser. Please start once more.")
NOT_ADMITTED = N_("You may not sign in here with this account. Ask your administrator.")
OFF = N_("This way to sign in is not available.")
AWAY = N_("The provider cannot be reached at the moment. Try again later, or choose another way.")


@dataclass(frozen=True, slots=True)
class OutcomePage:
    """What `federation/outcome.html` shows: that it did not work, and where to go on."""

    provider: str
    error: str
    again: str
    other: str


@dataclass(frozen=True, slots=True)
class AwayPage:
    """What `federation/away.html` shows for a moment: the browser goes on by itself.

    After a form of ours browsers would hold redirects to `form-action`; a page in between ends the form.
    """

    provider: str
    url: str


def routes() -> list[Route]:
    """To providers and back. What links accounts is in `linked_pages.py`, SAML in `saml_pages.py`."""
    return [
        Route("/federation/{key}/start", start, methods=["GET"]),
        Route("/federation/{key}/callback", callback, methods=["GET"]),
        Route("/federation/{key}/callback", posted_callback, methods=["POST"]),
        Route("/federation/{key}/backchannel-logout", backchannel_logout, methods=["POST"]),
        Route("/federation/{key}/jwks", jwks, methods=["GET"]),
    ]


def federation_parts_of(request: Request) -> FederationParts:
    """The federation parts of the app that serves this request."""
    return part_of(request, "federation", FederationParts)


def upstream_of(request: Request) -> Upstream:
    """What the verbs of the code flow work with."""
    parts = parts_of(request)
    return Upstream(parts.database, parts.vault, federation_parts_of(request).fetcher, parts.issuer)


async def provider_of(request: Request) -> Known:
    """The provider of this address, if people may sign in with it. Raises `NotFound`."""
    async with parts_of(request).database.read() as session:
        provider = await find_provider(session, str(request.path_params["key"])[:40])
    if provider is None or not provider.settings.enabled:
        raise NotFound("there is no such identity provider")
    return known(provider)


async def start(request: Request) -> Response:
    """Send the browser to the provider; `link` says that the person links an account from their own pages."""
    network = network_of(origin_of_request(request).address)
    federation_parts_of(request).starts.check(network, now=clock.now())
    provider = await provider_of(request)
    query = request.query_params
    next_path = local_path(query.get("next"))
    ticket = read_ticket(parts_of(request).vault, query.get("ticket", ""), next_path)
    link = ""
    if "link" in query:
        here = await visit(request)
        if here is None or clock.now() - here.auth_time > FRESH:
            return redirect(request, sign_in_url(request, ticket=Ticket(again=here is not None)))
        link, next_path, ticket = here.user_id, "/account/linked", Ticket()
    kept = "" if link else query.get("ticket", "")[:4000]
    browser = browser_of(request) or random_token()
    attempt = Attempt(provider.key, next_path, kept, link, again=ticket.again)
    wish = Wish(
        query.get("login_hint", "") or ticket.login_hint,
        "select_account" if link else "",
        query.get("ui_locales", ""),
    )
    try:
        if provider.provider.kind == "saml":
            from kronborg.federation.saml_pages import begin_saml

            return await begin_saml(request, provider, attempt, browser=browser, now=clock.now())
        url = await begin(upstream_of(request), provider, attempt, wish, browser=browser, now=clock.now())
    except UpstreamRefused as refusal:
        return refused(request, provider, attempt, refusal.reason, error=AWAY)
    response = (
        render(request, "federation/away.html", AwayPage(provider.provider.name, url))
        if query.get("via") == "form"
        else redirect(request, url)
    )
    return with_browser(request, response, browser)


async def callback(request: Request) -> Response:
    """What the provider answers, in the browser that was sent there."""
    provider, now = await provider_of(request), clock.now()
    answer = _fields(str(request.url.query))
    browser = browser_of(request)
    found = None
    if browser is not None and answer is not None and provider.provider.kind != "saml":
        upstream = upstream_of(request)
        found = await take_back(
            upstream.database, upstream.vault, answer.get("state", ""), browser=browser, provider=provider.key, now=now
        )
    if found is None or answer is None or browser is None:
        return refused(request, provider, Attempt(provider.key, "/account", ""), "unknown state", error=STALE)
    attempt, asked_at = found
    try:
        told = await understand(upstream_of(request), provider, attempt, answer, asked_at=asked_at, now=now)
    except UpstreamRefused as refusal:
        return refused(request, provider, attempt, refusal.reason)
    return await arrive(request, provider, attempt, told, browser=browser, now=now)


async def posted_callback(request: Request) -> Response:
    """The same by `response_mode=form_post`: the cookie does not come with another site's POST, but with what follows.

    Only what the callback reads goes on; nothing is decided here.
    """
    provider = await provider_of(request)
    fields = await fields_of_body(request)
    if fields is None or not provider.preset.post_to_callback:
        return refused(request, provider, Attempt(provider.key, "/account", ""), "a form", error=STALE)
    passed = {name: fields[name][:2000] for name in ("state", "code", "error", "iss", "user") if name in fields}
    return redirect(request, f"/federation/{provider.key}/callback?{urlencode(passed)}")


async def arrive(
    request: Request, provider: Known, attempt: Attempt, told: Told, *, browser: str, now: datetime
) -> Response:
    """Go on with somebody the provider vouched for: to the journey, or first to the question of linking."""
    parts = parts_of(request)
    if attempt.link:
        return await _to_link(request, told, attempt, browser=browser, now=now)
    try:
        async with parts.database.write() as session:
            outcome = await enter(session, provider, told, now=now)
            if isinstance(outcome, Entered):
                detail = {"provider": provider.key}
                await record(
                    session,
                    "federation.entered",
                    actor=outcome.user_id,
                    subject=outcome.user_id,
                    now=now,
                    detail=detail,
                )
    except NotAdmitted as refusal:
        return refused(request, provider, attempt, refusal.detail, error=NOT_ADMITTED, status=403)
    except AlreadyLinked:  # two browsers of one new person at once: the second finds the account
        return refused(request, provider, attempt, "linked meanwhile")
    match outcome:
        case Entered(user_id=user_id):
            return await prove(request, provider, attempt, told, user_id, browser=browser, now=now)
        case ProveFirst():
            return await _to_link(request, told, attempt, browser=browser, now=now)
        case _:
            assert_never(outcome)


async def prove(
    request: Request, provider: Known, attempt: Attempt, told: Told, user_id: str, *, browser: str, now: datetime
) -> Response:
    """Seal who it is for the sign-in journey, which decides what else it takes."""
    amr = amr_of(provider.settings, told)
    proof = Proof(user_id, amr, now, by=managed_by(provider.key), login=told.shown, told=told.sid)
    sealed = seal_proof(parts_of(request).vault, proof, browser=browser)
    return redirect(request, continue_path(sealed, next_path=attempt.next, ticket=attempt.ticket))


async def _to_link(request: Request, told: Told, attempt: Attempt, *, browser: str, now: datetime) -> Response:
    parts = parts_of(request)
    name = await keep_pending(parts.database, parts.vault, told, attempt, browser=browser, now=now)
    return redirect(request, "/federation/link?" + urlencode({"pending": name}))


async def backchannel_logout(request: Request) -> Response:
    """OIDC Back-Channel Logout §2.5 and §2.8: the provider ends sessions of its people here."""
    provider = await provider_of(request)
    fields = (await fields_of_body(request)) or {}
    headers = {"cache-control": "no-store"}
    try:
        if provider.provider.kind != "oidc" or "logout_token" not in fields:
            raise UpstreamRefused("no logout token")
        database, fetcher = parts_of(request).database, federation_parts_of(request).fetcher
        ended = await log_out(database, fetcher, provider, fields["logout_token"], now=clock.now())
    except UpstreamRefused as refusal:
        log.info("logout_refused", provider=provider.key, reason=refusal.reason)
        told = {"error": "invalid_request", "error_description": "the logout token is not valid here"}
        return JSONResponse(told, 400, headers=headers)
    log.info("logged_out_by_provider", provider=provider.key, sessions=ended)
    return Response(status_code=200, headers=headers)


async def jwks(request: Request) -> Response:
    """The public key by which this server proves itself to the provider (`private_key_jwt`)."""
    provider = await provider_of(request)
    keys = []
    if provider.settings.auth_method == "private_key_jwt":
        with suppress(BadKey):
            keys.append(dict(published_key(open_secret(parts_of(request).vault, provider.provider))))
    return JSONResponse({"keys": keys}, headers={"cache-control": "max-age=600"})


def refused(
    request: Request, provider: Known, attempt: Attempt, reason: str, *, error: str = FAILED, status: int = 400
) -> Response:
    """Why it did not work, as far as it helps the person; the reason itself is for the log."""
    log.info("not_entered", provider=provider.key, reason=reason)
    way = {"next": attempt.next, "ticket": attempt.ticket}
    again = {**way, "link": "1"} if attempt.link else way
    other = "/account/linked" if attempt.link else "/signin?" + urlencode({**way, "way": "local"})
    page = OutcomePage(provider.provider.name, error, f"/federation/{provider.key}/start?{urlencode(again)}", other)
    return render(request, "federation/outcome.html", page, status=status)


def browser_of(request: Request) -> str | None:
    """What attempts and proofs are bound to: the browser's own cookie."""
    return read_cookie(request, BROWSER, secure=parts_of(request).secure)


def with_browser(request: Request, response: Response, browser: str) -> Response:
    """Give a browser its cookie, if it has none yet."""
    if browser_of(request) is None:
        set_cookie(response, BROWSER, browser, secure=parts_of(request).secure)
    return response


async def fields_of_body(request: Request, *, limit: int = MAX_FORM) -> Mapping[str, str] | None:
    """The fields of a form that another site sent; None when there is none that can be read."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return _fields(body.decode("utf-8", "replace"))


def _fields(text: str) -> Mapping[str, str] | None:
    """The parameters of an answer; None when one stands twice (RFC 6749 §3.1) or the text is not well-formed."""
    try:
        pairs = parse_qsl(text, errors="strict", max_num_fields=30)
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) and not any("\0" in value for value in fields.values()) else None
