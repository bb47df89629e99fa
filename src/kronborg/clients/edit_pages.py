"""`/console/clients`: make, change, disable and remove clients. Whatever is checked is checked by `register`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast
from urllib.parse import quote

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients import register
from kronborg.clients.forms import (
    SettingField,
    client_draft,
    draft_from,
    lines,
    setting_fields,
    settings_of,
)
from kronborg.clients.kinds import KINDS, ApplicationKind, finished, kind_of
from kronborg.clients.model import AUTH_METHODS, BUILT_IN_SCOPES, GRANTS, SECRET_METHODS, Client, ClientDraft, Scope
from kronborg.clients.settings import ClientSettings, Profile
from kronborg.clients.store import find_client, list_apis
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.db import ReadSession
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import ConfirmPage, actor_of, agreed, confirm
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/clients"
NEW = f"{HOME}/-/new"
MOST_BOXES = 80
"""More scopes than this are typed, not ticked."""
TAKEN = Problem("id", "is taken by another client")


@dataclass(frozen=True, slots=True)
class KindsPage(ConsolePage):
    """The choice before the form."""

    kinds: tuple[ApplicationKind, ...]


@dataclass(frozen=True, slots=True)
class NewClientPage(ConsolePage):
    """The short form of a new client."""

    kind: ApplicationKind
    draft: ClientDraft
    scopes: tuple[Scope, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class EditClientPage(ConsolePage):
    """The form of a client; `tab` is `edit` or `settings`."""

    draft: ClientDraft
    href: str
    tab: str
    version: str
    scopes: tuple[Scope, ...]
    boxes: bool
    jwks: str
    grants: tuple[str, ...]
    methods: tuple[tuple[str, str], ...]
    fields: tuple[SettingField, ...]
    problems: tuple[Problem, ...]


def routes() -> list[Route]:
    """What changes clients."""
    one = f"{HOME}/{{client_id:path}}"
    return [
        Route(NEW, show_new, methods=["GET"]),
        Route(NEW, submit_new, methods=["POST"]),
        Route(f"{one}/edit", show_edit, methods=["GET"]),
        Route(f"{one}/edit", submit_edit, methods=["POST"]),
        Route(f"{one}/settings", show_settings, methods=["GET"]),
        Route(f"{one}/settings", submit_settings, methods=["POST"]),
        Route(f"{one}/disable", ask_disable, methods=["GET"]),
        Route(f"{one}/disable", submit_disable, methods=["POST"]),
        Route(f"{one}/enable", submit_enable, methods=["POST"]),
        Route(f"{one}/delete", ask_delete, methods=["GET"]),
        Route(f"{one}/delete", submit_delete, methods=["POST"]),
    ]


def profile_of(name: str) -> Profile:
    """The profile of the installation, as its type."""
    return cast("Profile", name)


async def show_new(request: Request) -> Response:
    """First the kind, then the form for it."""
    found = await admitted(request, "clients:write", Resource("client"))
    if isinstance(found, Response):
        return found
    kind = kind_of(request.query_params.get("kind", ""))
    if kind is None:
        return render(request, "clients/kinds.html", KindsPage(found, "clients", KINDS))
    return await _new_form(request, found, kind, kind.draft, ())


async def submit_new(request: Request) -> Response:
    """Register it; one that authenticates with a secret goes on to its first."""
    form = await checked_form(request)
    kind = kind_of(form.get("kind", "")) or KINDS[0]
    found = await admitted(request, "clients:write", Resource("client"), fresh=True, back=f"{NEW}?kind={kind.key}")
    if isinstance(found, Response):
        return found
    client_id = form.get("id", "").strip()
    draft = replace(
        kind.draft,
        id=client_id,
        name=form.get("name", "").strip() or client_id,
        redirect_uris=lines(form.get("redirect_uris", "")),
        scopes=tuple(name for name in (scope.name for scope in await _scopes(request)) if f"scope:{name}" in form),
        first_party="first_party" in form,
    )
    parts, now = parts_of(request), clock.now()
    try:
        async with whole(parts.database) as session:
            if await find_client(session, client_id) is not None:
                raise Invalid(TAKEN)
            profile, actor = profile_of(parts.profile), actor_of(found)
            client = await register.save_client(session, finished(kind, draft), actor=actor, now=now, profile=profile)
    except Invalid as refusal:
        return await _new_form(request, found, kind, draft, refusal.problems)
    onward = "/secrets" if client.auth_method in SECRET_METHODS else "?done=saved"
    return redirect(request, f"{HOME}/{quote(client.id, safe='')}{onward}")


async def show_edit(request: Request) -> Response:
    """The form of a client's own fields."""
    return await _show(request, "edit")


async def show_settings(request: Request) -> Response:
    """The form of all its settings, each explained."""
    return await _show(request, "settings")


async def submit_edit(request: Request) -> Response:
    """Save a client's own fields."""
    return await _save(request, "edit")


async def submit_settings(request: Request) -> Response:
    """Save its settings."""
    return await _save(request, "settings")


async def ask_disable(request: Request) -> Response:
    """What disabling does."""
    client_id, found = await _client_asked(request, "clients:write")
    if isinstance(found, Response):
        return found
    page = ConfirmPage(
        found,
        "clients",
        "Disable this client?",
        f"{client_id} gets no new tokens, and those it holds stop working within seconds.",
        "Disable",
        f"{_href(client_id)}/disable",
        _href(client_id),
        (
            "It keeps its settings and its secrets, and can be enabled again.",
            "People who use it have to sign in again.",
        ),
        crumbs=(("Clients", HOME), (client_id, _href(client_id))),
    )
    return confirm(request, page)


async def submit_disable(request: Request) -> Response:
    """Disable it."""
    return await _switch(request, disabled=True)


async def submit_enable(request: Request) -> Response:
    """Let it work again."""
    return await _switch(request, disabled=False)


async def ask_delete(request: Request) -> Response:
    """What removing does; the id has to be typed."""
    client_id, found = await _client_asked(request, "clients:delete")
    return found if isinstance(found, Response) else confirm(request, _deletion(found, client_id))


async def submit_delete(request: Request) -> Response:
    """Remove it."""
    form = await checked_form(request)
    client_id, found = await _client_asked(request, "clients:delete")
    if isinstance(found, Response):
        return found
    if not agreed(form, client_id):
        return confirm(request, replace(_deletion(found, client_id), error="This is not the id of the client."))
    async with whole(parts_of(request).database) as session:
        await register.remove_client(session, client_id, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=removed")


def _deletion(found: Admitted, client_id: str) -> ConfirmPage:
    return ConfirmPage(
        found,
        "clients",
        "Delete this client?",
        f"{client_id} is removed with its secrets, and everything that people allowed it.",
        "Delete client",
        f"{_href(client_id)}/delete",
        _href(client_id),
        ("Its tokens stop working within seconds.", "This cannot be undone. To stop it for a while, disable it."),
        crumbs=(("Clients", HOME), (client_id, _href(client_id))),
        typed=client_id,
    )


async def _client_asked(request: Request, action: str) -> tuple[str, Admitted | Response]:
    """The client of this address, for somebody who signed in a moment ago; whoever has to again comes back here."""
    client_id: str = request.path_params["client_id"]
    # A confirm page and its form have one address.
    found = await admitted(request, action, Resource("client", client_id), fresh=True)
    if not isinstance(found, Response):
        await _existing(request, client_id)
    return client_id, found


async def _switch(request: Request, *, disabled: bool) -> Response:
    await checked_form(request)
    client_id: str = request.path_params["client_id"]
    found = await admitted(request, "clients:write", Resource("client", client_id), fresh=True, back=_href(client_id))
    if isinstance(found, Response):
        return found
    async with whole(parts_of(request).database) as session:
        await register.set_disabled(session, client_id, disabled=disabled, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{_href(client_id)}?done={'disabled' if disabled else 'enabled'}")


async def _show(request: Request, tab: str) -> Response:
    client_id: str = request.path_params["client_id"]
    found = await admitted(request, "clients:write", Resource("client", client_id))
    if isinstance(found, Response):
        return found
    client = await _existing(request, client_id)
    return await _edit_form(request, found, tab, draft_from(client), client.updated_at.isoformat(), ())


async def _save(request: Request, tab: str) -> Response:
    form = await checked_form(request)
    client_id: str = request.path_params["client_id"]
    back = f"{_href(client_id)}/{tab}"
    found = await admitted(request, "clients:write", Resource("client", client_id), fresh=True, back=back)
    if isinstance(found, Response):
        return found
    parts, scopes = parts_of(request), await _scopes(request)
    client = await _existing(request, client_id)
    draft = draft_from(client)
    try:
        draft = _changed(form, draft, tab, scopes)
        async with whole(parts.database) as session:
            known = await find_client(session, client_id)
            if known is None or known.updated_at.isoformat() != form.get("version"):
                raise Conflict("the client was changed meanwhile")
            await register.save_client(
                session, draft, actor=actor_of(found), now=clock.now(), profile=profile_of(parts.profile)
            )
    except Invalid as refusal:
        return await _edit_form(request, found, tab, draft, form.get("version", ""), refusal.problems)
    return redirect(request, f"{_href(client_id)}?done=saved")


def _changed(form: Mapping[str, str], draft: ClientDraft, tab: str, scopes: tuple[Scope, ...]) -> ClientDraft:
    if tab == "settings":
        return replace(draft, settings=settings_of(form, ClientSettings))
    offered = None if len(scopes) > MOST_BOXES else [scope.name for scope in scopes]
    return client_draft(form, draft, scopes=offered)


async def _edit_form(
    request: Request, found: Admitted, tab: str, draft: ClientDraft, version: str, problems: tuple[Problem, ...]
) -> Response:
    scopes = await _scopes(request)
    keys = "" if draft.jwks is None else orjson.dumps(draft.jwks, option=orjson.OPT_INDENT_2).decode()
    page = EditClientPage(
        found,
        "clients",
        draft,
        _href(draft.id),
        tab,
        version,
        scopes,
        len(scopes) <= MOST_BOXES,
        keys,
        GRANTS,
        tuple((method, "nothing (public clients)" if method == "none" else method) for method in AUTH_METHODS),
        setting_fields(draft.settings) if tab == "settings" else (),
        problems,
    )
    return render(request, f"clients/{tab}.html", page, status=422 if problems else 200)


async def _new_form(
    request: Request, found: Admitted, kind: ApplicationKind, draft: ClientDraft, problems: tuple[Problem, ...]
) -> Response:
    page = NewClientPage(found, "clients", kind, draft, await _scopes(request), problems)
    return render(request, "clients/new.html", page, status=422 if problems else 200)


async def _scopes(request: Request) -> tuple[Scope, ...]:
    """Every scope there is: those of OpenID Connect, then those of the APIs."""
    async with parts_of(request).database.read() as session:
        apis = await list_apis(session)
    return (*BUILT_IN_SCOPES, *(scope for api in apis for scope in api.scopes))


async def _existing(request: Request, client_id: str) -> Client:
    async with parts_of(request).database.read() as session:
        return await existing_client(session, client_id)


async def existing_client(session: ReadSession, client_id: str) -> Client:
    """The client. Raises `NotFound`."""
    client = await find_client(session, client_id)
    if client is None:
        raise NotFound("there is no client with this id")
    return client


def _href(client_id: str) -> str:
    return f"{HOME}/{quote(client_id, safe='')}"
