"""Linked accounts: the question whether to link (`/federation/link`), and the list in self-service (`/account/linked`).

Linking always ends at that question, asked of somebody who signed in to the account a short while ago. A provider's
answer alone links nothing: whoever could make a browser fetch one would get into the account of its owner.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import NotFound
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_
from kronborg.core.parts import parts_of
from kronborg.federation.attempts import Pending, pending
from kronborg.federation.linked import NotTheLastWay, TooManyLinks, linked_accounts, unlink
from kronborg.federation.linking import AlreadyLinked, NotAdmitted, link, start_anew
from kronborg.federation.model import Identity
from kronborg.federation.pages import (
    FRESH,
    NOT_ADMITTED,
    STALE,
    OutcomePage,
    browser_of,
    federation_parts_of,
    prove,
    refused,
)
from kronborg.federation.presets import Known, known
from kronborg.federation.providers_store import find_provider, list_providers
from kronborg.sessions.model import AccountPage, Visit
from kronborg.sessions.tickets import Ticket
from kronborg.sessions.visits import sign_in_url, visit

DONE = {"linked": N_("The account is linked."), "unlinked": N_("The account is not linked any more.")}
LAST_WAY = N_("This is the only way in which you can sign in. Set a password first, then unlink it.")
TAKEN = N_("That account is linked already, to this account or to another one.")
TOO_MANY = N_("This account has as many linked accounts as there may be. Unlink one first.")


@dataclass(frozen=True, slots=True)
class LinkPage:
    """What `federation/link.html` shows: whose identity it is, and the account that it may be linked to."""

    pending: str
    provider: str
    shown: str
    person: Visit | None
    sign_in: str
    may_start_anew: bool
    from_account: bool


@dataclass(frozen=True, slots=True)
class ShownLink:
    """One linked account."""

    provider: str
    subject: str
    name: str
    preset: str
    shown: str
    linked_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True)
class ShownChoice:
    """A provider that can be linked."""

    key: str
    name: str
    preset: str


@dataclass(frozen=True, slots=True)
class LinkedPage(AccountPage):
    """What `federation/linked.html` shows."""

    links: tuple[ShownLink, ...]
    choices: tuple[ShownChoice, ...]
    error: str | None
    done: str | None
    now: datetime


def routes() -> list[Route]:
    """The question, and the list."""
    return [
        Route("/federation/link", show_link, methods=["GET"]),
        Route("/federation/link", submit_link, methods=["POST"]),
        Route("/account/linked", show_linked, methods=["GET"]),
        Route("/account/linked", submit_unlink, methods=["POST"]),
    ]


async def show_link(request: Request) -> Response:
    """Ask whether to link; first send somebody who is not signed in, or was so long ago, to sign-in."""
    name = request.query_params.get("pending", "")
    found = await _pending(request, name)
    if found is None:
        return _gone(request)
    waiting, provider = found
    here = await visit(request)
    if waiting.attempt.link and (here is None or here.user_id != waiting.attempt.link):
        return _gone(request)
    if here is not None and not _is_fresh(here):
        return redirect(request, sign_in_url(request, ticket=Ticket(again=True)))
    here_path = "/federation/link?" + urlencode({"pending": name})
    page = LinkPage(
        pending=name,
        provider=provider.provider.name,
        shown=waiting.told.shown,
        person=here,
        sign_in=sign_in_url(request, next_path=here_path, ticket=Ticket(again=here is not None)) + "&way=local",
        may_start_anew=provider.settings.provision and not waiting.attempt.link and here is None,
        from_account=bool(waiting.attempt.link),
    )
    return render(request, "federation/link.html", page)


async def submit_link(request: Request) -> Response:
    """Link to the account that is signed in; or with `anew`, make one of its own."""
    form = await checked_form(request)
    name = form.get("pending", "")
    here = await visit(request)
    anew = form.get("decision") == "anew"
    if not anew and (here is None or not _is_fresh(here)):
        return redirect(request, "/federation/link?" + urlencode({"pending": name}))
    found = await _pending(request, name, take=True)
    if found is None:
        return _gone(request)
    waiting, provider = found
    if waiting.attempt.link and (here is None or here.user_id != waiting.attempt.link):
        return _gone(request)
    if anew:
        return await _start_anew(request, provider, waiting)
    if here is None or form.get("decision") != "link":
        return redirect(request, waiting.attempt.next if here else "/signin")
    database, now = parts_of(request).database, clock.now()
    try:
        async with database.write() as session:
            await linked_accounts(session, here.user_id)
            await link(session, here.user_id, waiting.told, actor=here.user_id, now=now)
    except TooManyLinks:
        return await _list(request, here, error=TOO_MANY, status=409)
    except AlreadyLinked:
        return await _list(request, here, error=TAKEN, status=409)
    done = "/account/linked?done=linked" if waiting.attempt.link else waiting.attempt.next
    return redirect(request, done)


async def _start_anew(request: Request, provider: Known, waiting: Pending) -> Response:
    """An account of its own, without the address that another account has."""
    browser, now = browser_of(request), clock.now()
    if browser is None or waiting.attempt.link:
        return _gone(request)
    try:
        async with parts_of(request).database.write() as session:
            user_id = await start_anew(session, provider, waiting.told, now=now)
    except (NotAdmitted, AlreadyLinked) as no:
        return refused(request, provider, waiting.attempt, str(no), error=NOT_ADMITTED, status=403)
    return await prove(request, provider, waiting.attempt, waiting.told, user_id, browser=browser, now=now)


async def show_linked(request: Request) -> Response:
    """The accounts that are linked, and those that could be."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    return await _list(request, here, done=DONE.get(request.query_params.get("done", "")))


async def submit_unlink(request: Request) -> Response:
    """Unlink one; the last way to sign in stays."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path="/account/linked"))
    if not _is_fresh(here):
        return redirect(request, sign_in_url(request, next_path="/account/linked", ticket=Ticket(again=True)))
    provider, subject = form.get("provider", ""), form.get("subject", "")
    try:
        async with parts_of(request).database.write() as session:
            other_ways = await federation_parts_of(request).other_ways(session, here.user_id)
            await unlink(session, here.user_id, provider, subject, other_ways=other_ways, now=clock.now())
    except NotTheLastWay:
        return await _list(request, here, error=LAST_WAY, status=409)
    except NotFound:
        return redirect(request, "/account/linked")  # unlinked in another window meanwhile
    return redirect(request, "/account/linked?done=unlinked")


async def _list(
    request: Request, here: Visit, *, error: str | None = None, done: str | None = None, status: int = 200
) -> Response:
    async with parts_of(request).database.read() as session:
        providers = {one.key: one for one in await list_providers(session)}
        identities = await linked_accounts(session, here.user_id, bounded=False)
    links = tuple(
        _shown(one, providers[one.provider].name, providers[one.provider].settings.preset) for one in identities
    )
    mine = {one.provider for one in identities}
    choices = tuple(
        ShownChoice(one.key, one.name, one.settings.preset)
        for one in providers.values()
        if one.settings.enabled and one.key not in mine
    )
    page = LinkedPage(here, "linked", links, choices, error, done, clock.now())
    return render(request, "federation/linked.html", page, status=status)


def _shown(identity: Identity, name: str, preset: str) -> ShownLink:
    return ShownLink(
        identity.provider,
        identity.subject,
        name,
        preset,
        identity.shown,
        identity.created_at,
        identity.used_at,
    )


async def _pending(request: Request, name: str, *, take: bool = False) -> tuple[Pending, Known] | None:
    parts, browser = parts_of(request), browser_of(request)
    if browser is None:
        return None
    found = await pending(parts.database, parts.vault, name, browser=browser, now=clock.now(), take=take)
    if found is None:
        return None
    async with parts.database.read() as session:
        provider = await find_provider(session, found.told.provider)
    return None if provider is None or not provider.settings.enabled else (found, known(provider))


def _gone(request: Request) -> Response:
    page = OutcomePage("", STALE, "/signin", "/account")
    return render(request, "federation/outcome.html", page, status=400)


def _is_fresh(here: Visit) -> bool:
    return clock.now() - here.auth_time <= FRESH
