"""What the doctor finds at gateways. Pure: from what each told last."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from kronborg.cli.doctor_gateway import OLDEST_ENVOY, envoy_version, of_fleet
from kronborg.fleet.model import Node, Standing
from kronborg.fleet.show import show_node

FINE = Standing(datetime(2026, 6, 1).astimezone(), version=3, offered=3, took="acked", live=True, envoy="1.40.0")


def node(now: datetime, said: Standing, **more: object) -> Node:
    made = Node("berlin", "id", False, now, seen_at=now, standing=said, expires_at=now + timedelta(days=6))
    return Node(**{**{name: getattr(made, name) for name in made.__slots__}, **more})


def found(one: Node, now: datetime) -> list[tuple[str, str]]:
    return [(finding.severity, finding.detail) for finding in of_fleet([show_node(one, 3, now)], now=now)]


def test_a_gateway_that_is_fine_is_not_mentioned(now: datetime) -> None:
    assert found(node(now, FINE), now) == []


def test_what_is_wrong_is_said(now: datetime) -> None:
    refused = Standing(FINE.at, version=2, offered=3, took="rejected", reason="no such cluster", live=True)
    stale = Standing(FINE.at, version=3, offered=3, took="acked", live=True, revocation_ms=60_000)

    assert found(node(now, refused), now) == [("error", "it refused version 3: no such cluster")]
    assert found(node(now, stale), now) == [("error", "its news of revocations is 60000 ms old")]
    assert found(node(now, FINE, skew=timedelta(seconds=-11)), now) == [("error", "its clock is off by -11000 ms")]
    assert found(node(now, FINE, seen_at=now - timedelta(minutes=1)), now)[0][0] == "warning"
    assert "certificate ends" in found(node(now, FINE, expires_at=now + timedelta(hours=3)), now)[0][1]


def test_our_envoy_is_new_enough() -> None:
    version = asyncio.run(envoy_version())

    assert version is not None
    assert version >= OLDEST_ENVOY
