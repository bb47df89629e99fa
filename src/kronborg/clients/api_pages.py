"""`/console/apis`: protected APIs and their scopes. Whatever is checked is checked by `register`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients import register
from kronborg.clients.forms import SettingField, api_draft, setting_fields, settings_of
from kronborg.clients.model import Api, ApiDraft, own_audiences
from kronborg.clients.settings import ApiSettings
from kronborg.clients.store import list_apis
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.sessions.console_pages import ConfirmPage, actor_of, agreed, asked, confirm, done_of, may
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/apis"
NEW = f"{HOME}/-/new"
EMPTY = ApiDraft("", "")
DONE = {"saved": "Saved. It holds from now on.", "removed": "The API is gone, and its scopes with it."}


@dataclass(frozen=True, slots=True)
class ApisPage(ConsolePage):
    """The list: at most 500."""

    q: str
    apis: tuple[Api, ...]
    may_write: bool
    done: str | None


@dataclass(frozen=True, slots=True)
class ApiPage(ConsolePage):
    """One API."""

    api: Api
    href: str
    ours: bool
    chosen: tuple[SettingField, ...]
    may_write: bool
    may_delete: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class EditApiPage(ConsolePage):
    """The form of an API; `href` is empty for a new one."""

    href: str
    version: str
    audience: str
    name: str
    minutes: str
    token_format: str
    scopes: str
    fields: tuple[SettingField, ...]
    problems: tuple[Problem, ...]


def routes() -> list[Route]:
    """Everything below `/console/apis`."""
    one = f"{HOME}/{{api_id}}"
    return [
        Route(HOME, show_apis, methods=["GET"]),
        Route(NEW, show_new, methods=["GET"]),
        Route(NEW, submit_new, methods=["POST"]),
        Route(f"{one}/edit", show_edit, methods=["GET"]),
        Route(f"{one}/edit", submit_edit, methods=["POST"]),
        Route(f"{one}/delete", ask_delete, methods=["GET"]),
        Route(f"{one}/delete", submit_delete, methods=["POST"]),
        Route(one, show_api, methods=["GET"]),
    ]


async def show_apis(request: Request) -> Response:
    """Every API that matches."""
    found = await admitted(request, "apis:read", Resource("api"))
    if isinstance(found, Response):
        return found
    q = asked(request)
    word = q.casefold()
    apis = await _apis(request)
    shown = tuple(
        api for api in apis if any(word in text.casefold() for text in (api.name, api.audience, *api.scope_names))
    )
    done = done_of(request, DONE)
    page = ApisPage(found, "apis", q, shown, may(request, found, "apis:write", Resource("api")), done)
    return render(request, "clients/apis.html", page, block="found")


async def show_api(request: Request) -> Response:
    """One API with its scopes."""
    api_id = request.path_params["api_id"]
    found = await admitted(request, "apis:read", Resource("api", api_id))
    if isinstance(found, Response):
        return found
    api = await _existing(request, api_id)
    page = ApiPage(
        found,
        "apis",
        api,
        _href(api_id),
        _is_ours(request, api),
        tuple(field for field in setting_fields(api.settings) if field.chosen),
        may(request, found, "apis:write", Resource("api", api_id)),
        may(request, found, "apis:delete", Resource("api", api_id)),
        done_of(request, DONE),
        clock.now(),
    )
    return render(request, "clients/api.html", page)


async def show_new(request: Request) -> Response:
    """The empty form."""
    found = await admitted(request, "apis:write", Resource("api"))
    return found if isinstance(found, Response) else _form(request, found, None, {}, ())


async def submit_new(request: Request) -> Response:
    """Register an API."""
    form = await checked_form(request)
    found = await admitted(request, "apis:write", Resource("api"), fresh=True)
    if isinstance(found, Response):
        return found
    audience = form.get("audience", "").strip()
    try:
        draft = api_draft(form, audience)
        async with whole(parts_of(request).database) as session:
            if any(api.audience == audience for api in await list_apis(session)):
                raise Invalid(Problem("audience", "is that of another API"))
            saved = await register.save_api(session, draft, actor=actor_of(found), now=clock.now())
    except Invalid as refusal:
        return _form(request, found, None, form, refusal.problems)
    return redirect(request, f"{_href(saved.id)}?done=saved")


async def show_edit(request: Request) -> Response:
    """The form of an API."""
    api_id = request.path_params["api_id"]
    found = await admitted(request, "apis:write", Resource("api", api_id))
    if isinstance(found, Response):
        return found
    return _form(request, found, await _existing(request, api_id), {}, ())


async def submit_edit(request: Request) -> Response:
    """Save an API."""
    form = await checked_form(request)
    api_id = request.path_params["api_id"]
    found = await admitted(request, "apis:write", Resource("api", api_id), fresh=True)
    if isinstance(found, Response):
        return found
    api = await _existing(request, api_id)
    try:
        draft = replace(api_draft(form, api.audience, api), settings=settings_of(form, ApiSettings))
        async with whole(parts_of(request).database) as session:
            known = next((one for one in await list_apis(session) if one.id == api_id), None)
            if known is None or known.updated_at.isoformat() != form.get("version"):
                raise Conflict("the API was changed meanwhile")
            await register.save_api(session, draft, actor=actor_of(found), now=clock.now())
    except Invalid as refusal:
        return _form(request, found, api, form, refusal.problems)
    return redirect(request, f"{_href(api_id)}?done=saved")


async def ask_delete(request: Request) -> Response:
    """What removing does; the audience has to be typed."""
    api_id = request.path_params["api_id"]
    found = await admitted(request, "apis:delete", Resource("api", api_id), fresh=True)
    if isinstance(found, Response):
        return found
    return confirm(request, _deletion(found, await _existing(request, api_id)))


async def submit_delete(request: Request) -> Response:
    """Remove an API."""
    form = await checked_form(request)
    api_id = request.path_params["api_id"]
    found = await admitted(request, "apis:delete", Resource("api", api_id), fresh=True)
    if isinstance(found, Response):
        return found
    api = await _existing(request, api_id)
    if _is_ours(request, api):
        raise Conflict("the API of Kronborg itself cannot be removed")
    if not agreed(form, api.audience):
        return confirm(request, replace(_deletion(found, api), error="This is not the audience of the API."))
    async with whole(parts_of(request).database) as session:
        await register.remove_api(session, api.audience, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=removed")


def _deletion(found: Admitted, api: Api) -> ConfirmPage:
    return ConfirmPage(
        found,
        "apis",
        "Delete this API?",
        f"{api.name} is removed with its {len(api.scopes)} scopes.",
        "Delete API",
        f"{_href(api.id)}/delete",
        _href(api.id),
        ("Its scopes stop working for every client at once.", "This cannot be undone."),
        crumbs=(("APIs", HOME), (api.name, _href(api.id))),
        typed=api.audience,
    )


def _form(
    request: Request, found: Admitted, api: Api | None, form: Mapping[str, str], problems: tuple[Problem, ...]
) -> Response:
    """The form of an API, with what was typed when it came back."""
    of = EMPTY if api is None else api
    typed = "\n".join(f"{scope.name} {scope.description}".strip() for scope in of.scopes)
    page = EditApiPage(
        found,
        "apis",
        "" if api is None else _href(api.id),
        form.get("version", "" if api is None else api.updated_at.isoformat()),
        form.get("audience", of.audience),
        form.get("name", of.name),
        form.get("minutes", f"{of.token_lifetime.total_seconds() / 60:g}"),
        form.get("token_format", of.token_format),
        form.get("scopes", typed),
        () if api is None else setting_fields(api.settings),
        problems,
    )
    return render(request, "clients/edit_api.html", page, status=422 if problems else 200)


def _is_ours(request: Request, api: Api) -> bool:
    return api.audience in own_audiences(parts_of(request).issuer)


async def _apis(request: Request) -> tuple[Api, ...]:
    async with parts_of(request).database.read() as session:
        return tuple(sorted(await list_apis(session), key=lambda api: (api.name.casefold(), api.id)))


async def _existing(request: Request, api_id: str) -> Api:
    api = next((one for one in await _apis(request) if one.id == api_id), None)
    if api is None:
        raise NotFound("there is no API with this id")
    return api


def _href(api_id: str) -> str:
    return f"{HOME}/{quote(api_id, safe='')}"
