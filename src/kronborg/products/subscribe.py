"""Subscriptions: ask for, approve, refuse, change plan, cancel, suspend. The gateways hear of each change at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Literal

from kronborg.clients.store import find_client
from kronborg.core.db import Session
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import changes, record
from kronborg.core.ids import new_id
from kronborg.products.entitlements import tell
from kronborg.products.entitlements_store import hold
from kronborg.products.model import Plan, PlanKey, Product, Standing, State, Subscription
from kronborg.products.money import amount_of
from kronborg.products.periods import period_at
from kronborg.products.store import find_product, find_version, newest_versions
from kronborg.products.subscriptions_store import (
    find_subscription,
    insert_subscription,
    live_of,
    set_standing_row,
    update_subscription,
)

When = Literal["now", "period_end"]
LONGEST_REASON = 300


async def subscribe(
    session: Session,
    *,
    client_id: str,
    product: str,
    plan: str,
    environment: str,
    team_id: str | None,
    actor: str,
    now: datetime,
) -> Subscription:
    """Ask for a subscription; it begins at once where nobody must approve. Raises `NotFound`, `Conflict`, `Invalid`."""
    await hold(session)
    sold, key, terms = await _offer(session, product, plan)
    if environment not in sold.environments:
        raise Invalid(Problem("environment", "the product has no such environment"))
    if await find_client(session, client_id) is None:
        raise NotFound("there is no such app")
    if await live_of(session, client_id, product, environment):
        raise Conflict("the app has subscribed to this product already; change the plan instead")
    waits = (terms.approval or sold.approval) == "manual"
    one = Subscription(
        new_id(),
        client_id,
        team_id,
        key,
        environment,
        "pending" if waits else "active",
        now,
        actor,
        now,
        starts_at=None if waits else now,
    )
    return await _begin(session, one, "subscription.requested" if waits else "subscription.begun", actor=actor, now=now)


async def approve(session: Session, subscription_id: str, *, actor: str, now: datetime) -> Subscription:
    """Let what was asked for begin; a change of plan ends what it follows."""
    one = await _held(session, subscription_id, ("pending",), "only what waits for approval can be approved")
    if one.follows is not None:
        before = await find_subscription(session, one.follows)
        if before is not None and before.state in ("active", "suspended"):
            await _end(session, before, now, actor=actor, now=now)
    after = replace(one, state="active", starts_at=now, updated_at=now)
    return await _store(session, one, after, "subscription.approved", actor=actor, now=now)


async def reject(session: Session, subscription_id: str, *, reason: str, actor: str, now: datetime) -> Subscription:
    """Refuse what was asked for."""
    one = await _held(session, subscription_id, ("pending",), "only what waits for approval can be refused")
    after = replace(one, state="rejected", reason=_said(reason), updated_at=now)
    return await _store(session, one, after, "subscription.rejected", actor=actor, now=now)


async def change_plan(
    session: Session, subscription_id: str, plan: str, *, actor: str, now: datetime, at: When | None = None
) -> Subscription:
    """Another plan, or the newest version of the same: an upgrade at once, a downgrade at the end of the period.

    Returns what begins. Raises like `subscribe`.
    """
    one = await _held(session, subscription_id, ("active",), "only a subscription in force can change its plan")
    sold, key, terms = await _offer(session, one.key.product, plan)
    if key == one.key:
        raise Conflict("the app has this plan already")
    await _drop_followers(session, one, actor=actor, now=now)
    held = await find_version(session, one.key)
    starts = now if _at_once(held, terms, at) else period_at(*_clock(held or terms), now).end
    waits = (terms.approval or sold.approval) == "manual"
    following = replace(
        one,
        id=new_id(),
        key=key,
        state="pending" if waits else "scheduled" if starts > now else "active",
        created_at=now,
        created_by=actor,
        updated_at=now,
        starts_at=None if waits else starts,
        ends_at=None,
        follows=one.id,
        reason="",
    )
    if not waits:
        await _end(session, one, starts, actor=actor, now=now)
    name = "subscription.requested" if waits else "subscription.changed"
    return await _begin(session, following, name, actor=actor, now=now)


async def cancel(
    session: Session, subscription_id: str, *, actor: str, now: datetime, at: When = "period_end"
) -> Subscription:
    """Let it end: at the end of the period, which is paid for, or at once."""
    states: tuple[State, ...] = ("pending", "scheduled", "active", "suspended")
    one = await _held(session, subscription_id, states, "the subscription is over")
    await _drop_followers(session, one, actor=actor, now=now)
    if one.state in ("pending", "scheduled"):
        after = replace(one, state="ended", ends_at=now, updated_at=now)
        return await _store(session, one, after, "subscription.cancelled", actor=actor, now=now)
    held = await find_version(session, one.key)
    end = now if at == "now" or held is None else period_at(*_clock(held), now).end
    return await _end(session, one, end, actor=actor, now=now)


async def suspend(session: Session, subscription_id: str, *, reason: str, actor: str, now: datetime) -> Subscription:
    """Refuse its calls until it is resumed."""
    one = await _held(session, subscription_id, ("active",), "only a subscription in force can be suspended")
    after = replace(one, state="suspended", reason=_said(reason), updated_at=now)
    return await _store(session, one, after, "subscription.suspended", actor=actor, now=now)


async def resume(session: Session, subscription_id: str, *, actor: str, now: datetime) -> Subscription:
    """Let its calls through again."""
    one = await _held(session, subscription_id, ("suspended",), "the subscription is not suspended")
    after = replace(one, state="active", reason="", updated_at=now)
    return await _store(session, one, after, "subscription.resumed", actor=actor, now=now)


async def set_standing(session: Session, subscription_id: str, standing: Standing, *, now: datetime) -> bool:
    """What money says of it; True when that is new."""
    await hold(session)
    one = await find_subscription(session, subscription_id)
    if one is None or not await set_standing_row(session, subscription_id, standing, now=now):
        return False
    after = replace(one, standing=standing)
    detail = changes(one, after)
    await record(session, "subscription.standing", actor="system", subject=one.id, now=now, detail=detail)
    await tell(session, after, now=now)
    return True


async def _offer(session: Session, product: str, plan: str) -> tuple[Product, PlanKey, Plan]:
    """What can be chosen now."""
    sold = await find_product(session, product)
    chosen = None if sold is None else sold.plan(plan)
    if sold is None or chosen is None or not chosen.offered:
        raise NotFound("there is no such product, or it has no such plan")
    key, _ = (await newest_versions(session, product))[plan]
    return sold, key, chosen


async def _held(session: Session, subscription_id: str, states: tuple[State, ...], otherwise: str) -> Subscription:
    await hold(session)
    one = await find_subscription(session, subscription_id)
    if one is None:
        raise NotFound("there is no such subscription")
    if one.state not in states:
        raise Conflict(otherwise)
    return one


async def _drop_followers(session: Session, one: Subscription, *, actor: str, now: datetime) -> None:
    """Another change of mind takes the place of one that has not come about."""
    for each in await live_of(session, one.client_id, one.key.product, one.environment):
        if each.follows == one.id:
            after = replace(each, state="ended", ends_at=now, updated_at=now)
            await _store(session, each, after, "subscription.cancelled", actor=actor, now=now)


async def _end(session: Session, one: Subscription, end: datetime, *, actor: str, now: datetime) -> Subscription:
    after = replace(one, state="ended" if end <= now else one.state, ends_at=end, updated_at=now)
    name = "subscription.ended" if after.state == "ended" else "subscription.cancelled"
    return await _store(session, one, after, name, actor=actor, now=now)


async def _begin(session: Session, one: Subscription, name: str, *, actor: str, now: datetime) -> Subscription:
    await insert_subscription(session, one)
    await record(session, name, actor=actor, subject=one.id, now=now, detail=changes(None, one))
    await tell(session, one, now=now)
    return one


async def _store(
    session: Session, before: Subscription, after: Subscription, name: str, *, actor: str, now: datetime
) -> Subscription:
    await update_subscription(session, after)
    await record(session, name, actor=actor, subject=after.id, now=now, detail=changes(before, after))
    await tell(session, after, now=now)
    return after


def _at_once(held: Plan | None, wanted: Plan, at: When | None) -> bool:
    if at is not None or held is None:
        return at != "period_end"
    return amount_of(wanted.price.recurring) >= amount_of(held.price.recurring)


def _clock(plan: Plan) -> tuple[Literal["month", "quarter", "year"], str]:
    return plan.price.period, plan.price.time_zone


def _said(reason: str) -> str:
    """One line, bounded, without control characters."""
    return " ".join("".join(one if one.isprintable() else " " for one in reason).split())[:LONGEST_REASON]
