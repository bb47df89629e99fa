"""SAML in the browser: the request, our metadata, and where assertions are posted to.

Browsers do not send our cookie with the POST of another site. So the assertion is checked and put aside under a name,
and the browser is sent on by a GET, with which the cookie comes: only there is decided whether this very browser asked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.core.html import redirect, redirect_source, render
from kronborg.core.log import get_logger
from kronborg.core.parts import parts_of
from kronborg.federation import saml
from kronborg.federation.attempts import keep_pending, pending, send_away, spend, take_back
from kronborg.federation.claims import NoSubject, told_by
from kronborg.federation.model import Attempt, Told
from kronborg.federation.pages import (
    STALE,
    arrive,
    browser_of,
    fields_of_body,
    provider_of,
    refused,
    with_browser,
)
from kronborg.federation.presets import Known
from kronborg.federation.upstream import UpstreamRefused

log = get_logger("kronborg.federation")
NAME = "saml:subject"


@dataclass(frozen=True, slots=True)
class PostPage:
    """What `federation/saml_post.html` shows: a form that leads to the provider."""

    provider: str
    url: str
    fields: tuple[tuple[str, str], ...]


def routes() -> list[Route]:
    """Below `/federation/<key>` of a provider of SAML."""
    return [
        Route("/federation/{key}/metadata", metadata, methods=["GET"]),
        Route("/federation/{key}/acs", consume, methods=["POST"]),
        Route("/federation/{key}/landed", land, methods=["GET"]),
    ]


async def begin_saml(request: Request, provider: Known, attempt: Attempt, *, browser: str, now: datetime) -> Response:
    """Send the browser to the provider. Raises `UpstreamRefused`."""
    parts = parts_of(request)
    # The id of the request is known when it is made, and `state` when it is kept: so the request carries a name first.
    sent = await asyncio.to_thread(saml.request, provider, parts.issuer, "-", again=attempt.again)
    attempt = replace(attempt, request_id=sent.request_id)
    state = await send_away(parts.database, parts.vault, attempt, browser=browser, now=now)
    if sent.form:
        form = tuple((name, state if name == "RelayState" else value) for name, value in sent.form)
        page = PostPage(provider.provider.name, sent.url, form)
        source = redirect_source(sent.url)
        return with_browser(request, render(request, "federation/saml_post.html", page, form_action=source), browser)
    url = sent.url.replace("RelayState=-", f"RelayState={state}")
    return with_browser(request, redirect(request, url), browser)


async def metadata(request: Request) -> Response:
    """Who we are, for the provider."""
    provider = await _saml_provider(request)
    return Response(saml.metadata(provider, parts_of(request).issuer), media_type="application/samlmetadata+xml")


async def consume(request: Request) -> Response:
    """SAML bindings §3.5: an assertion, posted by the browser. It is believed here, and used where the cookie is."""
    provider, now, parts = await _saml_provider(request), clock.now(), parts_of(request)
    fields = await fields_of_body(request, limit=saml.MAX_RESPONSE * 2)
    nobody = Attempt(provider.key, "/account", "")
    if fields is None or "SAMLResponse" not in fields:
        return refused(request, provider, nobody, "no response", error=STALE)
    try:
        asserted = await asyncio.to_thread(saml.believe, provider, parts.issuer, fields["SAMLResponse"], now=now)
        told = _told(provider, asserted)
    except UpstreamRefused as refusal:
        return refused(request, provider, nobody, refusal.reason)
    async with parts.database.write() as session:
        # SAML profiles §4.1.4.5: an assertion counts once.
        if not await spend(session, provider.key, "assertion", asserted.assertion_id, expires_at=asserted.expires_at):
            return refused(request, provider, nobody, "the assertion was used before")
    answered = replace(nobody, request_id=asserted.in_response_to)
    name = await keep_pending(parts.database, parts.vault, told, answered, browser=_aside(provider), now=now)
    state = fields.get("RelayState", "")[:100]
    if not state.replace("-", "").replace("_", "").isalnum():
        return refused(request, provider, nobody, "no RelayState", error=STALE)
    return redirect(request, f"/federation/{provider.key}/landed?state={state}&name={name}")


async def land(request: Request) -> Response:
    """Here the cookie is: go on if this browser asked, and asked for this."""
    provider, now, parts = await _saml_provider(request), clock.now(), parts_of(request)
    nobody, browser = Attempt(provider.key, "/account", ""), browser_of(request)
    name, state = request.query_params.get("name", ""), request.query_params.get("state", "")
    if browser is None:
        return refused(request, provider, nobody, "unknown state", error=STALE)
    found = await take_back(parts.database, parts.vault, state, browser=browser, provider=provider.key, now=now)
    aside = await pending(parts.database, parts.vault, name, browser=_aside(provider), now=now, take=True)
    if found is None or aside is None or aside.attempt.request_id != found[0].request_id:
        return refused(request, provider, nobody, "unknown state", error=STALE)
    return await arrive(request, provider, found[0], aside.told, browser=browser, now=now)


def _told(provider: Known, asserted: saml.Asserted) -> Told:
    settings = provider.settings
    # There is no claim for it: whether its addresses are believed is a setting (`trust_email`).
    claims = {**asserted.claims, NAME: asserted.subject, provider.preset.verified_claim: True}
    named = replace(settings, subject_claim=settings.subject_claim or NAME)
    try:
        return told_by(replace(provider, settings=named), claims, {})
    except NoSubject:
        raise UpstreamRefused("the provider does not say who this is") from None


def _aside(provider: Known) -> str:
    """What is put aside is bound to no browser yet, but to the provider."""
    return f"saml:{provider.key}"


async def _saml_provider(request: Request) -> Known:
    provider = await provider_of(request)
    if provider.provider.kind != "saml":
        raise NotFound("there is no such identity provider")
    return provider
