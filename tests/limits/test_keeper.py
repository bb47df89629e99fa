"""Counters survive the control process, a reset reaches them, and Valkey may die."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kronborg.core.db import Database
from kronborg.limits.authority import Malformed, parse
from kronborg.limits.counters_model import Away
from kronborg.limits.keeper import Keeper
from kronborg.limits.model import Quota
from kronborg.limits.policy import QuotaPolicy, WhenAway
from kronborg.limits.store import ask_reset, most_used
from limits.conftest import Server

NOON = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
QUOTAS = {"hourly": Quota("hourly", 10, unit="hour"), "own": Quota("own", 10, unit="hour", scope="node")}

pytestmark = pytest.mark.anyio


async def quotas(_: str) -> Mapping[str, Quota]:
    return QUOTAS


def call(*, who: str = "shop", quota: str = "hourly", spent: int = 0, wanted: int = 0) -> bytes:
    return f"{quota}\n{who}\n{spent}\n{wanted}\n{min(wanted, 1)}\n".encode()


async def used(keeper: Keeper, body: bytes) -> int:
    return int((await keeper.authority.settle(body, now=NOON)).split()[1])


async def test_counters_of_a_process_survive_it(database: Database) -> None:
    before = Keeper(database, QuotaPolicy(), quotas, node="gateway-1")
    await before.start(now=NOON)
    await used(before, call(spent=7))
    await before.turn(now=NOON)

    after = Keeper(database, QuotaPolicy(), quotas, node="gateway-1")
    await after.start(now=NOON)
    stranger = Keeper(database, QuotaPolicy(), quotas, node="gateway-2")
    await stranger.start(now=NOON)

    assert (await used(after, call()), await used(stranger, call())) == (7, 0)


async def test_two_control_processes_share_counters_in_the_database_but_those_of_a_node(database: Database) -> None:
    first = Keeper(database, QuotaPolicy(counters="database"), quotas, node="gateway-1")
    second = Keeper(database, QuotaPolicy(counters="database"), quotas, node="gateway-2")

    for keeper in (first, second):
        await used(keeper, call(spent=3))
        await used(keeper, call(spent=3, quota="own"))

    assert await used(first, call()) == 6
    assert await used(first, call(quota="own")) == 3


async def test_a_reset_reaches_the_counters_within_a_turn(database: Database) -> None:
    keeper = Keeper(database, QuotaPolicy(), quotas, node="gateway-1")
    await keeper.start(now=NOON)
    await used(keeper, call(spent=10))
    await keeper.turn(now=NOON)
    async with database.read() as session:
        near = await most_used(session, now=NOON)

    async with database.write() as session:
        await ask_reset(session, near[0].quota, near[0].identity, now=NOON)
    await keeper.turn(now=NOON)

    assert (near[0].used, near[0].count, near[0].identity) == (10, 10, "gateway-1\tshop")
    assert await used(keeper, call()) == 0


@pytest.mark.parametrize("when_away", ["process", "closed"])
async def test_a_killed_valkey_is_met_as_the_policy_says(
    tmp_path: Path, database: Database, when_away: WhenAway
) -> None:
    server = Server(tmp_path)
    policy = QuotaPolicy(counters="valkey", valkey=server.url, when_away=when_away)
    keeper = Keeper(database, policy, quotas, node="gateway-1")
    assert await used(keeper, call(spent=3)) == 3

    server.kill()
    try:
        if when_away == "closed":
            with pytest.raises(Away):
                await used(keeper, call(spent=1))
        else:
            assert await used(keeper, call(spent=1)) == 1
        server.start()
        again = await used(keeper, call(spent=1))
    finally:
        server.kill()
        assert keeper._valkey is not None
        await keeper._valkey.close()

    assert again == 1  # this Valkey stores nothing; one that does counts on where it was


@pytest.mark.parametrize(
    "body",
    [
        b"hourly\nshop\n1\n0\n",
        b"hourly\nshop\n1\n0\n0",
        b"hourly\nshop\nx\n0\n0\n",
        b"hourly\nshop\n1\n-1\n0\n",
        b"hourly\nshop\n99999999999999\n0\n0\n",
        b"hourly\nshop\n1\n0\n0\n" * 513,
    ],
)
async def test_a_call_that_is_none_of_ours_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body)


async def test_a_quota_that_is_no_more_does_not_keep_the_others_from_being_told(database: Database) -> None:
    keeper = Keeper(database, QuotaPolicy(), quotas, node="gateway-1")

    answer = await keeper.authority.settle(call(quota="gone", wanted=5) + call(spent=2), now=NOON)

    assert [line.split()[:2] for line in answer.decode().splitlines()] == [["0", "0"], ["0", "2"]]


def test_bytes_that_are_no_text_stay_apart() -> None:
    odd, spelled = parse(b"q\na\xff\n1\n0\n0\nq\na%FF\n1\n0\n0\n")

    assert odd.identity == "a%FF"  # the proxy writes a percent sign as %25, so nobody else is called that
    assert spelled.identity == "a%FF"
