"""How alerts come and go: vectors of the state machine, then whole turns over a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kronborg.gateway.alert_model import READY, AlertRule
from kronborg.gateway.alert_problems import rule_problems
from kronborg.traffic.alerts_model import State, advance, first_state, is_due, subjects_of

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
RULE = AlertRule("errors", "errors", 5, lasting=timedelta(minutes=2), calm=timedelta(minutes=5))


def played(rule: AlertRule, values: list[float | None]) -> list[str]:
    """The moves of one value a minute."""
    state = first_state(rule, "", NOW)
    moves: list[str] = []
    for minute, value in enumerate(values):
        state, move = advance(rule, state, value, now=NOW + timedelta(minutes=minute))
        moves.append(move)
    return moves


STAYS = "stays"


@pytest.mark.parametrize(
    ("rule", "values", "moves"),
    [
        (RULE, [1, 5, 5], [STAYS] * 3),
        (RULE, [6, 6, 6], ["pending", STAYS, "fired"]),
        (RULE, [6, 1, 6, 6, 6], ["pending", "dropped", "pending", STAYS, "fired"]),
        # Fine for five minutes, not one less, and a relapse in between is the same alert.
        (RULE, [6, 6, 6, 1, 1, 9, 1, 1, 1, 1, 1, 1], ["pending", STAYS, "fired", *[STAYS] * 8, "resolved"]),
        (
            AlertRule("now", "errors", 5, lasting=timedelta(0), calm=timedelta(0)),
            [6, 6, 1],
            ["fired", STAYS, "resolved"],
        ),
        (AlertRule("low", "requests", 1, when="below", lasting=timedelta(0)), [1, 0.5], [STAYS, "fired"]),
        # No data: what the rule says.
        (AlertRule("a", "errors", 5, lasting=timedelta(0), absence="fires"), [1, None], [STAYS, "fired"]),
        (AlertRule("a", "errors", 5, lasting=timedelta(0), calm=timedelta(0)), [6, None], ["fired", "resolved"]),
        (
            AlertRule("a", "errors", 5, lasting=timedelta(0), calm=timedelta(0), absence="keeps"),
            [None, 6, None, None, 1],
            [STAYS, "fired", STAYS, STAYS, "resolved"],
        ),
    ],
)
def test_an_alert_comes_and_goes(rule: AlertRule, values: list[float | None], moves: list[str]) -> None:
    assert played(rule, values) == moves


def test_a_clock_that_went_back_fires_nothing_early() -> None:
    state, _ = advance(RULE, first_state(RULE, "", NOW), 9, now=NOW)

    _, move = advance(RULE, state, 9, now=NOW - timedelta(hours=1))

    assert move == "stays"


def test_people_are_told_once_and_again_after_the_repeat_interval() -> None:
    firing = State("errors", "", "firing", NOW)
    told = State("errors", "", "firing", NOW, told_at=NOW)

    due = [is_due(RULE, one, now=NOW + after) for one, after in ((firing, timedelta(0)), (told, timedelta(hours=3)))]
    again = is_due(RULE, told, now=NOW + timedelta(hours=4))

    assert (due, again) == ([True, False], True)


def test_without_a_measurement_what_is_known_and_the_whole_are_judged_by_absence() -> None:
    known = {"gateway-1": State("x", "gateway-1", "firing", NOW)}

    assert subjects_of(None, known, RULE) == {"gateway-1": None, "": None}
    assert subjects_of({"b": 2.0, "a": 1.0}, known, RULE) == {"b": 2.0, "a": 1.0}
    assert len(subjects_of({str(n): float(n) for n in range(500)}, {}, RULE)) == 50


def test_the_ready_made_rules_make_sense() -> None:
    assert [(rule.name, list(rule_problems(rule))) for rule in READY if list(rule_problems(rule))] == []
    assert len({rule.name for rule in READY}) == len(READY)


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        (AlertRule("a", "quota_use", 1, route="x"), "route"),
        (AlertRule("a", "p99", 1, client="x"), "client"),
        (AlertRule("a", "surface_score", 1, service="x"), "service"),
        (AlertRule("a", "refusals", 1, reason="made_up"), "reason"),
        (AlertRule("a", "errors", float("nan")), "threshold"),
        (AlertRule("a", "errors", 1, window=timedelta(seconds=5)), "window"),
        (AlertRule("a", "errors", 1, repeat=timedelta(seconds=5)), "repeat"),
        (AlertRule("a", "errors", 1, mail=("nobody",)), "mail"),
        (AlertRule("a", "errors", 1, mail=("a@b.example\r\nBcc: c@d.example",)), "mail"),
        (AlertRule("a", "errors", 1, title="a\nb"), "title"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: AlertRule, where: str) -> None:
    assert [problem.where for problem in rule_problems(rule)] == [where]
