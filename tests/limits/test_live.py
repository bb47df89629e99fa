"""Live limits for operators: in the admin API and in the console."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.errors import NotFound
from kronborg.core.events import latest
from kronborg.limits.counters_model import Kept
from kronborg.limits.live import live, reset
from kronborg.limits.store import resets_after, save

pytestmark = pytest.mark.anyio


async def filled(database: Database) -> None:
    now = clock.now()
    used = {"shop": 100, "gateway-1\tother": 85, "quiet": 5, "over": 120}
    async with database.write() as session:
        await save(session, [Kept("daily", who, now, now + timedelta(hours=1), n, 100) for who, n in used.items()])
        past = Kept("daily", "gone", now - timedelta(days=2), now - timedelta(days=1), 100, 100)
        await save(session, [past])


async def test_who_is_nearest_to_the_end_comes_first(database: Database) -> None:
    await filled(database)

    found = await live(database, now=clock.now())
    some = await live(database, now=clock.now(), who="oth")

    assert [(one.who, one.node, one.state, one.percent) for one in found] == [
        ("over", "", "over", 100),
        ("shop", "", "over", 100),
        ("other", "gateway-1", "near", 85),
        ("quiet", "", "fine", 5),
    ]
    assert [one.who for one in some] == ["other"]


async def test_a_reset_is_an_event_and_control_processes_hear_of_it(database: Database) -> None:
    await filled(database)

    async with database.write() as session:
        await reset(session, "daily", "shop", actor="anna", now=clock.now())
    with pytest.raises(NotFound):
        async with database.write() as session:
            await reset(session, "daily", "nobody", actor="anna", now=clock.now())

    async with database.read() as session:
        heard, events = await resets_after(session, 0), await latest(session)
    assert [(quota, who) for _, quota, who in heard] == [("daily", "shop")]
    assert [(event.name, event.actor, event.detail["identity"]) for event in events] == [
        ("quota.reset", "anna", "shop")
    ]
    assert "shop" not in [one.who for one in await live(database, now=clock.now())]
