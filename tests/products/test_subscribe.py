"""Subscriptions from asking to their end, and what gateways hear of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kronborg.clients.model import ClientDraft
from kronborg.clients.register import save_client
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound
from kronborg.products import entitlements, turn
from kronborg.products.entitlements_store import drop_entries
from kronborg.products.model import Operation, Plan, PlanKey, Product, Subscription
from kronborg.products.price_model import RatePlan
from kronborg.products.publish import delete_product, put_product
from kronborg.products.store import find_version, list_versions
from kronborg.products.subscribe import (
    approve,
    cancel,
    change_plan,
    reject,
    resume,
    set_standing,
    subscribe,
    suspend,
)
from kronborg.products.subscriptions_store import find_subscription

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
FREE, GOLD = Plan(), Plan(price=RatePlan(recurring="29"))
PRODUCT = Product(
    "orders",
    operations=(Operation("orders"), Operation("orders-try", environment="sandbox")),
    plans=(("free", FREE), ("gold", GOLD), ("asked", Plan(approval="manual"))),
)


@pytest.fixture
async def sold(database: Database) -> Database:
    """A database with a product and an app."""
    async with database.write() as session:
        await put_product(session, PRODUCT, actor="test", now=NOW)
        draft = ClientDraft(
            id="app", name="App", kind="public", auth_method="none", redirect_uris=("https://a.example/",)
        )
        await save_client(session, draft, actor="test", now=NOW)
    return database


async def buy(database: Database, plan: str, *, environment: str = "production") -> Subscription:
    async with database.write() as session:
        return await subscribe(
            session,
            client_id="app",
            product="orders",
            plan=plan,
            environment=environment,
            team_id=None,
            actor="dev",
            now=NOW,
        )


async def told(database: Database, after: int = 0) -> list[tuple[str, str, str]]:
    page = await entitlements.read(database.lookup, after=after, now=NOW)
    return [(one.subscription, one.key, one.standing) for one in page.entries]


async def test_a_free_plan_begins_at_once_and_gateways_hear_of_it(sold: Database) -> None:
    one = await buy(sold, "free")

    assert (one.state, one.key, one.starts_at) == ("active", PlanKey("orders", "free", 1), NOW)
    assert await told(sold) == [(one.id, "orders/free@1", "good")]


async def test_what_needs_approval_waits_and_is_told_when_it_begins(sold: Database) -> None:
    one = await buy(sold, "asked")
    async with sold.write() as session:
        after = await approve(session, one.id, actor="op", now=NOW)

    assert (one.state, after.state) == ("pending", "active")
    assert await told(sold) == [("", "", "good"), (one.id, "orders/asked@1", "good")]


async def test_what_was_refused_can_be_asked_for_again(sold: Database) -> None:
    one = await buy(sold, "asked")
    async with sold.write() as session:
        after = await reject(session, one.id, reason="no\nthanks", actor="op", now=NOW)

    again = await buy(sold, "free")

    assert (after.state, after.reason, again.state) == ("rejected", "no thanks", "active")


async def test_one_app_has_one_subscription_of_a_product_in_each_environment(sold: Database) -> None:
    await buy(sold, "free")
    await buy(sold, "free", environment="sandbox")

    with pytest.raises(Conflict):
        await buy(sold, "gold")
    with pytest.raises(Invalid):
        await buy(sold, "free", environment="moon")
    with pytest.raises(NotFound):
        await buy(sold, "silver")


async def test_an_upgrade_is_at_once_and_a_downgrade_at_the_end_of_the_period(sold: Database) -> None:
    first = await buy(sold, "free")
    async with sold.write() as session:
        gold = await change_plan(session, first.id, "gold", actor="dev", now=NOW)
        free = await change_plan(session, gold.id, "free", actor="dev", now=NOW + timedelta(days=1))
    async with sold.read() as session:
        before = await find_subscription(session, first.id)
        until = await find_subscription(session, gold.id)

    assert (gold.state, gold.starts_at, gold.follows) == ("active", NOW, first.id)
    assert before is not None
    assert (before.state, before.ends_at) == ("ended", NOW)
    assert until is not None
    assert (until.state, until.ends_at) == ("active", DECEMBER)
    assert (free.state, free.starts_at) == ("scheduled", DECEMBER)
    assert (await told(sold))[-1] == (gold.id, "orders/gold@1", "good")


async def test_what_is_due_begins_and_ends(sold: Database) -> None:
    gold = await buy(sold, "gold")
    async with sold.write() as session:
        free = await change_plan(session, gold.id, "free", actor="dev", now=NOW)

    early = await turn.turn(sold, now=DECEMBER - timedelta(seconds=1))
    due = await turn.turn(sold, now=DECEMBER)

    assert (early, due) == (0, 2)
    assert (await told(sold))[-1] == (free.id, "orders/free@1", "good")


async def test_a_changed_mind_takes_the_place_of_what_was_scheduled(sold: Database) -> None:
    gold = await buy(sold, "gold")
    async with sold.write() as session:
        first = await change_plan(session, gold.id, "free", actor="dev", now=NOW)
        await cancel(session, gold.id, actor="dev", now=NOW)
    await turn.turn(sold, now=DECEMBER)
    async with sold.read() as session:
        dropped = await find_subscription(session, first.id)

    assert dropped is not None
    assert dropped.state == "ended"
    assert (await told(sold))[-1] == ("", "", "good")


async def test_suspension_and_standing_are_told(sold: Database) -> None:
    one = await buy(sold, "free")
    async with sold.write() as session:
        await suspend(session, one.id, reason="abuse", actor="op", now=NOW)
        await resume(session, one.id, actor="op", now=NOW)
        first = await set_standing(session, one.id, "exhausted", now=NOW)
        second = await set_standing(session, one.id, "exhausted", now=NOW)

    assert (first, second) == (True, False)
    assert [standing for _, _, standing in await told(sold)] == ["good", "good", "good", "exhausted"]
    assert [bool(subscription) for subscription, _, _ in await told(sold)] == [True, False, True, True]


async def test_who_was_away_too_long_hears_everything_that_is_in_force(sold: Database) -> None:
    one = await buy(sold, "free")
    other = await buy(sold, "gold", environment="sandbox")
    await sold.writer.run(lambda execute: drop_entries(execute, before=NOW + timedelta(seconds=1)))

    page = await entitlements.read(sold.lookup, after=1, now=NOW)

    assert page.reset
    assert {entry.subscription for entry in page.entries} == {one.id, other.id}
    assert (await entitlements.read(sold.lookup, after=page.last, now=NOW)).entries == ()


async def test_a_new_price_is_a_new_version_and_who_has_the_old_one_keeps_it(sold: Database) -> None:
    one = await buy(sold, "gold")
    dearer = replace(GOLD, title="Gold", price=RatePlan(recurring="39"))
    async with sold.write() as session:
        named = replace(GOLD, title="Golden")
        await put_product(session, replace(PRODUCT, plans=(("gold", named),)), actor="op", now=NOW)
        await put_product(session, replace(PRODUCT, plans=(("gold", dearer),)), actor="op", now=NOW)
    async with sold.read() as session:
        versions = [key.version for key, _, _ in await list_versions(session, "orders", "gold")]
        held = await find_version(session, one.key)

    assert versions == [2, 1]
    assert held == GOLD
    with pytest.raises(Conflict):
        async with sold.write() as session:
            await delete_product(session, "orders", actor="op", now=NOW)


async def test_problems_of_a_product_are_told_together(database: Database) -> None:
    product = Product(
        "Orders!", operations=(Operation("", weight=-1),), sunset="soon", plans=(("gold", Plan(price=RatePlan("X"))),)
    )

    with pytest.raises(Invalid) as refused:
        async with database.write() as session:
            await put_product(session, product, actor="op", now=NOW)

    places = {problem.where for problem in refused.value.problems}
    assert places == {"name", "operations.0.weight", "operations.0.route", "sunset", "plans.gold.price.currency"}
