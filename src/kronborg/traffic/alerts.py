"""Evaluates alert rules: measures, advances the state of each, keeps the history, tells people; silences.

Whatever a turn changes and tells is one transaction: a worker that is killed has told all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from kronborg.core.db import Database, Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id
from kronborg.core.letters import Bound, Letters
from kronborg.gateway.alert_model import AlertRule
from kronborg.gateway.alert_rules_store import find_rule, list_rules
from kronborg.gateway.watch_model import AlertSettings
from kronborg.traffic import alerts_store as store
from kronborg.traffic.alerts_measure import Meter
from kronborg.traffic.alerts_model import (
    Alert,
    Measured,
    Silence,
    State,
    advance,
    first_state,
    is_due,
    subjects_of,
    worse,
)
from kronborg.traffic.parts import Traffic

EVERY = timedelta(seconds=15)
LONGEST_SILENCE = timedelta(days=31)
MOST_REASON = 500
TOLD = Bound("alert", 30)
"""Letters to one address within an hour. Webhooks hear of every alert."""
_LINES = 30


@dataclass(slots=True)
class Turn:
    """What is to be told after a turn: what fires, newly or still, and what is over, with whom to tell."""

    now: datetime
    fired: list[tuple[AlertRule, Alert]] = field(default_factory=list)
    resolved: list[tuple[AlertRule, Alert]] = field(default_factory=list)


async def evaluate(
    database: Database, traffic: Traffic, letters: Letters, settings: AlertSettings, *, now: datetime
) -> Turn:
    """One turn over all rules."""
    async with database.read() as session:
        rules = [rule for rule in await list_rules(session) if not rule.disabled]
    meter = Meter(database, traffic, now=now)
    measured = [(rule, await meter.measure(rule)) for rule in rules]
    turn = Turn(now)
    async with database.write() as session:
        await session.wait_to_be_alone()
        states = await store.list_states(session)
        silences = await store.list_silences(session, now=now)
        alerts = {one.id: one for one in await store.firing(session)}
        for rule, found in measured:
            known = {state.subject: state for state in states if state.rule == rule.name}
            await _advance_all(session, turn, rule, found, known, alerts, silences)
        await _drop_gone(session, states, {rule.name for rule in rules}, now=now)
        await _tell(session, turn, letters, settings)
    return turn


async def _advance_all(
    session: Session,
    turn: Turn,
    rule: AlertRule,
    measured: Measured,
    known: dict[str, State],
    alerts: dict[str, Alert],
    silences: Sequence[Silence],
) -> None:
    silenced = any(silence.covers(rule.name, turn.now) for silence in silences)
    values = subjects_of(measured, known, rule)
    for subject in [*values, *(one for one in known if one not in values)]:
        state = known.get(subject) or first_state(rule, subject, turn.now)
        gone = subject not in values
        # What is gone from a measurement is fine again, whatever its last value was.
        judged = replace(rule, absence="fine") if gone else rule
        after, move = advance(judged, state, values.get(subject), now=turn.now)
        if move == "fired":
            after = replace(after, alert=new_id(), told_at=None)
            alert = _alert_of(rule, after, turn.now)
            alerts[alert.id] = alert
            await store.add_alert(session, alert)
        standing = alerts.get(after.alert)
        if standing is not None:
            after = await _carry_on(session, turn, rule, after, standing, silenced=silenced, over=move == "resolved")
        if after != state:
            await store.put_state(session, after)


async def _carry_on(
    session: Session, turn: Turn, rule: AlertRule, state: State, alert: Alert, *, silenced: bool, over: bool
) -> State:
    """What a firing alert, or one that is over, means for its row and for who is told."""
    if over:
        await store.change_alert(session, alert.id, resolved_at=turn.now)
        # Who was not told that it began need not be told that it is over.
        if state.told_at is not None and not silenced:
            turn.resolved.append((rule, replace(alert, resolved_at=turn.now)))
        return replace(state, told_at=None, alert="")
    peak = worse(rule, alert.peak, state.value)
    if peak != alert.peak:
        await store.change_alert(session, alert.id, peak=peak)
    if silenced or not is_due(rule, state, now=turn.now):
        return state
    await store.change_alert(session, alert.id, told=True)
    turn.fired.append((rule, replace(alert, peak=peak, told=True)))
    return replace(state, told_at=turn.now)


async def _drop_gone(session: Session, states: Iterable[State], rules: set[str], *, now: datetime) -> None:
    """States of rules that are gone or disabled; what fired is over, and nobody is told."""
    for state in states:
        if state.rule not in rules:
            await store.put_state(session, replace(state, phase="ok"))
            if state.alert:
                await store.change_alert(session, state.alert, resolved_at=now)


def _alert_of(rule: AlertRule, state: State, now: datetime) -> Alert:
    value = state.value
    return Alert(
        state.alert, rule.name, state.subject, rule.shown, rule.severity, rule.unit, now, None, value, value, False
    )


def said(rule: AlertRule, value: float | None) -> str:
    """A value beside its threshold, in words."""
    if value is None:
        return "nothing could be measured"
    sign = "more" if rule.when == "above" else "less"
    unit = f" {rule.unit}" if rule.unit else ""
    return f"{value:.6g}{unit}, {sign} than {rule.threshold:.6g}{unit}"


async def _tell(session: Session, turn: Turn, letters: Letters, settings: AlertSettings) -> None:
    """One event for each alert, which webhooks hear of, and one letter for each address."""
    lines: dict[str, tuple[list[str], list[str]]] = {}
    for place, (name, found) in enumerate((("alert.fired", turn.fired), ("alert.resolved", turn.resolved))):
        for rule, alert in found:
            text = f"{alert.where} ({said(rule, alert.peak)})" if place == 0 else alert.where
            detail = {
                "title": alert.title,
                "about": alert.subject,
                "severity": alert.severity,
                "value": alert.peak,
                "threshold": rule.threshold,
                "unit": alert.unit,
                "alert": alert.id,
            }
            await record(session, name, actor="system", subject=rule.name, now=turn.now, detail=detail)
            for address in rule.mail or settings.mail:
                lines.setdefault(address, ([], []))[place].append(f"{alert.severity}: {text}")
    for address, (fired, resolved) in sorted(lines.items()):
        values = {
            "fired": _some(fired),
            "resolved": _some(resolved),
            "count": len(fired) or len(resolved),
            "first": (fired or resolved)[0],
        }
        link = letters.url("/console/alerts")
        await letters.post(
            session, "alert", to=address, language="en", bound=TOLD, now=turn.now, link=link, values=values
        )


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - _LINES
    return [*lines[:_LINES], *([f"and {more} more"] if more > 0 else [])]


async def silence(session: Session, rule: str, *, reason: str, until: datetime, actor: str, now: datetime) -> Silence:
    """Let nobody be told of a rule, or of all when it is empty, until then. Raises `Invalid`, `NotFound`."""
    if rule and await find_rule(session, rule) is None:
        raise NotFound("there is no rule of this name")
    told, problems = " ".join(reason.split()), []
    if not told or len(told) > MOST_REASON or not told.isprintable():
        problems.append(Problem("reason", "is empty or longer than 500 characters", "say why nobody should be told"))
    if not now < until <= now + LONGEST_SILENCE:
        problems.append(Problem("until", "is not within a month from now", "give a nearer end"))
    if problems:
        raise Invalid(*problems)
    made = Silence(new_id(), rule, told, actor, now, until)
    await store.add_silence(session, made)
    detail = {"reason": told, "until": until.isoformat()}
    await record(session, "alert.silenced", actor=actor, subject=rule or "all", now=now, detail=detail)
    return made


async def end_silence(session: Session, silence_id: str, *, actor: str, now: datetime) -> None:
    """Let people be told again. Raises `NotFound`."""
    rule = await store.delete_silence(session, silence_id)
    if rule is None:
        raise NotFound("there is no such silence, or it has ended")
    await record(session, "alert.silence_ended", actor=actor, subject=rule or "all", now=now)
