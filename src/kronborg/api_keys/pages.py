"""`/console/api-keys`: keys of clients and of people. A new one is shown once, in the answer that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.api_keys import keys, store
from kronborg.api_keys.model import ApiKey, KeyDraft, KeySettings, NewKey
from kronborg.clients.model import Api
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import (
    ConfirmPage,
    Paging,
    actor_of,
    asked,
    confirm,
    done_of,
    may,
    paged,
    problems_of,
)
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.tokens.engine import Engine

HOME = "/console/api-keys"
ROWS = 50
DAYS = (30, 90, 180, 365)
_KEY = Resource("api-key")
_DONE = {"revoked": "The key is revoked: gateways refuse it within a second."}


@dataclass(frozen=True, slots=True)
class KeysPage(ConsolePage):
    """The list, by owner where `q` names one."""

    rows: Paging[ApiKey]
    q: str
    may_write: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class KeyPage(ConsolePage):
    """One key; `text` right after it was made."""

    key: ApiKey
    text: str | None
    may_write: bool
    may_delete: bool
    problem: str
    now: datetime


@dataclass(frozen=True, slots=True)
class NewKeyPage(ConsolePage):
    """The form of a new key of a client."""

    apis: tuple[Api, ...]
    days: tuple[int, ...]
    form: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def routes() -> list[Route]:
    """Everything below `/console/api-keys`."""
    one = f"{HOME}/{{key_id}}"
    return [
        Route(HOME, show_keys, methods=["GET"]),
        Route(f"{HOME}/-/new", show_new, methods=["GET"]),
        Route(f"{HOME}/-/new", make, methods=["POST"]),
        Route(one, show_key, methods=["GET"]),
        Route(f"{one}/rotate", rotate, methods=["GET", "POST"]),
        Route(f"{one}/revoke", revoke, methods=["GET", "POST"]),
    ]


async def show_keys(request: Request) -> Response:
    """Keys that are not revoked, the newest first; those of one client or person where one is named."""
    found = await admitted(request, "api-keys:read", _KEY)
    if isinstance(found, Response):
        return found
    lookup, q = parts_of(request).database.lookup, asked(request)
    if q:
        rows = (
            *await store.list_keys(lookup, client_id=q, limit=ROWS),
            *await store.list_keys(lookup, user_id=q, limit=ROWS),
        )
        shown = Paging(rows, None, None)
    else:
        some = await store.list_keys(lookup, before=asked(request, "after") or None, limit=ROWS + 1)
        shown = paged(request, some, ROWS, lambda key: key.id)
    may_write = may(request, found, "api-keys:write", _KEY)
    page = KeysPage(found, "api-keys", shown, q, may_write, done_of(request, _DONE), clock.now())
    return render(request, "api_keys/keys.html", page, block="found" if "hx-request" in request.headers else None)


async def show_key(request: Request) -> Response:
    """One key without its secret."""
    found = await admitted(request, "api-keys:read", _KEY)
    return found if isinstance(found, Response) else _page(request, found, await _existing(request))


async def show_new(request: Request) -> Response:
    """The form."""
    found = await admitted(request, "api-keys:write", _KEY, fresh=True)
    return found if isinstance(found, Response) else await _form(request, found, {"client": asked(request, "client")})


async def make(request: Request) -> Response:
    """Make one; it is shown on the page that follows, and nowhere else."""
    form = await checked_form(request)
    found = await admitted(request, "api-keys:write", _KEY, fresh=True, back=f"{HOME}/-/new")
    if isinstance(found, Response):
        return found
    engine = _engine(request)
    ticked = {one.partition(":")[2] for one in form if one.startswith("scope:")}
    apis = [api for api in await _apis(request) if f"api:{api.id}" in form or not ticked.isdisjoint(api.scope_names)]
    days = form.get("days", "")
    draft = KeyDraft(
        form.get("name", "").strip(),
        tuple(api.audience for api in apis),
        tuple(sorted(ticked)),
        tuple(form.get("addresses", "").split()),
        timedelta(days=int(days)) if days in {str(one) for one in DAYS} else None,
    )
    try:
        made = await keys.make_for_client(
            engine,
            form.get("client", "").strip(),
            draft,
            _settings(request),
            actor=actor_of(found),
            now=clock.now(),
        )
    except (Invalid, Conflict) as refusal:
        return await _form(request, found, form, problems_of(refusal, "client"))
    except NotFound:
        return await _form(request, found, form, (Problem("client", "there is no client with this id"),))
    return _page(request, found, made.key, made)


async def rotate(request: Request) -> Response:
    """Ask, then make the next key, shown on the page that follows."""
    form = await checked_form(request) if request.method == "POST" else None
    href = f"{HOME}/{request.path_params['key_id']}"
    found = await admitted(request, "api-keys:write", _this(request), fresh=True, back=f"{href}/rotate")
    if isinstance(found, Response):
        return found
    key, settings = await _existing(request), _settings(request)
    if form is None:
        question = ConfirmPage(
            found,
            "api-keys",
            "Rotate this key?",
            f"A new key like {key.shown}… is made and shown once.",
            "Make the next key",
            f"{href}/rotate",
            href,
            (f"The old one goes on working for {settings.overlap.days} days, unless it ends sooner.",),
            (key.name,),
            crumbs=(("API keys", HOME), (key.name, href)),
            danger=False,
        )
        return confirm(request, question)
    try:
        made = await keys.rotate(_engine(request), key.id, settings, actor=actor_of(found), now=clock.now())
    except Conflict as refusal:
        return _page(request, found, key, problem=f"{refusal.detail[:1].upper()}{refusal.detail[1:]}.")
    return _page(request, found, made.key, made)


async def revoke(request: Request) -> Response:
    """Ask, then end a key at once."""
    form = await checked_form(request) if request.method == "POST" else None
    href = f"{HOME}/{request.path_params['key_id']}"
    found = await admitted(request, "api-keys:delete", _this(request), fresh=True, back=f"{href}/revoke")
    if isinstance(found, Response):
        return found
    key = await _existing(request)
    if form is None:
        question = ConfirmPage(
            found,
            "api-keys",
            "Revoke this key?",
            f"Whoever calls with {key.shown}… is refused.",
            "Revoke key",
            f"{href}/revoke",
            href,
            ("It holds within a second, also at gateways that know the key.", "It cannot be taken back."),
            (key.name,),
            crumbs=(("API keys", HOME), (key.name, href)),
        )
        return confirm(request, question)
    await keys.revoke(_engine(request), key.id, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=revoked")


def _this(request: Request) -> Resource:
    return Resource("api-key", str(request.path_params["key_id"])[:64])


async def _existing(request: Request) -> ApiKey:
    key = await store.find_key(parts_of(request).database.lookup, str(request.path_params["key_id"])[:64])
    if key is None or key.revoked_at is not None:
        raise NotFound("there is no key with this id")
    return key


def _page(request: Request, found: Admitted, key: ApiKey, made: NewKey | None = None, *, problem: str = "") -> Response:
    page = KeyPage(
        found,
        "api-keys",
        key,
        None if made is None else made.text,
        may(request, found, "api-keys:write", Resource("api-key", key.id)),
        may(request, found, "api-keys:delete", Resource("api-key", key.id)),
        problem,
        clock.now(),
    )
    return render(request, "api_keys/key.html", page, status=409 if problem else 200)


async def _form(
    request: Request, found: Admitted, form: Mapping[str, str], problems: tuple[Problem, ...] = ()
) -> Response:
    longest = _settings(request).longest
    days = tuple(one for one in DAYS if timedelta(days=one) <= longest)
    page = NewKeyPage(found, "api-keys", await _apis(request), days, form, problems)
    return render(request, "api_keys/new.html", page, status=422 if problems else 200)


async def _apis(request: Request) -> tuple[Api, ...]:
    """The APIs that a key may be for: not those that are served beside the gateway."""
    engine = _engine(request)
    own = (f"{engine.issuer}/api", f"{engine.issuer}/scim")
    apis = (await engine.directory.apis(now=clock.now())).by_audience.values()
    return tuple(sorted((api for api in apis if api.audience not in own), key=lambda api: (api.name, api.id)))


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _settings(request: Request) -> KeySettings:
    settings: KeySettings = request.app.state.key_settings
    return settings
