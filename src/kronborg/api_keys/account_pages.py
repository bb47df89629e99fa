"""`/account/tokens`: a person's personal access tokens. A new one is shown once, in the answer that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.api_keys import keys, store
from kronborg.api_keys.model import ApiKey, KeyDraft, KeySettings, NewKey
from kronborg.clients.model import Api
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Conflict, Invalid
from kronborg.core.html import redirect, render
from kronborg.core.languages import N_
from kronborg.core.parts import parts_of
from kronborg.sessions.model import AccountPage, Visit
from kronborg.sessions.visits import sign_in_url, visit
from kronborg.signin.people_pages import unproved
from kronborg.signin.store import password_changed_at
from kronborg.tokens.engine import Engine

TOKENS = "/account/tokens"
DAYS = (7, 30, 60, 90, 180, 365)
ERRORS = {
    "name": N_("Give it a name of at most 100 characters."),
    "audiences": N_("Choose what it is for."),
    "scopes": N_("Choose what it is for."),
    "lifetime": N_("Choose one of these."),
}
FULL = N_("You have 50 tokens already: revoke one first.")


@dataclass(frozen=True, slots=True)
class TokensPage(AccountPage):
    """What `api_keys/tokens.html` shows; `errors` by the names of its fields, `made` right after one was made."""

    tokens: tuple[ApiKey, ...]
    apis: tuple[Api, ...]
    days: tuple[int, ...]
    may_make: bool
    has_password: bool
    made: NewKey | None
    name: str
    errors: Mapping[str, str]
    now: datetime


def routes() -> list[Route]:
    """`/account/tokens` and its forms."""
    return [
        Route(TOKENS, show_tokens, methods=["GET"]),
        Route(TOKENS, submit_token, methods=["POST"]),
        Route(f"{TOKENS}/{{key_id}}/revoke", submit_revocation, methods=["POST"]),
    ]


async def show_tokens(request: Request) -> Response:
    """The list, and the form for a new one."""
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request))
    return await _page(request, here)


async def submit_token(request: Request) -> Response:
    """A new token, for somebody who has just proved who they are."""
    form = await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=TOKENS))
    name = form.get("name", "")[:200]
    doubt = await unproved(request, here, form.get("current", ""))
    if doubt is not None:
        return await _page(
            request, here, {"current": doubt.text}, name=name, status=doubt.status, headers=doubt.headers
        )
    ticked = {one.partition(":")[2] for one in form if one.startswith("scope:")}
    apis = await _apis(request)
    chosen = tuple(api for api in apis if f"api:{api.id}" in form or not ticked.isdisjoint(api.scope_names))
    days = form.get("days", "")
    lifetime = timedelta(days=int(days)) if days in {str(one) for one in DAYS} else timedelta(0)
    draft = KeyDraft(name, tuple(api.audience for api in chosen), tuple(sorted(ticked)), (), lifetime)
    try:
        made = await keys.make_for_person(
            _engine(request), here.user_id, draft, _settings(request), actor=here.user_id, now=clock.now()
        )
    except Invalid as refusal:
        errors = {problem.where: ERRORS.get(problem.where, ERRORS["name"]) for problem in refusal.problems}
        return await _page(request, here, errors, name=name, status=422)
    except Conflict:
        return await _page(request, here, {"name": FULL}, name=name, status=422)
    return await _page(request, here, made=made)


async def submit_revocation(request: Request) -> Response:
    """End one of one's own."""
    await checked_form(request)
    here = await visit(request)
    if here is None:
        return redirect(request, sign_in_url(request, next_path=TOKENS))
    key_id: str = request.path_params["key_id"]
    await keys.revoke(_engine(request), key_id, actor=here.user_id, now=clock.now(), user_id=here.user_id)
    return redirect(request, TOKENS)


async def _page(
    request: Request,
    here: Visit,
    errors: Mapping[str, str] | None = None,
    *,
    made: NewKey | None = None,
    name: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    settings, now = _settings(request), clock.now()
    async with parts_of(request).database.read() as reading:
        has_password = await password_changed_at(reading, here.user_id) is not None
    page = TokensPage(
        here,
        "tokens",
        await store.list_keys(parts_of(request).database.lookup, user_id=here.user_id, limit=200),
        await _apis(request) if settings.personal else (),
        tuple(one for one in DAYS if timedelta(days=one) <= settings.longest_personal),
        settings.personal,
        has_password,
        made,
        name,
        errors or {},
        now,
    )
    return render(request, "api_keys/tokens.html", page, status=status, headers=headers)


async def _apis(request: Request) -> tuple[Api, ...]:
    """The APIs that a token may be for: not those that are served beside the gateway."""
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
