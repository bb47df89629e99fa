"""The gateway of the control plane's own machine: alone, with a full disk, and while much is published."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath

import pytest

from gateway.live import Live, running
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.gateway.deliver import Deliverer
from kronborg.gateway.model import Path, Route, Snapshot
from kronborg.gateway.publish import publish
from kronborg.gateway.source import DatabaseSource


@pytest.fixture
def own(tmp_path: FilePath) -> Iterator[Live]:
    with running(tmp_path) as live:
        yield live


def routes(*names: str) -> tuple[Route, ...]:
    return tuple(Route(name, Path("prefix", f"/{name}"), "echo", public=True) for name in names)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond a few bytes: the write fails with an OSError as on a full disk, and for root too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def asking(live: Live, path: str) -> tuple[Callable[[], None], list[int], threading.Event]:
    failures: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            status = live.get(path).status
            if status != 200:
                failures.append(status)

    return ask, failures, done


async def _deliverer(live: Live, database: Database) -> Deliverer:
    async def keys() -> str:
        return live.keys

    source = DatabaseSource(database, keys, Snapshot("http://localhost:8081"), live.proxy.name)
    return Deliverer(source, live.proxy, clock.now)


def test_a_full_disk_leaves_the_version_of_before_and_says_so(own: Live, sqlite_template: FilePath) -> None:
    url = _copy(sqlite_template, own)

    async def work() -> tuple[str, str, str]:
        database = await Database.open(url)
        try:
            deliverer = await _deliverer(own, database)
            await _publish(database, own.snapshot(*routes("first")))
            await deliverer.turn()
            await _publish(database, own.snapshot(*routes("first", "second")))
            # The database is on another disk: only the gateway's folder is full.
            offer = await deliverer.source.latest()
            assert offer is not None
            with full_disk():
                refused = await deliverer._put(offer)
            first = own.get("/first").status, own.get("/second").status
            again = await deliverer.turn()
            assert again is not None
            return refused.reason, again.status, f"{first} {own.get('/second').status}"
        finally:
            await database.close()

    reason, status, seen = asyncio.run(work())

    assert reason.startswith("the gateway's folder cannot be written: ")
    assert (status, seen) == ("acked", "(200, 404) 200")


def test_200_publishes_under_load_fail_no_request(own: Live, sqlite_template: FilePath) -> None:
    url = _copy(sqlite_template, own)
    ask, failures, done = asking(own, "/stays")

    async def work() -> int:
        database = await Database.open(url)
        stop = asyncio.Event()
        try:
            deliverer = await _deliverer(own, database)
            await _publish(database, own.snapshot(*routes("stays")))
            await deliverer.turn()
            callers = [threading.Thread(target=ask) for _ in range(2)]
            for caller in callers:
                caller.start()
            running = asyncio.create_task(deliverer.run(stop))
            for number in range(200):
                await _publish(database, own.snapshot(*routes("stays", f"comes-{number}")))
            async with asyncio.timeout(20):
                while deliverer.serving[0] < 201:  # noqa: ASYNC110  # there is nothing to wait on
                    await asyncio.sleep(0.02)
            done.set()
            stop.set()
            await running
            await asyncio.gather(*(asyncio.to_thread(caller.join) for caller in callers))
            return deliverer.serving[0]
        finally:
            done.set()
            await database.close()

    served = asyncio.run(work())

    assert (served, failures) == (201, [])
    assert own.get("/comes-199").status == 200


async def _publish(database: Database, snapshot: Snapshot) -> None:
    async with database.write() as session:
        await publish(session, snapshot, author="test", now=clock.now())


def _copy(template: FilePath, live: Live) -> str:
    path = live.log.with_name("kronborg.db")
    path.write_bytes(template.read_bytes())
    return f"sqlite:///{path}"
