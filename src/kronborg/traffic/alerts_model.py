"""The nouns of alerts, and the one rule of how they come and go: a state, what was measured, and the time go in.

ok ── beyond the threshold ──▶ pending ── for `lasting` ──▶ firing ── fine for `calm` ──▶ ok (resolved)
                                 └── fine again ──▶ ok
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from kronborg.gateway.alert_model import AlertRule

Phase = Literal["ok", "pending", "firing"]
Move = Literal["stays", "pending", "dropped", "fired", "resolved"]
Measured = Mapping[str, float] | None
"""By subject (a gateway, a service; empty for the whole). None: it could not be measured, which is not the same as
nothing."""
MOST_SUBJECTS = 50


@dataclass(frozen=True, slots=True)
class State:
    """Where one rule stands for one subject. `told_at` is when people were told last that it fires, None while nobody
    was; `fine_since` is since when a firing one is fine again; `alert` is its row of the history."""

    rule: str
    subject: str
    phase: Phase
    since: datetime
    value: float | None = None
    fine_since: datetime | None = None
    told_at: datetime | None = None
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One time that a rule fired. `value` is that at which it did, `peak` the worst since."""

    id: str
    rule: str
    subject: str
    title: str
    severity: str
    unit: str
    fired_at: datetime
    resolved_at: datetime | None
    value: float | None
    peak: float | None
    told: bool

    @property
    def where(self) -> str:
        """What it is about."""
        return f"{self.title}: {self.subject}" if self.subject else self.title


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of a rule (of all, when it is empty) until an end."""

    id: str
    rule: str
    reason: str
    author: str
    created_at: datetime
    ends_at: datetime

    def covers(self, rule: str, now: datetime) -> bool:
        """Whether it holds for this rule now."""
        return self.ends_at > now and self.rule in ("", rule)


def first_state(rule: AlertRule, subject: str, now: datetime) -> State:
    """Where a rule starts."""
    return State(rule.name, subject, "ok", now)


def beyond(rule: AlertRule, value: float | None) -> bool | None:
    """Whether it is too much; None when nothing is known and the rule says to keep what was."""
    if value is not None:
        return rule.exceeded(value)
    return {"fires": True, "fine": False, "keeps": None}[rule.absence]


def advance(rule: AlertRule, state: State, value: float | None, *, now: datetime) -> tuple[State, Move]:
    """The next state. A clock that went back only makes it wait longer."""
    state, too_much = replace(state, value=value), beyond(rule, value)
    if too_much is None:
        return state, "stays"
    if state.phase == "ok":
        if not too_much:
            return state, "stays"
        state = replace(state, phase="pending", since=now)
        return (state, "pending") if rule.lasting else (replace(state, phase="firing"), "fired")
    if state.phase == "pending":
        if not too_much:
            return replace(state, phase="ok", since=now), "dropped"
        if now - state.since < rule.lasting:
            return state, "stays"
        return replace(state, phase="firing", since=now), "fired"
    if too_much:
        return replace(state, fine_since=None), "stays"
    fine_since = state.fine_since or now
    if now - fine_since < rule.calm:
        return replace(state, fine_since=fine_since), "stays"
    return replace(state, phase="ok", since=now, fine_since=None), "resolved"


def is_due(rule: AlertRule, state: State, *, now: datetime) -> bool:
    """Whether people should be told (again) that it fires."""
    if state.phase != "firing":
        return False
    return state.told_at is None or now - state.told_at >= rule.repeat


def subjects_of(measured: Measured, states: Mapping[str, State], rule: AlertRule) -> dict[str, float | None]:
    """What to advance: each subject that was measured or has a state, the worst first, bounded.

    Without a measurement those that have a state go by the rule's word on absence, and the whole stands for the rest.
    A subject that is gone from a measurement is fine again.
    """
    if measured is None:
        known: dict[str, float | None] = dict.fromkeys((one for one in states if one), None)
        return {**known, "": None}
    worst = sorted(measured.items(), key=lambda one: one[1], reverse=rule.when == "above")[:MOST_SUBJECTS]
    return dict(worst)


def worse(rule: AlertRule, one: float | None, other: float | None) -> float | None:
    """The worse of two values."""
    if one is None or other is None:
        return one if other is None else other
    return max(one, other) if rule.when == "above" else min(one, other)
