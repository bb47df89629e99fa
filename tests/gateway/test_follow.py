"""The follower beside the control process: its own thread, and what the metrics say of its ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from gateway.live import wait_until
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.core.group_writer import Execute
from kronborg.gateway.follow import follow_apart, show
from kronborg.gateway.ledger import Ledger
from kronborg.tokens.feed import Notice, tell

pytestmark = pytest.mark.anyio


def metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"kronborg_gateway_ledger_{name}", {"proxy": "followed"})


def revoke(execute: Execute) -> None:
    tell(execute, (Notice("token", "stolen"),), now=clock.now())


async def test_a_revocation_arrives_while_the_loop_of_the_process_stands_still(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    ledger, stop = Ledger.open(tmp_path / "ledger.txt"), asyncio.Event()
    show(ledger, "followed", clock=clock.now)
    before = metric("age_seconds")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow_apart(ledger, database_url, clock=clock.now, stop=stop))
        await database.writer.run(revoke)
        # Not awaited: nothing else of this loop runs meanwhile.
        wait_until(lambda: len(ledger) == 1, seconds=5)
        stop.set()

    age = metric("age_seconds")
    assert before == float("inf")
    assert age is not None
    assert age < 5
    assert metric("entries") == 1
    assert "stolen" in (tmp_path / "ledger.txt").read_text()
    ledger.close()


async def test_a_follower_that_cannot_begin_ends_what_it_is_part_of(tmp_path: Path) -> None:
    ledger, stop = Ledger.open(tmp_path / "ledger.txt"), asyncio.Event()

    with pytest.raises(Exception, match="unable to open"):
        await follow_apart(ledger, f"sqlite:///{tmp_path}/nowhere/kronborg.db", clock=clock.now, stop=stop)

    ledger.close()
