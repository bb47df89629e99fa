"""Announced endpoints reach a live gateway without a new version, and leave it when their lease ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.breaker_stage import Stage, staged
from gateway.live import Live, wait_until
from kronborg.core import clock
from kronborg.gateway.model import Service
from kronborg.gateway.registration import Announcements
from kronborg.gateway.registration_model import Announced, allows, numeric
from kronborg.gateway.resilience_model import Fallback, Registration

REGISTRATION = Registration(("orders",), ("127.0.0.0/8",))


@pytest.fixture
def stage(gateway: Live) -> Iterator[Stage]:
    with staged(gateway) as one:
        yield one


def at(port: int, until: datetime) -> Announced:
    return Announced("orders", str(port), "127.0.0.1", port, 1, "orders", clock.now(), until)


def test_replicas_come_and_go_without_a_new_version(stage: Stage) -> None:
    here: list[Announced] = []
    moment = clock.now()

    async def living(now: datetime) -> Mapping[str, Sequence[Announced]]:
        return {"orders": [one for one in here if one.expires_at > now]}

    def turn() -> None:
        asyncio.run(Announcements(stage.live.proxy, lambda: stage.snapshot, living, lambda: moment).turn())

    stage.publish(Service("orders", (), registration=REGISTRATION))
    version = stage.live.version
    nobody = stage.statuses(1)
    here.append(at(stage.first.port, moment + timedelta(seconds=30)))
    turn()
    wait_until(lambda: stage.statuses(1) == [200])
    here.append(at(stage.second.port, moment + timedelta(seconds=60)))
    turn()
    wait_until(lambda: stage.statuses(1) == [200] and stage.second.calls.total() > 0)
    moment += timedelta(seconds=30)
    turn()
    stage.first.stop()
    wait_until(lambda: stage.statuses(10, method="POST") == [200] * 10)
    moment += timedelta(seconds=30)
    turn()
    wait_until(lambda: stage.statuses(1) == [503])

    assert nobody == [503]
    assert stage.live.version == version


def test_while_nobody_is_announced_the_fallback_answers_and_the_file_outlives_a_restart(stage: Stage) -> None:
    service = Service("orders", (), registration=REGISTRATION)
    stage.publish(replace(service, fallback=Fallback(status=202)))

    async def living(_now: datetime) -> Mapping[str, Sequence[Announced]]:
        return {"orders": [at(stage.first.port, clock.now() + timedelta(seconds=30))]}

    none = stage.statuses(2)
    asyncio.run(Announcements(stage.live.proxy, lambda: stage.snapshot, living, clock.now).turn())
    wait_until(lambda: stage.statuses(1) == [200])
    stage.live.kill()
    stage.live.start()
    wait_until(lambda: stage.statuses(1) == [200])

    assert none == [202, 202]


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.1", False),
        (("0.0.0.0/0",), "127.0.0.1", False),
        (("0.0.0.0/0",), "169.254.169.254", False),
        (("0.0.0.0/0",), "0.0.0.0", False),
        (("0.0.0.0/0",), "255.255.255.255", False),
        (("0.0.0.0/0", "::/0"), "::ffff:127.0.0.1", False),
        (("::/0",), "::1", False),
        (("::/0",), "fe80::1", False),
        (("::/0",), "fe80::1%eth0", False),
        (("::/0",), "64:ff9b::7f00:1", False),
        (("::/0",), "2002:7f00:1::1", False),
        (("::/0",), "fd00:ec2::254", False),
        (("::/0",), "fd20:ce::254", False),
        (("::/0",), "2001:0:7f00:1::1", False),
        (("::/0",), "64:ff9b:1::7f00:1", False),
        (("0.0.0.0/0",), "168.63.129.16", False),
        (("::/0",), "2001:db8::7", True),
        (("127.0.0.0/8",), "127.0.0.1", True),
        (("127.0.0.1/32",), "127.0.0.2", False),
        (("192.0.2.0/24",), "orders.example", False),
        (("192.0.2.0/24",), "3221225991", False),
        (("192.0.2.0/24",), "192.0.2.07", False),
    ],
)
def test_only_addresses_of_the_networks_and_special_ones_only_by_name(
    networks: tuple[str, ...], address: str, allowed: bool
) -> None:
    place = numeric(address)

    assert (place is not None and allows(networks, place)) == allowed
