"""Publishing and the rows behind it, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kronborg.core import events
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.whole import whole
from kronborg.gateway import store
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Delivery, Path, Route, Service, Snapshot
from kronborg.gateway.publish import draft, hosts_of, publish, publish_declared
from kronborg.gateway.routing import save_service

pytestmark = pytest.mark.anyio

SERVICE = Service("catalogue", ("http://127.0.0.1:8091",))
ROUTE = Route(
    "shop",
    Path("prefix", "/shop"),
    "catalogue",
    public=True,
    timeout=timedelta(milliseconds=2500),
    spike_arrest=SpikeArrest("30pm", per="address"),
)
SNAPSHOT = Snapshot("http://localhost:8081", (SERVICE,), (ROUTE,))


async def test_services_and_routes_are_kept_replaced_and_deleted(database: Database, now: datetime) -> None:
    async with database.write() as session:
        await store.put_service(session, SERVICE, now=now)
        await store.put_route(session, ROUTE, now=now)
        await store.put_route(session, replace(ROUTE, cookies=True), now=now)

    async with database.write() as session:
        assert await store.list_services(session) == (SERVICE,)
        assert await store.find_service(session, "catalogue") == SERVICE
        assert await store.list_routes(session) == (replace(ROUTE, cookies=True),)
        assert await store.find_route(session, "none") is None
        assert await store.delete_route(session, "shop")
        assert not await store.delete_route(session, "shop")
        assert await store.delete_service(session, "catalogue")
        assert await store.list_routes(session) == ()


async def test_an_equal_snapshot_makes_no_new_version(database: Database, now: datetime) -> None:
    async with database.write() as session:
        first = await publish(session, SNAPSHOT, author="ada", now=now)
        same = await publish(session, SNAPSHOT, author="bob", now=now)
        other = await publish(session, replace(SNAPSHOT, routes=()), author="bob", now=now)
        back = await publish(session, SNAPSHOT, author="ada", now=now)

    assert [one.version for one in (first, same, other, back)] == [1, 1, 2, 3]
    assert await store.latest_version(database) == 3
    async with database.read() as session:
        latest = await store.latest_published(session)
        told = [event.subject for event in await events.latest(session) if event.name == "gateway.published"]
    assert latest is not None
    assert (latest.snapshot, latest.author, latest.created_at) == (replace(SNAPSHOT, version=3), "ada", now)
    assert told == ["3", "2", "1"]


async def test_racing_publishers_each_get_a_version_and_the_last_holds_all(database_url: str, now: datetime) -> None:
    async def add(database: Database, number: int) -> int:
        async with whole(database) as session:
            service = Service(f"service-{number}", ("http://127.0.0.1:8091",))
            await save_service(session, service, actor="ada", now=now)
            url = "http://localhost:8080"
            published = await publish_declared(session, issuer=SNAPSHOT.issuer, gateway_url=url, author="ada", now=now)
            return published.version

    processes = [await Database.open(database_url) for _ in range(3)]
    versions = await asyncio.gather(*(add(processes[number % 3], number) for number in range(9)))
    async with processes[0].read() as session:
        latest = await store.latest_published(session)
    for process in processes:
        await process.close()

    assert sorted(versions) == list(range(1, 10))
    assert latest is not None
    assert len(latest.snapshot.services) == 9


async def test_a_snapshot_with_a_problem_publishes_nothing(database: Database, now: datetime) -> None:
    async with database.write() as session:
        with pytest.raises(Invalid) as refused:
            await publish(session, replace(SNAPSHOT, services=()), author="ada", now=now)

    assert [problem.where for problem in refused.value.problems] == ["routes.shop.service"]
    assert await store.latest_version(database) == 0


async def test_what_is_declared_is_what_is_published(database: Database, now: datetime) -> None:
    async with database.write() as session:
        await store.put_service(session, SERVICE, now=now)
        await store.put_route(session, ROUTE, now=now)
        published = await publish_declared(
            session, issuer="http://localhost:8081", gateway_url="https://shop.example", author="ada", now=now
        )

    async with database.read() as session:
        wanted = await draft(session, issuer="http://localhost:8081", gateway_url="https://shop.example")
    assert replace(published, version=0) == wanted
    assert published.hosts == ("shop.example", "localhost", "127.0.0.1")
    assert hosts_of("http://localhost:8080") == ("localhost", "127.0.0.1")


async def test_the_last_word_of_each_proxy_is_kept(database: Database, now: datetime) -> None:
    async with database.write() as session:
        await store.record_delivery(session, Delivery("a", 1, "rejected", "no"), now=now)
        await store.record_delivery(session, Delivery("a", 1, "acked"), now=now)
        await store.record_delivery(session, Delivery("b", 2, "acked"), now=now)

    async with database.read() as session:
        said = await store.list_deliveries(session)
    assert [one for one, _ in said] == [Delivery("b", 2, "acked"), Delivery("a", 1, "acked")]
