"""`/console/alerts/rules`: the rules, ready-made and saved, and the form of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.durations import parse_duration, write_duration
from kronborg.core.errors import Invalid, Problem
from kronborg.core.html import redirect, render
from kronborg.core.parts import parts_of
from kronborg.gateway.alert_model import MEASURES, OF_TRAFFIC, READY, TOLD, AlertRule
from kronborg.gateway.alert_rules import remove_rule, save_rule
from kronborg.gateway.alert_rules_store import list_rules, list_saved
from kronborg.sessions.console_pages import ConfirmPage, actor_of, confirm, done_of, may
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.traffic.alerts_pages import ALERTS, DONE, HOME, TABS, rule_of
from kronborg.traffic.alerts_store import list_states

RULES = f"{HOME}/rules"
_SPANS = ("window", "lasting", "calm", "repeat")
_NUMBERS = ("threshold", "least")
_CHOICES = {
    "when": ("above", "below"),
    "severity": ("critical", "warning", "info"),
    "absence": ("fires", "fine", "keeps"),
    "measure": MEASURES,
}
ABSENCE = (
    ("fine", "Nothing is wrong"),
    ("fires", "Fire: silence is a failure too"),
    ("keeps", "Stay as it was"),
)


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule, in words, and where it stands."""

    rule: AlertRule
    told: str
    phase: str
    ready: bool
    saved: bool


@dataclass(frozen=True, slots=True)
class RulesPage(ConsolePage):
    """All rules."""

    rows: tuple[RuleRow, ...]
    may_write: bool
    done: str | None
    tabs: tuple[tuple[str, str, str], ...] = TABS


@dataclass(frozen=True, slots=True)
class RulePage(ConsolePage):
    """The form of a rule."""

    name: str
    values: Mapping[str, str]
    problems: tuple[Problem, ...]
    errors: Mapping[str, str]
    measures: tuple[tuple[str, str], ...]
    absences: tuple[tuple[str, str], ...]
    saved: bool
    may_write: bool
    of_traffic: str = ", ".join(OF_TRAFFIC)


def routes() -> list[Route]:
    """Everything below `/console/alerts/rules`."""
    return [
        Route(RULES, show_rules, methods=["GET"]),
        Route(f"{RULES}/-/new", show_new, methods=["GET"]),
        Route(f"{RULES}/-/new", save, methods=["POST"]),
        Route(f"{RULES}/{{rule}}", show_rule, methods=["GET"]),
        Route(f"{RULES}/{{rule}}", save, methods=["POST"]),
        Route(f"{RULES}/{{rule}}/remove", remove, methods=["GET", "POST"]),
    ]


def in_words(rule: AlertRule) -> str:
    """What it watches: `Answers with 5xx, of a hundred requests: above 5 % for 2m`."""
    unit = f" {rule.unit}" if rule.unit else ""
    lasting = f" for {write_duration(rule.lasting)}" if rule.lasting else ""
    only = [
        f"{name} {value}"
        for name, value in (
            ("route", rule.route),
            ("service", rule.service),
            ("client", rule.client),
            ("reason", rule.reason),
        )
        if value
    ]
    narrowed = f", {', '.join(only)} only" if only else ""
    return f"{TOLD[rule.measure][0]}: {rule.when} {rule.threshold:.6g}{unit}{lasting}{narrowed}"


async def show_rules(request: Request) -> Response:
    """The list."""
    found = await admitted(request, "alerts:read", ALERTS)
    if isinstance(found, Response):
        return found
    async with parts_of(request).database.read() as session:
        rules, saved = await list_rules(session), {rule.name for rule in await list_saved(session)}
        states = await list_states(session)
    phases = {state.rule: state.phase for state in sorted(states, key=lambda one: one.phase == "firing")}
    ready = {rule.name for rule in READY}
    rows = tuple(
        RuleRow(
            rule,
            in_words(rule),
            "disabled" if rule.disabled else phases.get(rule.name, "ok"),
            rule.name in ready,
            rule.name in saved,
        )
        for rule in rules
    )
    page = RulesPage(found, "alerts", rows, may(request, found, "alerts:write", ALERTS), done_of(request, DONE))
    return render(request, "traffic/alerts_rules.html", page)


async def show_new(request: Request) -> Response:
    """An empty form."""
    found = await admitted(request, "alerts:write", ALERTS)
    if isinstance(found, Response):
        return found
    page = RulePage(found, "alerts", "", values_of(AlertRule("", "errors", 5)), (), {}, _MEASURES, ABSENCE, False, True)
    return render(request, "traffic/alerts_rule.html", page)


async def show_rule(request: Request) -> Response:
    """The form of one that is there."""
    found = await admitted(request, "alerts:read", ALERTS)
    if isinstance(found, Response):
        return found
    name = str(request.path_params["rule"])[:64]
    async with parts_of(request).database.read() as session:
        rule, saved = rule_of(await list_rules(session), name), {one.name for one in await list_saved(session)}
    writes = may(request, found, "alerts:write", ALERTS)
    page = RulePage(found, "alerts", name, values_of(rule), (), {}, _MEASURES, ABSENCE, name in saved, writes)
    return render(request, "traffic/alerts_rule.html", page)


async def save(request: Request) -> Response:
    """Make or change a rule."""
    form = await checked_form(request)
    found = await admitted(request, "alerts:write", ALERTS)
    if isinstance(found, Response):
        return found
    name = str(request.path_params.get("rule", ""))[:64]
    try:
        rule = rule_in(name or form.get("name", "").strip()[:64], form)
        async with parts_of(request).database.write() as session:
            await save_rule(session, rule, actor=actor_of(found), now=clock.now())
    except Invalid as refusal:
        values = {key: str(value)[:1000] for key, value in form.items()}
        errors = {problem.where: problem.detail for problem in refusal.problems}
        page = RulePage(found, "alerts", name, values, refusal.problems, errors, _MEASURES, ABSENCE, bool(name), True)
        return render(request, "traffic/alerts_rule.html", page, status=422)
    return redirect(request, f"{RULES}?done=saved")


async def remove(request: Request) -> Response:
    """Ask, then remove what was saved."""
    form = await checked_form(request) if request.method == "POST" else None
    found = await admitted(request, "alerts:delete", ALERTS)
    if isinstance(found, Response):
        return found
    name = str(request.path_params["rule"])[:64]
    if form is None:
        async with parts_of(request).database.read() as session:
            rule = rule_of(await list_saved(session), name)
        ready = any(one.name == name for one in READY)
        question = ConfirmPage(
            found,
            "alerts",
            "Remove what was saved of this rule?",
            "The ready-made rule of this name holds again." if ready else "What it watches is watched no more.",
            "Remove",
            f"{RULES}/{name}/remove",
            RULES,
            names=(rule.shown,),
            crumbs=(("Alerts", HOME), ("Rules", RULES)),
        )
        return confirm(request, question)
    async with parts_of(request).database.write() as session:
        await remove_rule(session, name, actor=actor_of(found), now=clock.now())
    return redirect(request, f"{RULES}?done=removed")


def values_of(rule: AlertRule) -> dict[str, str]:
    """A rule as the fields of its form."""
    values = {one.name: str(getattr(rule, one.name)) for one in fields(rule)}
    values |= {name: write_duration(getattr(rule, name)) for name in _SPANS}
    return values | {
        "threshold": f"{rule.threshold:.12g}",
        "mail": "\n".join(rule.mail),
        "disabled": "1" if rule.disabled else "",
    }


def rule_in(name: str, form: Mapping[str, str]) -> AlertRule:
    """The rule that a form wishes for. Raises `Invalid`."""
    problems: list[Problem] = []
    told: dict[str, object] = {"mail": tuple(form.get("mail", "").split()), "disabled": bool(form.get("disabled"))}
    for key in ("title", "route", "service", "client", "reason"):
        told[key] = form.get(key, "").strip()[:256]
    for key, known in _CHOICES.items():
        told[key] = form.get(key, "")
        if told[key] not in known:
            problems.append(Problem(key, "is none of the choices", "choose one"))
    for key in _SPANS:
        try:
            told[key] = parse_duration(form.get(key, "").strip())
        except ValueError as error:
            problems.append(Problem(key, str(error), ""))
    for key in _NUMBERS:
        try:
            told[key] = float(form.get(key, "")) if key == "threshold" else int(form.get(key, ""))
        except ValueError:
            problems.append(Problem(key, "is no number", "write for example 5"))
    if problems:
        raise Invalid(*problems)
    return AlertRule(name, **told)  # type: ignore[arg-type]  # each was read as its type above


_MEASURES = cast("tuple[tuple[str, str], ...]", tuple((one, TOLD[one][0]) for one in MEASURES))
