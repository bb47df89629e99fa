"""What goes wrong around a gateway, and that callers who may pass go on passing, and nobody else."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from e2e.chaos_house import LIBRARIES, READ, ChaosHouse, house, loaded
from gateway.live import Live, running, wait_until
from kronborg.gateway import deliver
from kronborg.gateway.envoy import admin
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route
from limits.conftest import Server

UPDATES = 200


@pytest.fixture(scope="module")
def valkey() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="kronborg-valkey-") as folder:
        server = Server(Path(folder))
        yield server
        server.kill()


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory, valkey: Server) -> Iterator[ChaosHouse]:
    with house(tmp_path_factory.mktemp("chaos"), valkey) as made:
        yield made


def spare(name: str) -> Route:
    return replace(READ, name=name, path=RoutePath("exact", f"/{name}"), audience=None, scopes=(), public=True)


def test_the_control_process_dies_and_comes_back_and_no_request_fails(chaos: ChaosHouse) -> None:
    with chaos.load("/read", chaos.token()) as seen:
        chaos.kill_control()
        chaos.publish(spare("while-away"))
        seen.more(50)
        chaos.start_control()
        wait_until(lambda: chaos.get("/while-away").status == 200, seconds=20)

    assert seen.bad == []


def test_the_keeper_of_counters_dies_and_comes_back_and_no_request_fails(chaos: ChaosHouse, valkey: Server) -> None:
    with chaos.load("/counted", chaos.token()) as seen:
        valkey.kill()
        seen.more(200)
        valkey.start()

    assert seen.bad == []


def test_a_full_disk_keeps_the_last_version_serving_until_there_is_room(chaos: ChaosHouse) -> None:
    with chaos.load("/read", chaos.token()) as seen:
        with chaos.without_disk():
            chaos.publish(spare("no-room"))
            seen.more(300)
            assert chaos.get("/no-room").status == 404
        wait_until(lambda: chaos.get("/no-room").status == 200, seconds=30)

    assert seen.bad == []


@pytest.mark.skipif(not LIBRARIES, reason="faketime is not installed")
def test_the_clock_of_the_control_process_jumps_and_revoked_tokens_stay_refused(chaos: ChaosHouse) -> None:
    chaos.kill_control()
    chaos.start_control(shifted=True)
    try:
        token = chaos.token()
        with chaos.load("/read", token) as seen:
            for by in (timedelta(hours=2), timedelta(hours=-2)):
                chaos.shift(by)
                seen.more(200)
        chaos.shift(timedelta())

        chaos.revoke()
        wait_until(lambda: chaos.get("/read", token).status == 401)
    finally:
        chaos.kill_control()
        chaos.start_control()

    assert seen.bad == []


def test_two_hundred_updates_under_load_fail_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        """What Envoy would say beforehand is not asked: each of these is much like the one before."""

    monkeypatch.setattr(deliver, "objection", nothing)
    with running(tmp_path, workers=2) as live:
        live.publish(READ)
        before = taken(live)
        token = live.token()
        with loaded(lambda: live.get("/read", token=token).status) as seen:
            for number in range(UPDATES):
                live.publish(READ, spare(f"spare-{number % 7}"), replace(spare("other"), max_body=number + 1))

        updates = taken(live) - before

    assert updates >= UPDATES
    assert seen.bad == []


def taken(live: Live) -> int:
    """How many tables of routes the proxy took."""
    told = asyncio.run(admin._get(live.proxy.admin, "/stats?filter=rds.*update_success$"))
    return sum(int(line.rpartition(b": ")[2]) for line in told.splitlines())
