"""News goes up: what other slices do when a user, a session or a client ends."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from kronborg.audit.outbox import ATTEMPTS, LONGEST_WAIT
from kronborg.audit.verify import verify
from kronborg.clients.directory import FRESH
from kronborg.core import events
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import Event
from kronborg.duties import JOBS, Job
from kronborg.tokens import store
from kronborg.tokens.engine import Engine, open_engine
from kronborg.tokens.model import Grant
from kronborg.worker import Outbox, repeat, sign_off

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(database: Database, vault: Vault, now: datetime) -> Engine:
    opened = await open_engine(
        database, vault, issuer="http://localhost:8081", session_idle=timedelta(hours=1), now=now
    )
    outbox = Outbox(opened)
    while await outbox.turn(now=now):
        pass
    return opened


async def give(engine: Engine, grant_id: str, now: datetime, *, scopes: tuple[str, ...] = ("openid",)) -> None:
    grant = Grant(grant_id, "client", "user", "session", scopes, (), now, ("pwd",), now, now + timedelta(days=1), None)
    await engine.database.writer.run(lambda execute: store.add_grant(execute, grant))


async def tell(engine: Engine, name: str, subject: str, now: datetime, **detail: str) -> None:
    async with engine.database.write() as session:
        await events.record(session, name, actor="test", subject=subject, now=now, detail=detail)


async def revoked(engine: Engine, grant_id: str) -> bool:
    grant = await store.find_grant(engine.database.lookup, grant_id)
    assert grant is not None
    return grant.revoked_at is not None


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("user.disabled", "user"),
        ("user.deleted", "user"),
        ("client.disabled", "client"),
        ("client.removed", "client"),
        ("session.ended", "user"),
    ],
)
async def test_grants_end_with_what_they_hang_on(engine: Engine, now: datetime, name: str, subject: str) -> None:
    await give(engine, "g1", now)
    await tell(engine, name, subject, now, sid="session")

    settled = await Outbox(engine).turn(now=now)

    assert settled
    assert await revoked(engine, "g1")


@pytest.mark.spec("OIDC Core §11")
async def test_offline_access_outlives_the_session(engine: Engine, now: datetime) -> None:
    await give(engine, "g1", now, scopes=("openid", "offline_access"))
    await tell(engine, "session.ended", "user", now, sid="session")

    await Outbox(engine).turn(now=now)

    assert not await revoked(engine, "g1")


async def test_a_new_password_ends_offline_access_given_before_it(engine: Engine, now: datetime) -> None:
    await give(engine, "offline", now - timedelta(minutes=1), scopes=("openid", "offline_access"))
    await give(engine, "session-bound", now - timedelta(minutes=1))
    await give(engine, "later", now + timedelta(seconds=1), scopes=("openid", "offline_access"))
    await tell(engine, "password.set", "user", now)

    await Outbox(engine).turn(now=now + timedelta(seconds=2))

    assert [await revoked(engine, one) for one in ("offline", "session-bound", "later")] == [True, False, False]


async def test_what_is_issued_to_a_client_before_all_have_heard_that_it_is_disabled_is_not_believed(
    engine: Engine, now: datetime
) -> None:
    await tell(engine, "client.disabled", "client", now)

    await Outbox(engine).turn(now=now)

    standing = await store.find_standing(engine.database.lookup, jti="j", client_id="client", grant_id=None)
    assert standing.not_before == now + FRESH


async def test_a_job_that_takes_long_ends_with_the_worker(engine: Engine, now: datetime) -> None:
    stop, began = asyncio.Event(), asyncio.Event()

    async def endless(_engine: Engine, _now: datetime) -> None:
        began.set()
        await asyncio.Event().wait()

    running = asyncio.ensure_future(repeat(Job("endless", timedelta(minutes=1), endless), engine, stop))
    await began.wait()
    stop.set()

    await asyncio.wait_for(running, timeout=5)


async def test_a_failing_handler_is_tried_again_and_does_not_stop_the_others(engine: Engine, now: datetime) -> None:
    seen: list[str] = []

    async def fail(_engine: Engine, _event: Event, _now: datetime) -> None:
        raise RuntimeError("bug")

    async def note(_engine: Engine, event: Event, _now: datetime) -> None:
        seen.append(event.name)

    outbox = Outbox(engine, {"bad": (fail,), "good": (note,)})
    await tell(engine, "bad", "s", now)
    await tell(engine, "good", "s", now)

    settled = [await outbox.turn(now=now + number * LONGEST_WAIT) for number in range(ATTEMPTS)]

    assert seen == ["good"]
    assert settled == [1, *[0] * (ATTEMPTS - 2), 1]
    assert await outbox.turn(now=now) == 0


async def test_a_hundred_failing_events_hold_up_nobody(engine: Engine, now: datetime) -> None:
    seen: list[str] = []

    async def fail(_engine: Engine, _event: Event, _now: datetime) -> None:
        raise RuntimeError("bug")

    async def note(_engine: Engine, event: Event, _now: datetime) -> None:
        seen.append(event.subject)

    for number in range(150):
        await tell(engine, "bad", f"b{number}", now)
    await tell(engine, "good", "g", now)
    outbox = Outbox(engine, {"bad": (fail,), "good": (note,)})

    for _ in range(3):
        await outbox.turn(now=now)

    assert seen == ["g"]


async def test_of_two_handlers_only_the_one_that_failed_is_asked_again(engine: Engine, now: datetime) -> None:
    seen: list[str] = []

    async def note(_engine: Engine, _event: Event, _now: datetime) -> None:
        seen.append("note")

    async def fail_once(_engine: Engine, _event: Event, _now: datetime) -> None:
        seen.append("fail")
        if seen.count("fail") == 1:
            raise RuntimeError("bug")

    await tell(engine, "both", "s", now)

    for seconds in (0, 10, 20):
        # Another process each time: what is left to do is known to all.
        await Outbox(engine, {"both": (note, fail_once)}).turn(now=now + timedelta(seconds=seconds))

    assert sorted(seen) == ["fail", "fail", "note"]


async def test_a_failing_handler_is_left_alone_for_a_while(engine: Engine, now: datetime) -> None:
    tried: list[datetime] = []

    async def fail(_engine: Engine, _event: Event, moment: datetime) -> None:
        tried.append(moment)
        raise RuntimeError("bug")

    outbox = Outbox(engine, {"bad": (fail,)})
    await tell(engine, "bad", "s", now)

    for milliseconds in (0, 50, 100, 250, 300):
        await outbox.turn(now=now + timedelta(milliseconds=milliseconds))

    assert [(moment - now) // timedelta(milliseconds=1) for moment in tried] == [0, 250]


async def test_a_job_that_has_more_to_do_goes_on_at_once(engine: Engine) -> None:
    stop = asyncio.Event()
    turns: list[datetime] = []

    async def three(_engine: Engine, now: datetime) -> bool:
        turns.append(now)
        if len(turns) == 3:
            stop.set()
        return len(turns) < 3

    await asyncio.wait_for(repeat(Job("three", timedelta(days=1), three), engine, stop), timeout=5)

    assert len(turns) == 3


async def test_every_job_runs_on_an_empty_store(engine: Engine, now: datetime) -> None:
    for job in JOBS:
        await job.run(engine, now)


async def test_at_the_end_of_a_run_the_log_is_sealed_and_signed(engine: Engine, now: datetime) -> None:
    await tell(engine, "thing.happened", "s", now)

    await sign_off(engine)

    found = await verify(engine.database, engine.vault)
    assert (found.finding, found.checkpoints) == (None, 1)
    row = await engine.database.lookup.first("SELECT count(*) FROM core_unsealed JOIN core_events USING (seq)")
    assert row is not None
    assert row[0] <= 1  # the making of the first key is an event too
