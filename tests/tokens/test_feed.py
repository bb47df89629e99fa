"""The feed of revocations: in order, without gaps, once each, whoever writes and however often a reader begins anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.group_writer import Execute
from kronborg.tokens import ending, feed, store
from kronborg.tokens.engine import Engine, open_engine
from kronborg.tokens.feed import Notice, Page, tell
from kronborg.tokens.feed_store import Revocation, read_head
from kronborg.tokens.model import Grant
from kronborg.tokens.purge import purge
from kronborg.tokens.revoke import revoke_client, revoke_grant, revoke_grants, revoke_offline

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(database: Database, vault: Vault, now: datetime) -> Engine:
    return await open_engine(database, vault, issuer="http://localhost:8081", session_idle=timedelta(hours=1), now=now)


async def give(
    engine: Engine,
    grant_id: str,
    now: datetime,
    *,
    scopes: tuple[str, ...] = ("openid",),
    client: str = "client",
    session: str = "session",
) -> None:
    until = now + timedelta(days=1)
    grant = Grant(grant_id, client, "user", session, scopes, (), now, ("pwd",), now, until, None)
    await engine.database.writer.run(lambda execute: store.add_grant(execute, grant))


async def told(engine: Engine) -> list[tuple[str, str]]:
    page = await feed.read(engine.database.lookup, after=0)
    return [(entry.kind, entry.subject) for entry in page.entries]


async def follow(database: Database, *, until: int, seen: list[int]) -> None:
    """Read on from where `seen` ends until that many entries are there."""
    while len(seen) < until:
        after = seen[-1] if seen else 0
        await feed.wait(database.lookup, after=after, seconds=5)
        page = await feed.read(database.lookup, after=after, limit=7)
        assert not page.reset
        seen += [entry.seq for entry in page.entries]


def notice(subject: str, now: datetime) -> Callable[[Execute], None]:
    return lambda execute: tell(execute, (Notice("token", subject),), now=now)


async def test_readers_see_every_entry_once_and_in_order_while_several_processes_write(
    database_url: str, now: datetime
) -> None:
    writers = [await Database.open(database_url) for _ in range(3)]
    reader = await Database.open(database_url)
    seen: list[int] = []
    other: list[int] = []

    async def write(database: Database, name: str) -> None:
        for number in range(40):
            await database.writer.run(notice(f"{name}-{number}", now))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(reader, until=120, seen=seen))
        tasks.create_task(follow(writers[0], until=120, seen=other))
        for name, database in zip("abc", writers, strict=True):
            tasks.create_task(write(database, name))

    assert seen == other == list(range(1, 121))
    subjects = [entry.subject for entry in (await feed.read(reader.lookup, after=0)).entries]
    for name in "abc":
        assert [one for one in subjects if one.startswith(name)] == [f"{name}-{number}" for number in range(40)]
    for database in (*writers, reader):
        await database.close()


async def test_a_unit_that_fails_leaves_no_gap(database: Database, now: datetime) -> None:
    def bug(execute: Execute) -> None:
        tell(execute, (Notice("token", "lost"),), now=now)
        raise RuntimeError("bug")

    outcomes = await asyncio.gather(
        database.writer.run(notice("first", now)),
        database.writer.run(bug),
        database.writer.run(notice("second", now)),
        return_exceptions=True,
    )

    page = await feed.read(database.lookup, after=0)
    assert isinstance(outcomes[1], RuntimeError)
    assert sorted((entry.seq, entry.subject) for entry in page.entries) in (
        [(1, "first"), (2, "second")],
        [(1, "second"), (2, "first")],
    )


async def test_a_reader_goes_on_where_it_was_after_everything_was_started_anew(
    database_url: str, now: datetime
) -> None:
    before = await Database.open(database_url)
    await before.writer.run(notice("one", now))
    await before.writer.run(notice("two", now))
    first = await feed.read(before.lookup, after=0, limit=1)
    await before.close()

    after = await Database.open(database_url)
    await after.writer.run(notice("three", now))
    rest = await feed.read(after.lookup, after=first.last)

    assert [entry.subject for entry in first.entries] == ["one"]
    assert (first.last, first.more) == (1, True)
    assert [(entry.seq, entry.subject) for entry in rest.entries] == [(2, "two"), (3, "three")]
    assert (rest.last, rest.more, rest.reset) == (3, False, False)
    await after.close()


async def test_what_concerns_no_living_token_is_purged_from_the_bottom(engine: Engine, now: datetime) -> None:
    minute = timedelta(minutes=1)
    lookup = engine.database.lookup
    for subject, until in (("a", now + minute), ("b", now + 2 * minute), ("c", now + 9 * minute), ("d", now + minute)):
        one = Notice("token", subject, until=until)
        await engine.database.writer.run(partial(tell, notices=(one,), now=now))

    await purge(engine, now=now + 5 * minute)

    assert await read_head(lookup) == (4, 2)
    current = await feed.read(lookup, after=2)
    assert [entry.subject for entry in current.entries] == ["c", "d"]
    assert not current.reset


@pytest.mark.parametrize("after", [0, 1, 7])
async def test_a_reader_that_is_too_far_behind_or_ahead_is_told_to_begin_anew(
    engine: Engine, now: datetime, after: int
) -> None:
    for number in range(4):
        one = Notice("token", str(number), until=now + timedelta(minutes=1 + 10 * (number > 1)))
        await engine.database.writer.run(partial(tell, notices=(one,), now=now))
    await purge(engine, now=now + timedelta(minutes=5))

    page = await feed.read(engine.database.lookup, after=after, limit=1)

    entry = Revocation(3, "token", "2", None, now + timedelta(minutes=11), now)
    assert page == Page((entry,), last=3, reset=True, more=True)


async def test_a_revoked_grant_is_told_once(engine: Engine, now: datetime) -> None:
    await give(engine, "g1", now)

    for _ in range(2):
        await revoke_grant(engine, "g1", actor="test", reason="test", now=now)

    assert await told(engine) == [("grant", "g1")]


async def test_revocations_that_overlap_do_not_get_in_each_others_way(
    engine: Engine, database_url: str, vault: Vault, now: datetime
) -> None:
    other_database = await Database.open(database_url)
    other = await open_engine(
        other_database, vault, issuer="http://localhost:8081", session_idle=timedelta(hours=1), now=now
    )
    for number in range(40):
        await give(engine, f"g{number}", now, client=f"c{number % 4}", session=f"s{number % 5}")
    told: dict[str, str] = {"actor": "test", "reason": "test"}

    async with asyncio.TaskGroup() as tasks:
        for at, each in enumerate((engine, other) * 4):
            tasks.create_task(revoke_grants(each, user_id="user", now=now, **told))  # type: ignore[arg-type]
            tasks.create_task(revoke_client(each, f"c{at % 4}", actor="test", now=now))
            tasks.create_task(revoke_grants(each, session_id=f"s{at % 5}", now=now, **told))  # type: ignore[arg-type]
            tasks.create_task(revoke_grant(each, f"g{at}", now=now, **told))

    page = await feed.read(engine.database.lookup, after=0)
    assert [entry.seq for entry in page.entries] == list(range(1, len(page.entries) + 1))
    await other_database.close()


async def test_a_session_is_told_as_one_when_nothing_of_it_is_left(engine: Engine, now: datetime) -> None:
    await give(engine, "g1", now)
    await give(engine, "g2", now)

    await revoke_grants(engine, session_id="session", actor="test", reason="test", now=now)

    assert await told(engine) == [("session", "session")]


@pytest.mark.spec("OIDC Core §11")
async def test_of_a_session_with_offline_access_the_grants_are_told(engine: Engine, now: datetime) -> None:
    # Tokens of the grant that stands carry the same sid.
    await give(engine, "g1", now)
    await give(engine, "g2", now, scopes=("openid", "offline_access"))

    await revoke_grants(engine, session_id="session", actor="test", reason="test", now=now)
    at_first = await told(engine)
    await revoke_grants(engine, session_id="session", actor="test", reason="test", now=now, offline=True)

    assert at_first == [("grant", "g1")]
    assert await told(engine) == [("grant", "g1"), ("session", "session")]


@pytest.mark.parametrize("kind", ["user", "client"])
async def test_users_and_clients_are_told_with_the_second_from_which_tokens_are_good_again(
    engine: Engine, now: datetime, kind: str
) -> None:
    moment = now + timedelta(milliseconds=300)
    revoke: dict[str, Callable[[], Awaitable[int]]] = {
        "user": lambda: revoke_grants(engine, user_id="user", actor="test", reason="test", now=moment),
        "client": lambda: revoke_client(engine, "client", actor="test", now=moment),
    }

    await revoke[kind]()

    [entry] = (await feed.read(engine.database.lookup, after=0)).entries
    assert (entry.kind, entry.subject, entry.not_before) == (kind, kind, now + timedelta(seconds=1))
    assert entry.until == moment + timedelta(hours=24)


async def test_what_a_process_issued_that_had_not_heard_of_a_disabled_client_is_not_believed(
    engine: Engine, now: datetime
) -> None:
    margin = timedelta(milliseconds=500)

    await engine.database.writer.run(
        lambda execute: ending.end_client(execute, "client", actor="test", reason="test", now=now, margin=margin)
    )

    standing = await store.find_standing(engine.database.lookup, jti="j", client_id="client", grant_id=None)
    assert standing.not_before == now + margin


async def test_a_new_password_ends_offline_access_given_before_it(engine: Engine, now: datetime) -> None:
    later = now + timedelta(seconds=5)
    offline = ("openid", "offline_access")
    await give(engine, "old", now, scopes=offline)
    await give(engine, "session-bound", now)
    await give(engine, "new", later, scopes=offline)

    ended = await revoke_offline(engine, "user", given_before=later, actor="test", reason="password.set", now=later)

    assert ended == 1
    assert await told(engine) == [("client", "pat:user"), ("grant", "old")]


async def test_a_key_that_is_not_believed_any_more_is_told(engine: Engine, now: datetime) -> None:
    kid = (await engine.keys.current(now=now)).active.kid

    await engine.keys.rotate(now=now, compromised=True)

    assert ("key", kid) in await told(engine)


async def test_waiting_ends_with_the_next_entry(engine: Engine, now: datetime) -> None:
    waiting = asyncio.ensure_future(feed.wait(engine.database.lookup, after=0, seconds=30))

    await engine.database.writer.run(notice("one", now))

    await asyncio.wait_for(waiting, timeout=5)
