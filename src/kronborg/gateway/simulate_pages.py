"""`/console/simulate`: what would this request get, and why; who may call this. Nothing that is typed here is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Page

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.html import render
from kronborg.core.parts import part_of, parts_of
from kronborg.core.policy import Resource
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.drafts_store import list_drafts
from kronborg.gateway.listener_model import DEFAULT
from kronborg.gateway.model import METHODS, Route
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.simulate_ask import LONGEST_URL, Question, snapshot_of, what_would_it_get, who_may
from kronborg.gateway.simulate_callers import Callers
from kronborg.gateway.simulate_nouns import STAGE_NAMES, Decision
from kronborg.gateway.simulate_rights import told_rights
from kronborg.sessions.console_pages import asked
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.tokens.engine import Engine

HOME = "/console/simulate"
CHOICES = tuple((method, method) for method in METHODS)
LIMITS = ("spike_arrest", "rate_limit", "quota", "concurrency")


@dataclass(frozen=True, slots=True)
class SimulatePage(ConsolePage):
    """The question, and the decision once it was asked. `meaning` says the reason in a sentence."""

    values: Mapping[str, str]
    drafts: tuple[tuple[str, str], ...]
    method_choices: tuple[tuple[str, str], ...]
    stages: Mapping[str, str]
    decision: Decision | None = None
    meaning: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class CallersPage(ConsolePage):
    """Who may call; `callers` is None before it was asked, or when there is no such route."""

    values: Mapping[str, str]
    drafts: tuple[tuple[str, str], ...]
    method_choices: tuple[tuple[str, str], ...]
    route: Route | None = None
    callers: Callers | None = None
    rights: str = ""
    problem: str = ""


def routes() -> list[Page]:
    """Everything below `/console/simulate`."""
    return [
        Page(HOME, show, methods=["GET"]),
        Page(HOME, answer, methods=["POST"]),
        Page(f"{HOME}/callers", show_callers, methods=["GET"]),
    ]


async def show(request: Request) -> Response:
    """The form; a link may fill in method, address and draft, never a token."""
    found = await admitted(request, "routes:read", Resource("route"))
    if isinstance(found, Response):
        return found
    filled = {name: asked(request, name) for name in ("method", "url", "draft")}
    return await _page(request, found, filled)


async def answer(request: Request) -> Response:
    """The decision on the request that was described."""
    form = await checked_form(request)
    found = await admitted(request, "routes:read", Resource("route"), back=HOME)
    if isinstance(found, Response):
        return found
    engine = part_of(request, "engine", Engine)
    try:
        question = _question(form)
        parts = parts_of(request)
        everywhere = Addresses(parts.calls_from, parts.never_from)
        url = parts.gateway_url
        decision = await what_would_it_get(engine, question, gateway_url=url, now=clock.now(), everywhere=everywhere)
    except Invalid as refusal:
        return await _page(request, found, form, problems=refusal.problems)
    except NotFound as refusal:
        return await _page(request, found, form, problems=(Problem("draft", refusal.detail),))
    return await _page(request, found, form, decision)


async def show_callers(request: Request) -> Response:
    """Which clients and people may call a route, by its name or by an address that it takes."""
    found = await admitted(request, "routes:read", Resource("route"))
    if isinstance(found, Response):
        return found
    # Who may call is told to who may see clients, too.
    found = await admitted(request, "clients:read", Resource("client"))
    if isinstance(found, Response):
        return found
    values = {name: asked(request, name) for name in ("route", "method", "url", "draft")}
    values["method"] = values["method"] or METHODS[0]
    parts = parts_of(request)
    route, callers, problem = None, None, ""
    async with parts.database.read() as session:
        drafts = await list_drafts(session)
        if values["route"] or values["url"]:
            try:
                draft, gateway_url = values["draft"], parts.gateway_url
                snapshot = await snapshot_of(session, draft, issuer=parts.issuer, gateway_url=gateway_url)
                route, callers = await who_may(session, snapshot, values["route"], values["method"], values["url"])
            except (Invalid, NotFound, ValueError):
                problem = "No route is there for this name, address or method."
    rights = "" if callers is None or callers.public else told_rights(callers.rights)
    offered = (("", "What is published"), *((one.name, f"Draft {one.name}") for one in drafts))
    page = CallersPage(found, "simulate", values, offered, CHOICES, route, callers, rights, problem)
    return render(request, "gateway/callers.html", page)


def _question(form: Mapping[str, str]) -> Question:
    """What was typed. Raises `Invalid`."""
    lines = [line for line in form.get("headers", "").splitlines() if line.strip()]
    pairs = tuple((name, value) for name, _, value in (line.partition(":") for line in lines))
    body = form.get("body", "").strip() or "0"
    if not (body.isascii() and body.isdigit() and len(body) < 12):
        raise Invalid(Problem("body", "is no size", "write a number of bytes"))
    proof = {"right": True, "wrong": False}.get(form.get("proof", ""))
    return Question(
        form.get("method", "GET"),
        form.get("url", "")[: LONGEST_URL + 1],
        form.get("token", ""),
        form.get("claims", ""),
        pairs,
        form.get("address", "").strip(),
        int(body),
        form.get("draft", ""),
        form.get("revoked") == "1",
        tuple(one for one in LIMITS if form.get(f"spent:{one}") == "1"),
        proof,
        form.get("listener", "")[:63] or DEFAULT,
    )


async def _page(
    request: Request,
    found: Admitted,
    form: Mapping[str, str],
    decision: Decision | None = None,
    problems: tuple[Problem, ...] = (),
) -> Response:
    async with parts_of(request).database.read() as session:
        drafts = await list_drafts(session)
    usual = dict.fromkeys(
        ("method", "url", "claims", "headers", "address", "body", "draft", "proof", "revoked", "listener"), ""
    )
    values = {**usual, **{name: value for name, value in form.items() if name not in ("token", "csrf")}}
    offered = (("", "What is published"), *((one.name, f"Draft {one.name}") for one in drafts))
    known = REASONS.get(decision.reason) if decision is not None else None
    meaning = "" if known is None else known.meaning
    page = SimulatePage(found, "simulate", values, offered, CHOICES, STAGE_NAMES, decision, meaning, problems)
    return render(request, "gateway/simulate.html", page, status=422 if problems else 200)
