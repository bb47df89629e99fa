"""The section `alerts` of a document: what is watched, when it is too much, and who is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kronborg.core.json import JsonValue
from kronborg.core.quantities import Duration, parse_duration, write_duration
from kronborg.gateway.alert_model import Absence, AlertRule, Measure, Severity
from kronborg.gateway.declare.parts import Section

Line = Annotated[str, Field(max_length=256)]


class AlertSection(Section):
    """An alert rule. The key of the entry is its name; a ready-made rule of this name gives way to it."""

    measure: Measure
    """What is measured: `requests` and `refusals` a second, `errors` (5xx) of a hundred requests, `p95` and `p99` in
    milliseconds, `quota_use` of a hundred, `breaker_open`, `gateway_silent` in seconds, `gateway_rejected`,
    `revocation_lag` in milliseconds, `certificate_days`, `surface_score`, `surface_drop` within a day,
    `surface_critical`, `sign_in_failures` a minute."""
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    """The last value that is fine."""
    when: Literal["above", "below"] = "above"
    """Which side of the threshold is too much."""
    title: Annotated[str, Field(max_length=200)] = ""
    """What people read who are told; the name when absent."""
    route: Line = ""
    """Only this route, of measures of traffic."""
    service: Line = ""
    """Only this service, of measures of traffic but p95 and p99, and of breakers."""
    client: Line = ""
    """Only this client, of measures of traffic but p95 and p99."""
    reason: Line = ""
    """Only refusals for this reason, such as `missing_scope`."""
    window: Duration = parse_duration("5m")
    """The time that traffic, revocations and sign-ins are measured over."""
    lasting: Duration = parse_duration("2m")
    """So long it must be too much before it fires."""
    calm: Duration = parse_duration("5m")
    """So long it must be fine before it is over."""
    least: Annotated[int, Field(ge=0, le=1_000_000_000)] = 20
    """With fewer requests in the window, shares and percentiles count as no data."""
    severity: Severity = "warning"
    """How grave it is: `critical`, `warning` or `info`."""
    absence: Absence = "fine"
    """What no data means: nothing is wrong (`fine`), it `fires`, or it `keeps` what it was."""
    repeat: Duration = parse_duration("4h")
    """While it fires, people are told again this often."""
    mail: Annotated[tuple[Line, ...], Field(max_length=20)] = ()
    """E-mail addresses that are told; those of `server.alerts.mail` when absent."""
    disabled: bool = False
    """Watches nothing while true; so a ready-made rule is switched off."""


_NAMES = tuple(AlertSection.model_fields)


def rule_of(name: str, section: AlertSection) -> AlertRule:
    """The rule that a section wishes for."""
    return AlertRule(name=name, **{field: getattr(section, field) for field in _NAMES})


def alert_fields(rule: AlertRule) -> dict[str, JsonValue]:
    """What is compared of a rule."""
    told: dict[str, JsonValue] = {field: getattr(rule, field) for field in _NAMES}
    for field in ("window", "lasting", "calm", "repeat"):
        told[field] = write_duration(getattr(rule, field))
    return {**told, "threshold": float(rule.threshold), "mail": sorted(rule.mail)}
