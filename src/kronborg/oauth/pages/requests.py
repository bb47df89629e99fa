"""`/account/requests`: what clients ask this person for from elsewhere (CIBA §7.2), and the answer to it."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients.model import Client
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_, many
from kronborg.oauth.ciba import GRANT
from kronborg.oauth.model import Waiting
from kronborg.oauth.pages.answers import scope_groups
from kronborg.oauth.pages.stronger import stronger_first
from kronborg.oauth.requests_page import RequestPage, RequestsPage, ShownRequest
from kronborg.oauth.waiting import Answered, allow, deny
from kronborg.oauth.waiting_store import waiting_of_user
from kronborg.sessions.model import Announcement, Announcer, Visit
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.tokens.engine import Engine

REQUESTS = "/account/requests"
DONE = {
    "allowed": N_("You allowed it. The app goes on by itself."),
    "denied": N_("You denied it. The app was told no."),
    "over": N_("That request does not wait any more: it was answered already, or its time was over."),
}


def routes(engine: Engine) -> list[Route]:
    """`/account/requests` and one request below it."""
    one = f"{REQUESTS}/{{reference}}"
    return [
        Route(REQUESTS, partial(show_requests, engine), methods=["GET"]),
        Route(one, partial(show_request, engine), methods=["GET"]),
        Route(one, partial(submit_answer, engine), methods=["POST"]),
    ]


def announcer(engine: Engine) -> Announcer:
    """Says on the first page of the account that requests wait."""

    async def announce(here: Visit, now: datetime) -> Announcement | None:
        found = len(await _waiting(engine, here, now=now))
        if not found:
            return None
        text = many("An app waits for your answer.", "%(num)s requests of apps wait for your answer.", found)
        return Announcement(text, REQUESTS, N_("Look at it") if found == 1 else N_("Look at them"))

    return announce


async def show_requests(engine: Engine, request: Request) -> Response:
    """Everything that waits for this person."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    now = clock.now()
    shown = tuple(_shown(client, waiting) for waiting, client in await _waiting(engine, here, now=now))
    done = DONE.get(request.query_params.get("done", ""))
    return render(request, "oauth/requests.html", RequestsPage(here, "requests", shown, done, now))


async def show_request(engine: Engine, request: Request) -> Response:
    """One request, and the question."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    now = clock.now()
    found = await _one(engine, request, here, now=now)
    if found is None:
        return redirect(request, f"{REQUESTS}?done=over")
    waiting, client = found
    first = stronger_first(request, client, here, back=f"{REQUESTS}/{waiting.reference}")
    if first is not None:
        return first
    groups = scope_groups(await engine.directory.apis(now=now), waiting.scopes, waiting.audiences)
    return render(request, "oauth/request.html", RequestPage(_shown(client, waiting), here, groups, now))


async def submit_answer(engine: Engine, request: Request) -> Response:
    """The answer, once."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=REQUESTS))
    now, decision = clock.now(), form.get("decision")
    found = await _one(engine, request, here, now=now)
    if found is None or decision not in ("allow", "deny"):
        return redirect(request, f"{REQUESTS}?done=over" if found is None else REQUESTS)
    waiting, client = found
    first = stronger_first(request, client, here, back=f"{REQUESTS}/{waiting.reference}")
    if decision == "allow" and first is not None:
        return first
    try:
        if decision == "allow":
            await allow(engine, client, waiting, here, now=now)
        else:
            await deny(engine, waiting, here, now=now)
    except Answered:
        return redirect(request, f"{REQUESTS}?done=over")
    return redirect(request, f"{REQUESTS}?done={'allowed' if decision == 'allow' else 'denied'}")


async def _waiting(engine: Engine, here: Visit, *, now: datetime) -> list[tuple[Waiting, Client]]:
    """What waits for this person, of clients that may still ask."""
    found = []
    for waiting in await waiting_of_user(engine.database.lookup, here.user_id, now=now):
        client = await engine.directory.client(waiting.client_id, now=now)
        if client is not None and not client.disabled and GRANT in client.grants:
            found.append((waiting, client))
    return found


async def _one(engine: Engine, request: Request, here: Visit, *, now: datetime) -> tuple[Waiting, Client] | None:
    """The request named in the address, if it waits for this very person."""
    reference = str(request.path_params["reference"])
    found = await _waiting(engine, here, now=now)
    return next(((waiting, client) for waiting, client in found if waiting.reference == reference), None)


def _shown(client: Client, waiting: Waiting) -> ShownRequest:
    return ShownRequest(
        f"{REQUESTS}/{waiting.reference}",
        client.name,
        not client.settings.unverified,
        waiting.particulars.message,
        waiting.created_at,
        waiting.expires_at,
    )
