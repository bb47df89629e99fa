"""The decision trail of one request: each stage as passed, refused or never reached, with what was asked and there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from kronborg.gateway.model import Route
from kronborg.gateway.reasons import REASONS, Stage
from kronborg.traffic.model import AccessRecord

Standing = Literal["passed", "refused", "not reached", "not asked"]

_TITLES: dict[Stage, str] = {
    "connection": "Connection",
    "routing": "Route",
    "address": "Address",
    "bots": "Bots",
    "token": "Token",
    "access": "Scopes and roles",
    "revocation": "Revocation",
    "binding": "Key or certificate",
    "step_up": "Strength of sign-in",
    "policy": "Policy",
    "spike_arrest": "Spike arrest",
    "quota": "Quota",
    "concurrency": "Concurrency",
    "content": "Content",
    "service": "Service",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the way."""

    title: str
    standing: Standing
    asked: str
    there: str
    meaning: str


def trail_of(record: AccessRecord, route: Route | None) -> tuple[Step, ...]:
    """The stages in their order. `route` is as the version had it that was published then; None when it is unknown."""
    reason = REASONS.get(record.reason)
    stages: tuple[Stage, ...] = get_args(Stage)
    end = stages.index(reason.stage) if reason is not None else len(stages)
    steps = []
    for index, stage in enumerate(stages):
        asked = _asked(stage, record, route)
        if index == end and reason is not None:
            steps.append(Step(_TITLES[stage], "refused", asked, _there(stage, record), reason.meaning))
        elif index > end:
            steps.append(Step(_TITLES[stage], "not reached", "", "", ""))
        else:
            standing: Standing = "passed" if asked else "not asked"
            steps.append(Step(_TITLES[stage], standing, asked, _there(stage, record) if asked else "", ""))
    return tuple(steps)


def _asked(stage: Stage, record: AccessRecord, route: Route | None) -> str:
    """What the stage wanted; empty when it wanted nothing."""
    if stage == "connection":
        return "a request that follows HTTP, within its bounds"
    if stage == "routing":
        return f"a route for {record.method or '?'} {record.host}{record.path}"
    if stage == "service":
        return f"an answer of {record.service}" if record.service else ""
    if route is None:
        return "as the route says" if record.reason and REASONS[record.reason].stage == stage else ""
    if stage == "token":
        return "" if route.public else f"a token for {route.audience or 'nobody'}"
    if stage == "access":
        wanted = [f"scope {scope}" for scope in route.scopes]
        return ", ".join([*wanted, *(["one of the roles " + " ".join(route.roles)] if route.roles else [])])
    if stage == "revocation":
        return "" if route.public else "that nothing of it was revoked"
    if stage == "spike_arrest" and route.spike_arrest is not None:
        return f"at most {route.spike_arrest.rate} for each {route.spike_arrest.per}"
    if stage == "content":
        return f"a body of at most {route.max_body} bytes"
    return "as the route says" if record.reason and REASONS[record.reason].stage == stage else ""


def _there(stage: Stage, record: AccessRecord) -> str:
    if stage == "connection":
        return record.protocol
    if stage == "routing":
        return record.route
    if stage == "address":
        return record.address
    if stage in ("token", "revocation"):
        return f"client {record.client}, token {record.token}" if record.client else "no valid token"
    if stage == "access":
        return f"scopes {record.scopes}" if record.scopes else "no scopes"
    if stage == "content":
        return f"{record.bytes_in} bytes"
    if stage == "service":
        return f"{record.upstream or 'nobody'}, {record.attempts} attempts, {record.upstream_us / 1000:.1f} ms"
    return record.client or record.address
