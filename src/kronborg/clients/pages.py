"""`/console/clients`: the applications there are, and what one of them is like. Changing them: `edit_pages.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients import edit_pages, secret_pages
from kronborg.clients.forms import SettingField, setting_fields
from kronborg.clients.legacy import Legacy, legacy_of
from kronborg.clients.model import SECRET_METHODS, Client
from kronborg.clients.profiles import problems as profile_problems
from kronborg.clients.store import find_client, list_clients
from kronborg.core import clock
from kronborg.core.errors import NotFound, Problem
from kronborg.core.html import render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import Paging, asked, done_of, may, paged
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/clients"
ROWS = 50
DONE = {
    "saved": "Saved. It holds from now on.",
    "enabled": "The client works again.",
    "disabled": "The client is disabled. Its tokens end within seconds.",
    "removed": "The client is gone, and its tokens with it.",
    "secret": "The secret is gone.",
}


@dataclass(frozen=True, slots=True)
class ClientRow:
    """A client in the list."""

    client: Client
    href: str
    word: str
    warned: bool


@dataclass(frozen=True, slots=True)
class ClientsPage(ConsolePage):
    """The list."""

    q: str
    clients: Paging[ClientRow]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class ClientPage(ConsolePage):
    """One client."""

    client: Client
    href: str
    word: str
    legacy: tuple[Legacy, ...]
    refused: tuple[Problem, ...]
    chosen: tuple[SettingField, ...]
    uses_secret: bool
    expiring: int
    may_write: bool
    may_delete: bool
    done: str | None
    now: datetime


def routes() -> list[Route]:
    """Everything below `/console/clients`."""
    one = f"{HOME}/{{client_id:path}}"
    return [
        Route(HOME, show_clients, methods=["GET"]),
        *edit_pages.routes(),
        *secret_pages.routes(),
        Route(one, show_client, methods=["GET"]),
    ]


async def show_clients(request: Request) -> Response:
    """Clients by id, some at a time."""
    found = await admitted(request, "clients:read", Resource("client"))
    if isinstance(found, Response):
        return found
    q, after = asked(request), asked(request, "after")
    async with parts_of(request).database.read() as session:
        clients = await list_clients(session, search=q, after=after, limit=ROWS + 1)
    rows = [ClientRow(client, href_of(client.id), word_of(client), bool(legacy_of(client))) for client in clients]
    page = ClientsPage(
        found,
        "clients",
        q,
        paged(request, rows, ROWS, lambda one: one.client.id),
        may(request, found, "clients:write", Resource("client")),
        done_of(request, DONE),
    )
    return render(request, "clients/list.html", page, block="found")


async def show_client(request: Request) -> Response:
    """One client, whole."""
    client_id = request.path_params["client_id"]
    resource = Resource("client", client_id)
    found = await admitted(request, "clients:read", resource)
    if isinstance(found, Response):
        return found
    parts, now = parts_of(request), clock.now()
    async with parts.database.read() as session:
        client = await find_client(session, client_id)
    if client is None:
        raise NotFound("there is no client with this id")
    soon = [one for one in client.secrets if one.expires_at is not None and (one.expires_at - now).days < 30]
    page = ClientPage(
        found,
        "clients",
        client,
        href_of(client.id),
        word_of(client),
        legacy_of(client),
        tuple(profile_problems(client, edit_pages.profile_of(parts.profile))),
        tuple(field for field in setting_fields(client.settings) if field.chosen),
        client.auth_method in SECRET_METHODS,
        len(soon),
        may(request, found, "clients:write", resource),
        may(request, found, "clients:delete", resource),
        done_of(request, DONE),
        now,
    )
    return render(request, "clients/client.html", page)


def href_of(client_id: str) -> str:
    """The page of a client. The ids of some are addresses."""
    return f"{HOME}/{quote(client_id, safe='')}"


def word_of(client: Client) -> str:
    """What sort of application it is, in a word or two."""
    if "client_credentials" in client.grants and "authorization_code" not in client.grants:
        return "Service"
    if client.audiences and not client.grants:
        return "Resource server"
    if client.settings.profile == "mcp":
        return "MCP client"
    if client.kind == "confidential":
        return "Web application"
    return "Browser app" if client.web_origins else "Public app"
