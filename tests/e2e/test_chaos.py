"""What goes wrong around a gateway, and that callers who may pass go on passing, and nobody else."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import valkey

from e2e.chaos_house import LEASED, READ, ChaosHouse, house
from gateway.live import wait_until
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route
from limits.conftest import Server

UPDATES = 200
REJECTED = b'kronborg_gateway_version{proxy="gateway-1",status="rejected"} 0.0'
"""What the control process says while it was refused nothing."""


@pytest.fixture(scope="module")
def keeper() -> Iterator[Server]:
    """The Valkey that keeps the counters of quotas."""
    with tempfile.TemporaryDirectory(prefix="kronborg-valkey-") as folder:
        server = Server(Path(folder))
        yield server
        server.kill()


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory, keeper: Server) -> Iterator[ChaosHouse]:
    with house(tmp_path_factory.mktemp("chaos"), keeper) as made:
        yield made


def spare(name: str) -> Route:
    return replace(READ, name=name, path=RoutePath("exact", f"/{name}"), audience=None, scopes=(), public=True)


def kept(keeper: Server) -> list[str]:
    """The names of the quotas that this Valkey has a counter of."""
    with valkey.Valkey.from_url(keeper.url, decode_responses=True) as client:
        names = [str(key).removeprefix("kronborg:quota:") for key in client.keys("kronborg:quota:*")]
    return sorted(name.split("\n")[0] for name in names)


def test_the_control_process_dies_and_comes_back_and_no_request_fails(chaos: ChaosHouse) -> None:
    with chaos.load("/read", chaos.token()) as seen:
        chaos.kill_control()
        chaos.publish(spare("while-away"))
        seen.more(50)
        chaos.start_control()
        wait_until(lambda: chaos.get("/while-away").status == 200, seconds=20)

    assert seen.bad == []


def test_valkey_dies_and_the_control_process_counts_on_until_it_is_back(chaos: ChaosHouse, keeper: Server) -> None:
    token = chaos.token()

    def ask(times: int) -> set[int]:
        return {chaos.get("/process", token).status for _ in range(times)}

    with chaos.load("/counted", token) as seen:
        # Three quarters of the quota with it and as much without it: only somebody else can have granted the rest.
        there = ask(LEASED * 3 // 4)
        wait_until(lambda: {"counted", "process"} <= set(kept(keeper)))
        keeper.kill()
        away = ask(LEASED * 3 // 4)
        keeper.start()
        # What is asked now is counted in the new, empty one, and held to the same quota.
        wait_until(lambda: bool(ask(1)) and {"counted", "process"} <= set(kept(keeper)))
        back = ask(LEASED * 2)

    assert (there, away, back) == ({200}, {200}, {200, 429})
    assert seen.bad == []


def test_valkey_dies_and_nothing_is_leased_where_that_is_wanted_until_it_is_back(
    chaos: ChaosHouse, keeper: Server
) -> None:
    token = chaos.token()
    chaos.restart_control(when_away="closed")
    try:
        with chaos.load("/counted", token) as seen:
            wait_until(lambda: chaos.get("/closed", token).status == 200)
            keeper.kill()
            away = [chaos.get("/closed", token) for _ in range(LEASED // 2)]
            keeper.start()
            wait_until(lambda: chaos.get("/closed", token).status == 200)
    finally:
        chaos.restart_control(when_away="process")

    # What was leased before is spent, by each worker of the gateway.
    assert {answer.status for answer in away} == {200, 503}
    assert {answer.json()["reason"] for answer in away if answer.status == 503} == {"quota_unknown"}
    assert seen.bad == []


def test_a_full_disk_keeps_the_last_version_serving_until_there_is_room(chaos: ChaosHouse) -> None:
    with chaos.load("/read", chaos.token()) as seen:
        with chaos.without_disk():
            chaos.publish(spare("no-room"))
            wait_until(lambda: REJECTED not in chaos.ask_control("/metrics"))
            seen.more(300)
            assert chaos.get("/no-room").status == 404
        wait_until(lambda: chaos.get("/no-room").status == 200, seconds=30)

    assert seen.bad == []


def test_the_clock_jumps_and_no_token_passes_after_its_time_and_none_is_lost(chaos: ChaosHouse) -> None:
    token = chaos.token()

    with chaos.load("/read", token) as seen:
        for by in (timedelta(minutes=30), timedelta(hours=-2), timedelta()):
            chaos.clock.shift(by)
            seen.more(200)
    chaos.clock.shift(timedelta(hours=2))
    late = chaos.get("/read", token).status
    chaos.clock.shift()
    again = chaos.get("/read", token).status

    assert seen.bad == []
    assert (late, again) == (401, 200)


@pytest.mark.parametrize("by", [timedelta(minutes=50), timedelta(minutes=90), timedelta(hours=-2)])
def test_what_is_revoked_while_the_clock_is_wrong_stays_refused_when_it_is_right(
    chaos: ChaosHouse, by: timedelta
) -> None:
    token = chaos.token()
    before = chaos.revoked()
    chaos.clock.shift(by)
    try:
        chaos.revoke()
        wait_until(lambda: chaos.revoked() != before)
    finally:
        chaos.clock.shift()
    wait_until(lambda: chaos.get("/read", token).status == 401, seconds=1)

    refused = {chaos.get("/read", token).status for _ in range(50)}

    assert refused == {401}
    # Whoever is issued a token in a later second may pass again.
    wait_until(lambda: chaos.get("/read", chaos.token()).status == 200)


def test_two_hundred_versions_under_load_fail_no_request(chaos: ChaosHouse) -> None:
    """Each is validated, stored, tried by an Envoy of its own (85 ms) and brought to the one that serves."""
    slow = SpikeArrest("1000ps", burst=1000, per="address")
    chaos.kill_control()
    try:
        with chaos.load("/read", chaos.token()) as seen:
            said = chaos.deliver(
                # Every twentieth takes a filter in or out of the listener too.
                replace(
                    spare(f"spare-{n % 7}"),
                    max_body=n + 1,
                    spike_arrest=slow if n % 40 == 20 else None,
                )
                for n in range(UPDATES)
            )
    finally:
        chaos.start_control()

    assert said == ["acked"] * UPDATES
    assert seen.bad == []
