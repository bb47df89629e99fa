"""Alerts in the admin API: what fires and fired, rules, silences."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from kronborg.core import clock
from kronborg.core.api import Body, Limit, Page, Shown, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.quantities import Duration
from kronborg.gateway.alert_model import Absence, AlertRule, Measure, Severity
from kronborg.gateway.alert_rules import remove_rule, save_rule
from kronborg.gateway.alert_rules_store import find_rule, list_rules
from kronborg.gateway.declare.alert_section import AlertSection, rule_of
from kronborg.traffic.alerts import end_silence, silence
from kronborg.traffic.alerts_store import firing as firing_now
from kronborg.traffic.alerts_store import list_alerts, list_silences

router = APIRouter()

Name = Annotated[str, Path(max_length=63, pattern=r"^[a-z0-9][a-z0-9-]*$")]
Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z-]+$")]
Before = Annotated[str | None, Query(max_length=64, pattern=r"^[0-9A-Za-z-]+$", description="The `next` before.")]


class ShownAlert(Shown):
    """One time that a rule fired."""

    id: str
    rule: str
    subject: str
    """The gateway, service or certificate that it is about; empty for the whole."""
    title: str
    severity: str
    unit: str
    fired_at: datetime
    resolved_at: datetime | None
    value: float | None
    """What was measured when it fired; null when nothing could be."""
    peak: float | None
    """The worst since."""
    told: bool


class ShownRule(Shown):
    """A rule that holds; what its fields mean is said in the section `alerts` of a file."""

    name: str
    measure: Measure
    threshold: float
    when: str
    title: str
    route: str
    service: str
    client: str
    reason: str
    window: Duration
    lasting: Duration
    calm: Duration
    least: int
    severity: Severity
    absence: Absence
    repeat: Duration
    mail: list[str]
    disabled: bool


class ShownSilence(Shown):
    """Nobody is told of a rule until an end."""

    id: str
    rule: str
    """Empty: all rules."""
    reason: str
    author: str
    created_at: datetime
    ends_at: datetime


class SilenceToMake(Body):
    """Of what nobody is told, why and for how long."""

    rule: Annotated[str, Field(max_length=63)] = ""
    """All rules when empty."""
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    lasts: Duration = timedelta(hours=4)
    """At most a month."""


@router.get("/alerts", tags=["alerts"], responses=refusals(422))
async def read_alerts(
    request: Request, firing: bool = False, before: Before = None, limit: Limit = 50
) -> Page[ShownAlert]:
    """What fired, the newest first; with `firing` what fires now."""
    async with parts_of(request).database.read() as session:
        if firing:
            found, last = await firing_now(session), None
        else:
            found = await list_alerts(session, before=before, limit=limit)
            last = found[-1].id if len(found) == limit else None
    return Page(items=[ShownAlert.model_validate(one) for one in found], next=last)


@router.get("/alerts/rules", tags=["alerts"])
async def read_alert_rules(request: Request) -> Page[ShownRule]:
    """The rules that hold: ready-made ones, and those that somebody saved (there are at most 200)."""
    async with parts_of(request).database.read() as session:
        found = await list_rules(session)
    return Page(items=[ShownRule.model_validate(one) for one in found], next=None)


@router.get("/alerts/rules/{name}", tags=["alerts"], responses=refusals(404, 422))
async def read_alert_rule(request: Request, name: Name) -> ShownRule:
    """One rule."""
    async with parts_of(request).database.read() as session:
        found: AlertRule | None = await find_rule(session, name)
    if found is None:
        raise NotFound("there is no rule of this name")
    return ShownRule.model_validate(found)


@router.put("/alerts/rules/{name}", tags=["alerts"], responses=refusals(422))
async def save_alert_rule(request: Request, name: Name, body: AlertSection) -> ShownRule:
    """Make or change a rule; one under the name of a ready-made rule takes its place."""
    async with parts_of(request).database.write() as session:
        saved = await save_rule(session, rule_of(name, body), actor=caller_of(request).actor, now=clock.now())
    return ShownRule.model_validate(saved)


@router.delete("/alerts/rules/{name}", status_code=204, tags=["alerts"], responses=refusals(404, 422))
async def remove_alert_rule(request: Request, name: Name) -> None:
    """Remove what was saved; of a ready-made rule the ready-made one holds again."""
    async with parts_of(request).database.write() as session:
        await remove_rule(session, name, actor=caller_of(request).actor, now=clock.now())


@router.get("/alerts/silences", tags=["alerts"])
async def read_alert_silences(request: Request) -> Page[ShownSilence]:
    """Silences that hold."""
    async with parts_of(request).database.read() as session:
        found = await list_silences(session, now=clock.now())
    return Page(items=[ShownSilence.model_validate(one) for one in found], next=None)


@router.post("/alerts/silences", status_code=201, tags=["alerts"], responses=refusals(404, 422))
async def make_alert_silence(request: Request, body: SilenceToMake) -> ShownSilence:
    """Let nobody be told of a rule, or of all, for a while."""
    now, actor = clock.now(), caller_of(request).actor
    async with parts_of(request).database.write() as session:
        made = await silence(session, body.rule, reason=body.reason, until=now + body.lasts, actor=actor, now=now)
    return ShownSilence.model_validate(made)


@router.delete("/alerts/silences/{silence_id}", status_code=204, tags=["alerts"], responses=refusals(404, 422))
async def end_alert_silence(request: Request, silence_id: Id) -> None:
    """Let people be told again."""
    async with parts_of(request).database.write() as session:
        await end_silence(session, silence_id, actor=caller_of(request).actor, now=clock.now())
