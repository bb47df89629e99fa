"""Everything that keeps an alert rule from making sense."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from kronborg.core.errors import Problem
from kronborg.gateway.alert_model import LONGEST, OF_TRAFFIC, AlertRule
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.watch_model import MOST_TOLD, is_address


def rule_problems(rule: AlertRule) -> Iterator[Problem]:
    """Everything that keeps a rule from making sense."""
    if rule.measure not in OF_TRAFFIC and (rule.client or rule.route or rule.reason):
        yield Problem("route", "does not narrow this measure down", "leave route, client and reason out")
    if rule.service and rule.measure not in (*OF_TRAFFIC, "breaker_open"):
        yield Problem("service", "does not narrow this measure down", "leave it out")
    if (rule.client or rule.service) and rule.measure in ("p95", "p99"):
        yield Problem("client", "is not kept with latencies", "narrow them down by route")
    if rule.reason and rule.reason not in REASONS:
        yield Problem("reason", "is no reason of the gateway", "look at the reasons in Traffic")
    for name, span, least in (
        ("window", rule.window, timedelta(minutes=1)),
        ("lasting", rule.lasting, timedelta(0)),
        ("calm", rule.calm, timedelta(0)),
    ):
        if not least <= span <= LONGEST:
            yield Problem(name, "is too short or longer than a day", "write for example 5m")
    if not timedelta(minutes=5) <= rule.repeat <= timedelta(days=30):
        yield Problem("repeat", "is not between five minutes and thirty days", "write for example 4h")
    if not (-1e12 < rule.threshold < 1e12):
        yield Problem("threshold", "is out of bounds", "give a smaller number")
    if not 0 <= rule.least <= 1_000_000_000:
        yield Problem("least", "is out of bounds", "give a number of requests")
    if len(rule.mail) > MOST_TOLD or not all(map(is_address, rule.mail)):
        yield Problem("mail", "holds no e-mail address, or too many", "write ops@company.example")
    if len(rule.title) > 200 or not rule.title.isprintable():
        yield Problem("title", "is too long or not printable", "write a short sentence")
