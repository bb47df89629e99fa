"""The decision trail of one request: each stage as passed, refused or never reached, with what was asked and there.

The trail is that of `gateway.simulate` by the version that served the request. What a record cannot say, the record's
own reason decides: what came before it was passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from kronborg.gateway.access_model import StepUp
from kronborg.gateway.model import Route
from kronborg.gateway.reasons import REASONS, Stage
from kronborg.gateway.simulate import decide
from kronborg.gateway.simulate_nouns import STAGE_NAMES, STAGES
from kronborg.gateway.simulate_rights import rights_of, told_rights
from kronborg.traffic.judge import Side, explained, listener_at
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.recorded import call_of

Standing = Literal["passed", "would be refused", "refused", "not reached", "not asked"]

_TITLES = {**STAGE_NAMES, "connection": "Connection", "bots": "Bots"}
"""As simulation calls them; of a record there is more to a connection than its host."""
_OTHERS: tuple[Stage, ...] = tuple(stage for stage in get_args(Stage) if stage not in STAGES)
_ORDER: tuple[Stage, ...] = tuple(
    sorted((*_OTHERS, *STAGES), key=lambda one: get_args(Stage).index(one) if one in _OTHERS else STAGES.index(one))
)


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the way."""

    title: str
    standing: Standing
    asked: str
    there: str
    meaning: str


def trail_of(record: AccessRecord, served: Side | None) -> tuple[Step, ...]:
    """The stages in their order, by the version that was published then; None when it is not known any more."""
    reason = REASONS.get(record.reason)
    route = None if served is None else served.routes.get(record.route)
    order = _order(route)
    end = len(order) if reason is None else order.index(reason.stage)
    asked = {**_simulated(record, served, route), **_asked(record, route)}
    steps = []
    for place, stage in enumerate(order):
        if place > end:
            steps.append(Step(_TITLES[stage], "not reached", "", "", ""))
        elif place == end and reason is not None:
            words = asked.get(stage) or "What the route says."
            steps.append(Step(_TITLES[stage], "refused", words, _there(stage, record), reason.meaning))
        elif told := [name for name in record.reported if _stage_of(name) == stage]:
            steps.append(Step(_TITLES[stage], "would be refused", asked.get(stage, ""), ", ".join(told), ""))
        else:
            standing: Standing = "passed" if stage in asked else "not asked"
            there = _there(stage, record) if stage in asked else ""
            steps.append(Step(_TITLES[stage], standing, asked.get(stage, ""), there, ""))
    return tuple(steps)


def _stage_of(name: str) -> Stage:
    """Where something only reports; what is no reason is the name of a quota."""
    return REASONS[name].stage if name in REASONS else "quota"


def _order(route: Route | None) -> tuple[Stage, ...]:
    """A rate per address comes before any token is looked at."""
    if route is None or route.spike_arrest is None or route.spike_arrest.per != "address":
        return _ORDER
    place = _ORDER.index("token")
    arrest: tuple[Stage, ...] = ("spike_arrest",)
    return (*_ORDER[:place], *arrest, *(stage for stage in _ORDER[place:] if stage not in arrest))


def _simulated(record: AccessRecord, served: Side | None, route: Route | None) -> dict[Stage, str]:
    """What simulation asks of the request, as far as it comes to what was recorded."""
    asked: dict[Stage, str] = {
        "connection": "A request that follows HTTP, within its bounds.",
        "routing": f"A route for {record.method or '?'} {record.host}{record.path}.",
    }
    if record.service:
        asked["service"] = f"An answer of {record.service}."
    if served is None:
        return asked
    call = call_of(record, route, served.snapshot.issuer)
    decision = decide(served.at(listener_at(record, route)), call, now=record.at)
    if not explained(record, decision):
        return asked
    told: dict[Stage, str] = {
        step.stage: step.asked for step in decision.trail if step.asked and step.stage != "service"
    }
    return {**asked, **told}


def _asked(record: AccessRecord, route: Route | None) -> Mapping[Stage, str]:
    """What the route asks for that no record can answer."""
    if route is None:
        return {}
    asked: dict[Stage, str] = {}
    rights = rights_of(route, record.method)
    if not route.public:
        if rights.scopes or rights.roles or rights.claims:
            asked["access"] = told_rights(rights)
        if route.policy is not None or route.policies:
            asked["policy"] = "What the Cedar policy of the route permits."
        if rights.step_ups:
            asked["step_up"] = " ".join(_sign_in(one) for one in rights.step_ups)
    rates = [f"At most {one.told}." for one in (route.spike_arrest, route.rate_limit) if one is not None]
    if rates:
        asked["spike_arrest"] = " ".join(rates)
    if route.quotas:
        told = (f"At most {one.told}." for one in route.quotas)
        asked["quota"] = " ".join(told)
    if route.concurrency is not None:
        asked["concurrency"] = f"At most {route.concurrency.count} under way per {route.concurrency.per}."
    asked["content"] = f"A body of at most {route.max_body:,} bytes."
    return asked


def _sign_in(asked: StepUp) -> str:
    kind = f"A sign-in of the kind {' or '.join(asked.acr)}" if asked.acr else "A sign-in"
    return kind + (f", at most {int(asked.max_age.total_seconds())} seconds ago." if asked.max_age else ".")


def _there(stage: Stage, record: AccessRecord) -> str:
    if stage == "connection":
        return record.protocol
    if stage == "routing":
        return record.route or "none"
    if stage in ("address", "bots"):
        return record.address if stage == "address" else record.agent
    if stage in ("token", "revocation"):
        return f"client {record.client}, token {record.token}" if record.client else "no valid token"
    if stage == "access":
        return f"scopes {record.scopes}" if record.scopes else "no scopes"
    if stage == "content":
        return f"{record.bytes_in:,} bytes"
    if stage == "service":
        tries = "attempt" if record.attempts == 1 else "attempts"
        taken = f"{record.upstream or 'nobody'}, {record.attempts} {tries}, {record.upstream_us / 1000:.1f} ms"
        return f"{taken}, in place of the service" if record.service.startswith("instead.") else taken
    return record.client or record.address
