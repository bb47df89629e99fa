"""Save and remove alert rules; the audit log hears of each."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.db import Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.gateway.alert_model import MOST_RULES, READY, AlertRule
from kronborg.gateway.alert_problems import rule_problems
from kronborg.gateway.alert_rules_store import count_saved, delete_rule, find_rule, put_rule
from kronborg.gateway.validate import name_is_valid


async def save_rule(session: Session, rule: AlertRule, *, actor: str, now: datetime) -> AlertRule:
    """Make a rule, or change it, a ready-made one too. Raises `Invalid` with every reason."""
    problems = list(rule_problems(rule))
    if not name_is_valid(rule.name):
        problems.append(Problem("name", "is no name", "use small letters, digits and dashes"))
    before = await find_rule(session, rule.name)
    if before is None and await count_saved(session) >= MOST_RULES:
        problems.append(Problem("name", "would be one rule too many", "remove some first"))
    if problems:
        raise Invalid(*problems)
    await put_rule(session, rule, now=now)
    await record(
        session,
        "alert.rule_saved",
        actor=actor,
        subject=rule.name,
        now=now,
        detail=changes(before, rule, but=("name",)),
    )
    return rule


async def remove_rule(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Remove what was saved; of a ready-made rule the ready-made one holds again. Raises `NotFound`."""
    if not await delete_rule(session, name):
        ready = any(rule.name == name for rule in READY)
        raise NotFound("this is a ready-made rule: disable it instead" if ready else "there is no rule of this name")
    await record(session, "alert.rule_removed", actor=actor, subject=name, now=now)
