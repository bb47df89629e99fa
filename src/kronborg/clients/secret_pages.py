"""`/console/clients/<id>/secrets`: the secrets of a client. A new one is shown once, in the answer that made it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients import register
from kronborg.clients.edit_pages import existing_client
from kronborg.clients.model import SECRET_METHODS, Client, NewSecret
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, may
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/clients"
LIFETIMES = (("90", "90 days"), ("180", "180 days"), ("365", "A year"), ("", "No end"))


@dataclass(frozen=True, slots=True)
class SecretsPage(ConsolePage):
    """The secrets of a client; `made` right after one was made."""

    client: Client
    href: str
    uses_secret: bool
    may_change: bool
    lifetimes: tuple[tuple[str, str], ...]
    made: NewSecret | None
    problem: str
    done: str | None
    now: datetime


def routes() -> list[Route]:
    """The secrets of a client."""
    one = f"{HOME}/{{client_id:path}}/secrets"
    return [
        Route(one, show_secrets, methods=["GET"]),
        Route(one, submit_secret, methods=["POST"]),
        Route(f"{one}/{{secret_id}}/remove", ask_remove, methods=["GET"]),
        Route(f"{one}/{{secret_id}}/remove", submit_remove, methods=["POST"]),
    ]


async def show_secrets(request: Request) -> Response:
    """When each was made and used, and when it ends; none of them itself."""
    found = await admitted(request, "clients:read", Resource("client", request.path_params["client_id"]))
    return found if isinstance(found, Response) else await _shown(request, found)


async def submit_secret(request: Request) -> Response:
    """One more secret."""
    form = await checked_form(request)
    client_id: str = request.path_params["client_id"]
    found = await admitted(
        request, "clients:secrets", Resource("client", client_id), fresh=True, back=f"{_href(client_id)}/secrets"
    )
    if isinstance(found, Response):
        return found
    days, parts, now = form.get("days", ""), parts_of(request), clock.now()
    if days not in dict(LIFETIMES):
        raise Invalid(Problem("days", "is not one of the choices"))
    lifetime = timedelta(days=int(days)) if days else None
    try:
        async with whole(parts.database) as session:
            made = await register.add_secret(
                session, parts.vault, client_id, actor=actor_of(found), now=now, lifetime=lifetime
            )
    except Conflict as refusal:
        return await _shown(request, found, problem=f"{refusal.detail[:1].upper()}{refusal.detail[1:]}.")
    return await _shown(request, found, made=made)


async def ask_remove(request: Request) -> Response:
    """What removing a secret does."""
    client_id, secret_id = request.path_params["client_id"], request.path_params["secret_id"]
    found = await admitted(request, "clients:secrets", Resource("client", client_id), fresh=True)
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        client = await existing_client(session, client_id)
    if secret_id not in {secret.id for secret in client.secrets}:
        raise NotFound("this client has no such secret")
    page = ConfirmPage(
        found,
        "clients",
        "Remove this secret?",
        f"Whoever runs {client_id} with this secret cannot authenticate any more.",
        "Remove secret",
        request.url.path,
        f"{_href(client_id)}/secrets",
        ("It holds at once.", "Tokens that were issued already stay valid until they expire."),
        crumbs=(("Clients", HOME), (client_id, _href(client_id)), ("Secrets", f"{_href(client_id)}/secrets")),
    )
    return confirm(request, page)


async def submit_remove(request: Request) -> Response:
    """Make a secret useless."""
    await checked_form(request)
    client_id, secret_id = request.path_params["client_id"], request.path_params["secret_id"]
    found = await admitted(request, "clients:secrets", Resource("client", client_id), fresh=True)
    if isinstance(found, Response):
        return found
    async with whole(parts_of(request).database) as session:
        await register.remove_secret(session, client_id, secret_id, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{_href(client_id)}/secrets?done=removed")


async def _shown(request: Request, found: Admitted, *, made: NewSecret | None = None, problem: str = "") -> Response:
    client_id: str = request.path_params["client_id"]
    async with parts_of(request).database.read() as session:
        client = await existing_client(session, client_id)
    page = SecretsPage(
        found,
        "clients",
        client,
        _href(client_id),
        client.auth_method in SECRET_METHODS,
        may(request, found, "clients:secrets", Resource("client", client_id)),
        LIFETIMES,
        made,
        problem,
        "The secret is gone." if request.query_params.get("done") == "removed" and made is None else None,
        clock.now(),
    )
    return render(request, "clients/secrets.html", page, status=409 if problem else 200)


def _href(client_id: str) -> str:
    return f"{HOME}/{quote(client_id, safe='')}"
