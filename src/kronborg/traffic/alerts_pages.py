"""`/console/alerts`: what fires now, what fired, and silences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.gateway.alert_model import AlertRule
from kronborg.gateway.alert_rules_store import list_rules
from kronborg.sessions.console_pages import Paging, actor_of, asked, done_of, may, paged, problems_of
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.traffic.alerts import end_silence, silence
from kronborg.traffic.alerts_model import Alert, Silence, State
from kronborg.traffic.alerts_store import firing, list_alerts, list_silences, list_states
from kronborg.traffic.surface_charts import Bar, bars_of

HOME = "/console/alerts"
ALERTS = Resource("alert")
ROWS = 50
CHARTED = 2000
DONE = {
    "silenced": "Nobody is told of it until the end you gave.",
    "ended": "People are told again.",
    "saved": "The rule is saved.",
    "removed": "What was saved of the rule is removed.",
}
TABS = (("now", HOME, "Now and before"), ("rules", f"{HOME}/rules", "Rules"))
SPANS = {
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}


@dataclass(frozen=True, slots=True)
class AlertsPage(ConsolePage):
    """What fires, what is about to, what fired."""

    firing: tuple[Alert, ...]
    pending: tuple[tuple[State, str], ...]
    silences: tuple[Silence, ...]
    bars: tuple[Bar, ...]
    highest: int
    history: Paging[Alert]
    may_write: bool
    done: str | None
    now: datetime
    tabs: tuple[tuple[str, str, str], ...] = TABS


@dataclass(frozen=True, slots=True)
class SilencePage(ConsolePage):
    """The form of a silence."""

    rule: str
    rules: tuple[tuple[str, str], ...]
    span: str
    reason: str
    problems: tuple[Problem, ...]


def routes() -> list[Route]:
    """Everything below `/console/alerts` but the rules."""
    return [
        Route(HOME, show_alerts, methods=["GET"]),
        Route(f"{HOME}/-/silence", ask_silence, methods=["GET"]),
        Route(f"{HOME}/-/silence", make_silence, methods=["POST"]),
        Route(f"{HOME}/-/silences/{{silence}}/end", stop_silence, methods=["POST"]),
    ]


async def show_alerts(request: Request) -> Response:
    """What fires now is fetched again by itself."""
    found = await admitted(request, "alerts:read", ALERTS)
    if isinstance(found, Response):
        return found
    now, before = clock.now(), asked(request, "before") or None
    async with parts_of(request).database.read() as session:
        names = {rule.name: rule.shown for rule in await list_rules(session)}
        states, standing = await list_states(session), await firing(session)
        silences = await list_silences(session, now=now)
        recent = await list_alerts(session, since=now - timedelta(days=15), limit=CHARTED)
        history = await list_alerts(session, before=before, limit=ROWS + 1)
    bars, highest = bars_of(recent, now)
    pending = tuple((one, names.get(one.rule, one.rule)) for one in states if one.phase == "pending")
    page = AlertsPage(
        found,
        "alerts",
        standing,
        pending,
        silences,
        bars,
        highest,
        paged(request, history, ROWS, lambda one: one.id, by="before"),
        may(request, found, "alerts:write", ALERTS),
        done_of(request, DONE),
        now,
    )
    return render(request, "traffic/alerts.html", page, block="found")


async def ask_silence(request: Request) -> Response:
    """The form."""
    found = await admitted(request, "alerts:write", ALERTS)
    if isinstance(found, Response):
        return found
    page = SilencePage(found, "alerts", asked(request, "rule"), await _choices(request), "4h", "", ())
    return render(request, "traffic/alerts_silence.html", page)


async def make_silence(request: Request) -> Response:
    """Let nobody be told for a while."""
    form = await checked_form(request)
    found = await admitted(request, "alerts:write", ALERTS)
    if isinstance(found, Response):
        return found
    now, rule, reason = clock.now(), form.get("rule", "")[:64], form.get("reason", "")[:1000]
    span = form.get("span", "") if form.get("span") in SPANS else "4h"
    try:
        async with parts_of(request).database.write() as session:
            await silence(session, rule, reason=reason, until=now + SPANS[span], actor=actor_of(found), now=now)
    except Invalid as refusal:
        problems = problems_of(refusal, "reason")
        page = SilencePage(found, "alerts", rule, await _choices(request), span, reason, problems)
        return render(request, "traffic/alerts_silence.html", page, status=422)
    return redirect(request, f"{HOME}?done=silenced")


async def stop_silence(request: Request) -> Response:
    """Let people be told again."""
    await checked_form(request)
    found = await admitted(request, "alerts:write", ALERTS)
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.write() as session:
        await end_silence(session, str(request.path_params["silence"])[:64], actor=actor_of(found), now=clock.now())
    return redirect(request, f"{HOME}?done=ended")


async def _choices(request: Request) -> tuple[tuple[str, str], ...]:
    async with parts_of(request).database.read() as session:
        rules = await list_rules(session)
    return (("", "All rules"), *((rule.name, rule.shown) for rule in rules))


def rule_of(rules: tuple[AlertRule, ...], name: str) -> AlertRule:
    """The rule of a name. Raises `NotFound`."""
    for rule in rules:
        if rule.name == name:
            return rule
    raise NotFound("there is no rule of this name")
