"""The nouns of alert rules: what is measured, when it is too much, for how long, and who is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from kronborg.core.durations import Span
from kronborg.core.errors import Problem
from kronborg.gateway.edge_model import EDGE
from kronborg.gateway.reasons import REASONS
from kronborg.gateway.watch_model import MOST_TOLD, is_address

Measure = Literal[
    "requests",
    "errors",
    "refusals",
    "p95",
    "p99",
    "quota_use",
    "breaker_open",
    "gateway_silent",
    "gateway_rejected",
    "revocation_lag",
    "certificate_days",
    "surface_score",
    "surface_drop",
    "surface_critical",
    "sign_in_failures",
]
MEASURES: tuple[Measure, ...] = get_args(Measure)
OF_TRAFFIC: tuple[Measure, ...] = ("requests", "errors", "refusals", "p95", "p99")
"""What is measured in the records of the traffic, over the window of the rule."""
TOLD: Mapping[Measure, tuple[str, str]] = {
    "requests": ("Requests a second", "/s"),
    "errors": ("Answers with 5xx, of a hundred requests", "%"),
    "refusals": ("Requests that the gateway refused, a second", "/s"),
    "p95": ("95 of 100 requests are answered within", "ms"),
    "p99": ("99 of 100 requests are answered within", "ms"),
    "quota_use": ("The fullest quota counter, of a hundred", "%"),
    "breaker_open": ("Gateways whose breaker of a service is open", ""),
    "gateway_silent": ("Seconds since a gateway reported", "s"),
    "gateway_rejected": ("Gateways that refused the newest version", ""),
    "revocation_lag": ("A gateway refuses a revoked token after", "ms"),
    "certificate_days": ("Days until a certificate ends", "days"),
    "surface_score": ("The score of the attack surface", ""),
    "surface_drop": ("Points that the score fell within a day", ""),
    "surface_critical": ("Critical findings that nobody acknowledged", ""),
    "sign_in_failures": ("Failed sign-ins a minute", "/min"),
}
"""What each measures in words, and its unit."""
Severity = Literal["critical", "warning", "info"]
Absence = Literal["fires", "fine", "keeps"]
LONGEST = timedelta(days=1)
MOST_RULES = 200


@dataclass(frozen=True, slots=True)
class AlertRule:
    """What is watched. What its fields mean is said in the section `alerts` of a file, which reads it."""

    __pydantic_config__ = EDGE

    name: str
    measure: Measure
    threshold: float
    when: Literal["above", "below"] = "above"
    title: str = ""
    route: str = ""
    service: str = ""
    client: str = ""
    reason: str = ""
    window: Span = timedelta(minutes=5)
    lasting: Span = timedelta(minutes=2)
    calm: Span = timedelta(minutes=5)
    least: int = 20
    severity: Severity = "warning"
    absence: Absence = "fine"
    repeat: Span = timedelta(hours=4)
    mail: tuple[str, ...] = ()
    disabled: bool = False

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.title or self.name

    @property
    def unit(self) -> str:
        """What its numbers are in."""
        return TOLD[self.measure][1]

    def exceeded(self, value: float) -> bool:
        """Whether a value is beyond the threshold."""
        return value > self.threshold if self.when == "above" else value < self.threshold


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


READY: tuple[AlertRule, ...] = (
    AlertRule("errors", "errors", 5, title="Many requests fail", severity="critical"),
    AlertRule("slow", "p99", 2000, title="Requests are slow", lasting=timedelta(minutes=5)),
    AlertRule("refused-tokens", "refusals", 10, title="Many requests are refused", lasting=timedelta(minutes=5)),
    AlertRule("quota-nearly-used", "quota_use", 90, title="A quota is nearly used up", severity="info"),
    AlertRule("breaker-open", "breaker_open", 0, title="A circuit breaker is open", lasting=timedelta(0)),
    AlertRule(
        "gateway-silent",
        "gateway_silent",
        60,
        title="A gateway is not heard of",
        severity="critical",
        lasting=timedelta(minutes=1),
        absence="fires",
    ),
    AlertRule(
        "gateway-rejected",
        "gateway_rejected",
        0,
        title="A gateway refused the newest version",
        severity="critical",
        lasting=timedelta(seconds=30),
    ),
    AlertRule(
        "revocation-late",
        "revocation_lag",
        1000,
        title="Revocations take more than a second",
        severity="critical",
        lasting=timedelta(minutes=1),
    ),
    AlertRule(
        "certificate-ends",
        "certificate_days",
        14,
        when="below",
        title="A certificate ends soon",
        lasting=timedelta(0),
        repeat=timedelta(days=1),
    ),
    AlertRule(
        "surface-critical",
        "surface_critical",
        0,
        title="The attack surface has a critical finding",
        severity="critical",
        lasting=timedelta(0),
        repeat=timedelta(days=1),
        absence="keeps",
    ),
    AlertRule(
        "surface-drop",
        "surface_drop",
        10,
        title="The attack surface got worse",
        lasting=timedelta(0),
        repeat=timedelta(days=1),
        absence="keeps",
    ),
    AlertRule("sign-in-failures", "sign_in_failures", 30, title="Many sign-ins fail", severity="warning"),
)
"""The rules that are there from the start. A rule that is saved under one of these names takes its place."""
