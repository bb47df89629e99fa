"""The table of alert rules: those that somebody saved, over the ready-made ones."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Table, Text, delete, func, insert, select, update

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.json import JsonValue
from kronborg.core.values import freeze, thaw
from kronborg.gateway.alert_model import READY, AlertRule

rules_table = Table(
    "alerts_rules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("content", Json, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)


async def list_saved(session: ReadSession) -> tuple[AlertRule, ...]:
    """Those that somebody saved, by name."""
    rows = await session.execute(select(rules_table.c.content).order_by(rules_table.c.name))
    return tuple(thaw(AlertRule, row[0]) for row in rows)


async def list_rules(session: ReadSession) -> tuple[AlertRule, ...]:
    """All that hold: the ready-made ones where nobody saved another, and those that somebody saved; by name."""
    by_name = {rule.name: rule for rule in (*READY, *await list_saved(session))}
    return tuple(by_name[name] for name in sorted(by_name))


async def find_rule(session: ReadSession, name: str) -> AlertRule | None:
    """One that holds."""
    return next((rule for rule in await list_rules(session) if rule.name == name), None)


async def count_saved(session: ReadSession) -> int:
    """How many somebody saved."""
    return int(str(await session.scalar(select(func.count()).select_from(rules_table))))


async def put_rule(session: Session, rule: AlertRule, *, now: datetime) -> None:
    """Make or replace a rule by its name."""
    table, content = rules_table, _plain(rule)
    values = {"content": content, "updated_at": now}
    changed = await session.execute(
        update(table).where(table.c.name == rule.name).values(**values).returning(table.c.name)
    )
    if not changed:
        await session.execute(insert(table).values(name=rule.name, **values))


async def delete_rule(session: Session, name: str) -> bool:
    """Whether somebody had saved it."""
    table = rules_table
    return bool(await session.execute(delete(table).where(table.c.name == name).returning(table.c.name)))


def _plain(rule: AlertRule) -> JsonValue:
    frozen = freeze(rule)
    if not isinstance(frozen, dict):
        raise TypeError("a rule is an object")
    return frozen
