"""The table of subscriptions, and the SQL that touches it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import datetime
from typing import cast

from sqlalchemy import Column, Index, Integer, Table, Text, insert, or_, select, update
from sqlalchemy.engine import Row

from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata
from kronborg.products.model import PlanKey, Standing, State, Subscription

subscriptions_table = Table(
    "products_subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("team_id", Text),
    Column("product", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("environment", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("starts_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    Column("follows", Text),
    Column("reason", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_products_subscriptions_client_id", "client_id", "product", "environment"),
    Index("ix_products_subscriptions_team_id", "team_id", "id"),
    Index("ix_products_subscriptions_product", "product", "id"),
    Index("ix_products_subscriptions_state", "state", "id"),
    Index("ix_products_subscriptions_starts_at", "starts_at"),
    Index("ix_products_subscriptions_ends_at", "ends_at"),
)
_all = subscriptions_table.c
_PLAIN = tuple(field.name for field in fields(Subscription) if field.name != "key")
_LIVE: tuple[State, ...] = ("pending", "scheduled", "active", "suspended")
MOST = 200


async def insert_subscription(session: Session, one: Subscription) -> None:
    """A new subscription."""
    await session.execute(insert(subscriptions_table).values(**_values(one)))


async def update_subscription(session: Session, one: Subscription) -> None:
    """All of an existing subscription."""
    await session.execute(update(subscriptions_table).where(_all.id == one.id).values(**_values(one)))


async def find_subscription(session: ReadSession, subscription_id: str) -> Subscription | None:
    """The subscription of this id."""
    row = await session.first(select(subscriptions_table).where(_all.id == subscription_id))
    return None if row is None else _subscription(row)


async def find_subscriptions(session: ReadSession, ids: Collection[str]) -> dict[str, Subscription]:
    """Subscriptions by id, those that there are."""
    wanted = sorted(set(ids))
    found: dict[str, Subscription] = {}
    for start in range(0, len(wanted), MOST):
        rows = await session.execute(select(subscriptions_table).where(_all.id.in_(wanted[start : start + MOST])))
        found |= {str(row.id): _subscription(row) for row in rows}
    return found


async def list_subscriptions(
    session: ReadSession,
    *,
    client_id: str | None = None,
    team_id: str | None = None,
    product: str | None = None,
    state: State | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Sequence[Subscription]:
    """Subscriptions, the newest first, from before `before` on."""
    query = select(subscriptions_table).order_by(_all.id.desc()).limit(max(1, min(limit, MOST)))
    wanted = ((_all.client_id, client_id), (_all.team_id, team_id), (_all.product, product), (_all.state, state))
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(_all.id < before)
    return [_subscription(row) for row in await session.execute(query)]


async def live_of(session: ReadSession, client_id: str, product: str, environment: str) -> Sequence[Subscription]:
    """What is neither refused nor over of a client, product and environment, the oldest first."""
    query = select(subscriptions_table).where(
        _all.client_id == client_id,
        _all.product == product,
        _all.environment == environment,
        _all.state.in_(_LIVE),
    )
    return [_subscription(row) for row in await session.execute(query.order_by(_all.id))]


async def due_subscriptions(session: ReadSession, *, now: datetime, limit: int) -> Sequence[Subscription]:
    """Those whose end has come, and scheduled ones that begin."""
    over = _all.state.in_(("active", "suspended")) & (_all.ends_at <= now)
    begun = (_all.state == "scheduled") & (_all.starts_at <= now)
    query = select(subscriptions_table).where(or_(over, begun)).order_by(_all.id).limit(limit)
    return [_subscription(row) for row in await session.execute(query)]


async def active_subscriptions(session: ReadSession, *, after: str = "", limit: int = MOST) -> Sequence[Subscription]:
    """Active ones by id, after `after`."""
    query = select(subscriptions_table).where(_all.state == "active", _all.id > after).order_by(_all.id).limit(limit)
    return [_subscription(row) for row in await session.execute(query)]


async def keys_in_use(session: ReadSession) -> frozenset[PlanKey]:
    """The versions of plans under which somebody has, or may soon have, a right."""
    query = select(_all.product, _all.plan, _all.version).where(_all.state.in_(_LIVE)).distinct()
    return frozenset(PlanKey(str(row.product), str(row.plan), int(row.version)) for row in await session.execute(query))


async def live_of_team(session: ReadSession, team_id: str) -> Sequence[Subscription]:
    """Everything of a team that is neither refused nor over."""
    query = select(subscriptions_table).where(_all.team_id == team_id, _all.state.in_(_LIVE)).order_by(_all.id)
    return [_subscription(row) for row in await session.execute(query)]


async def set_standing_row(session: Session, subscription_id: str, standing: Standing, *, now: datetime) -> bool:
    """What money says of it; True when that is new."""
    changed = (
        update(subscriptions_table)
        .where(_all.id == subscription_id, _all.standing != standing)
        .values(standing=standing, updated_at=now)
        .returning(_all.id)
    )
    return await session.scalar(changed) is not None


def _values(one: Subscription) -> dict[str, object]:
    key = {"product": one.key.product, "plan": one.key.plan, "version": one.key.version}
    return {name: getattr(one, name) for name in _PLAIN} | key


def _subscription(row: Row[tuple[object, ...]]) -> Subscription:
    key = PlanKey(str(row.product), str(row.plan), int(row.version))
    return Subscription(key=key, **{name: cast("str", getattr(row, name)) for name in _PLAIN})  # type: ignore[arg-type]
