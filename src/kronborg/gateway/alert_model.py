"""The nouns of alert rules: what is measured, when it is too much, for how long, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from kronborg.core.durations import Span
from kronborg.gateway.edge_model import EDGE

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
