"""`/console/issuers`: other issuers whose tokens routes may take, and how fetching their keys goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.clients.model import Api
from kronborg.clients.store import list_apis
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.core.whole import whole
from kronborg.gateway import token_issuers
from kronborg.gateway.access_model import ALGORITHMS, AudienceMapping, KeysState, TokenIssuer
from kronborg.gateway.issuer_keys import key_count
from kronborg.gateway.token_issuers_store import find_token_issuer, keys_states, list_token_issuers
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, done_of, may, must
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/issuers"
_ISSUER = Resource("issuer")
_CLAIMS = ("client_claim", "subject_claim", "scope_claim", "roles_claim")
_DONE = {
    "saved": "Saved. It holds from the next published version on; keys are fetched within five minutes.",
    "removed": "The issuer is gone. Its tokens are refused from the next published version on.",
}


@dataclass(frozen=True, slots=True)
class IssuerRow:
    """An issuer, how many of its keys are believed, and how fetching them went."""

    issuer: TokenIssuer
    keys: int
    state: KeysState


@dataclass(frozen=True, slots=True)
class IssuersPage(ConsolePage):
    """The list."""

    rows: tuple[IssuerRow, ...]
    may_write: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class IssuerPage(ConsolePage):
    """One issuer."""

    row: IssuerRow
    may_write: bool
    may_delete: bool
    done: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class IssuerFormPage(ConsolePage):
    """The form of a new one, or of the one called `name`."""

    name: str
    apis: tuple[Api, ...]
    algorithms: tuple[str, ...]
    form: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def routes() -> list[Route]:
    """Everything below `/console/issuers`."""
    one = f"{HOME}/{{name}}"
    return [
        Route(HOME, show_issuers, methods=["GET"]),
        Route(f"{HOME}/-/new", edit, methods=["GET", "POST"]),
        Route(one, show_issuer, methods=["GET"]),
        Route(f"{one}/edit", edit, methods=["GET", "POST"]),
        Route(f"{one}/remove", remove, methods=["GET", "POST"]),
    ]


async def show_issuers(request: Request) -> Response:
    """Every issuer (there are at most 20)."""
    found = await admitted(request, "issuers:read", _ISSUER)
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        issuers, states = await list_token_issuers(session), await keys_states(session)
    rows = tuple(_row(one, states) for one in issuers)
    may_write = may(request, found, "issuers:write", _ISSUER)
    page = IssuersPage(found, "issuers", rows, may_write, done_of(request, _DONE), clock.now())
    return render(request, "gateway/issuers.html", page)


async def show_issuer(request: Request) -> Response:
    """One issuer and the state of its keys."""
    found = await admitted(request, "issuers:read", _ISSUER)
    if isinstance(found, Response):
        return found
    issuer = await _existing(request)
    async with parts_of(request).database.read() as session:
        row = _row(issuer, await keys_states(session))
    page = IssuerPage(
        found,
        "issuers",
        row,
        may(request, found, "issuers:write", _this(request)),
        may(request, found, "issuers:delete", _this(request)),
        done_of(request, _DONE),
        clock.now(),
    )
    return render(request, "gateway/issuer.html", page)


async def edit(request: Request) -> Response:
    """The form, and what it makes."""
    form = await checked_form(request) if request.method == "POST" else None
    found = await admitted(request, "issuers:write", _this(request), fresh=True, back=request.url.path)
    if isinstance(found, Response):
        return found
    known = await _existing(request) if "name" in request.path_params else None
    parts = parts_of(request)
    if form is None:
        return await _form(request, found, known, _written(known))
    wanted = _wanted(form, known)
    must(request, found, "issuers:write", Resource("issuer", wanted.name))
    try:
        async with whole(parts.database) as session:
            if known is None and await find_token_issuer(session, wanted.name) is not None:
                raise Invalid(Problem("name", "there is a token issuer with this name already", "take another"))
            apis = frozenset(api.audience for api in await list_apis(session))
            actor = actor_of(found)
            await token_issuers.save_token_issuer(
                session, wanted, own=parts.issuer, apis=apis, actor=actor, now=clock.now()
            )
    except Invalid as refusal:
        return await _form(request, found, known, form, refusal.problems)
    return redirect(request, f"{HOME}/{wanted.name}?done=saved")


async def remove(request: Request) -> Response:
    """Ask, then take its tokens no more."""
    form = await checked_form(request) if request.method == "POST" else None
    href = f"{HOME}/{request.path_params['name']}"
    found = await admitted(request, "issuers:delete", _this(request), fresh=True, back=f"{href}/remove")
    if isinstance(found, Response):
        return found
    issuer = await _existing(request)
    if form is None:
        question = ConfirmPage(
            found,
            "issuers",
            "Remove this issuer?",
            f"Tokens of {issuer.issuer} are not taken any more.",
            "Remove issuer",
            f"{href}/remove",
            href,
            ("It holds from the next published version on.", "Routes that still name it cannot be published."),
            (issuer.name,),
            crumbs=(("Token issuers", HOME), (issuer.name, href)),
        )
        return confirm(request, question)
    async with whole(parts_of(request).database) as session:
        await token_issuers.remove_token_issuer(session, issuer.name, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=removed")


def _row(issuer: TokenIssuer, states: Mapping[str, KeysState]) -> IssuerRow:
    state = states.get(issuer.name, KeysState())
    return IssuerRow(issuer, key_count(issuer.jwks or state.keys), state)


def _written(known: TokenIssuer | None) -> dict[str, str]:
    """An issuer as the form shows it."""
    one = known or TokenIssuer("", "", ())
    written = {name: str(getattr(one, name) or "") for name in ("name", "issuer", "jwks_uri", "jwks", *_CLAIMS)}
    written["audiences"] = "\n".join(f"{each.api} {each.audience}" for each in one.audiences)
    written |= {f"alg:{algorithm}": "1" for algorithm in one.algorithms}
    return written | ({"any_type": "1"} if one.any_type else {})


def _wanted(form: Mapping[str, str], known: TokenIssuer | None) -> TokenIssuer:
    """What the form asks for; what is wrong with it, `save_token_issuer` says."""
    plain = TokenIssuer("", "", ())
    pairs = [line.split(None, 1) for line in form.get("audiences", "").splitlines() if line.strip()]
    claims = {name: form.get(name, "").strip() or getattr(plain, name) for name in _CLAIMS}
    return TokenIssuer(
        name=known.name if known else form.get("name", "").strip(),
        issuer=form.get("issuer", "").strip(),
        audiences=tuple(AudienceMapping(pair[0], pair[1].strip() if len(pair) > 1 else "") for pair in pairs),
        jwks_uri=form.get("jwks_uri", "").strip() or None,
        jwks=form.get("jwks", "").strip()[:20_000],
        algorithms=tuple(one for one in ALGORITHMS if form.get(f"alg:{one}") == "1"),
        any_type=form.get("any_type") == "1",
        **claims,
    )


async def _form(
    request: Request,
    found: Admitted,
    known: TokenIssuer | None,
    form: Mapping[str, str],
    problems: tuple[Problem, ...] = (),
) -> Response:
    async with parts_of(request).database.read() as session:
        apis = tuple(await list_apis(session))
    name = known.name if known else ""
    page = IssuerFormPage(found, "issuers", name, apis, ALGORITHMS, form, problems)
    return render(request, "gateway/issuer_form.html", page, status=422 if problems else 200)


def _this(request: Request) -> Resource:
    return Resource("issuer", str(request.path_params.get("name", ""))[:63])


async def _existing(request: Request) -> TokenIssuer:
    async with parts_of(request).database.read() as session:
        found = await find_token_issuer(session, str(request.path_params["name"])[:63])
    if found is None:
        raise NotFound("there is no token issuer with this name")
    return found
