"""Versions: the list, what differs, the way back, and how long they are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kronborg.core import events
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, NotFound
from kronborg.gateway import store, versions_store
from kronborg.gateway.model import Delivery, Path, Route, Service
from kronborg.gateway.publish import clean_comment, draft, publish_declared
from kronborg.gateway.routing import remove_route, remove_service, save_route, save_service
from kronborg.gateway.versions import compare_versions, roll_back, would_roll_back

pytestmark = pytest.mark.anyio

SERVICE = Service("catalogue", ("http://127.0.0.1:8091",))
ROUTE = Route("shop", Path("prefix", "/shop"), "catalogue", public=True)
ISSUER, URL = "http://localhost:8081", "http://localhost:8080"


async def publish(database: Database, now: datetime, *things: Service | Route, comment: str = "") -> int:
    async with database.write() as session:
        for thing in things:
            if isinstance(thing, Service):
                await save_service(session, thing, actor="ada", now=now)
            else:
                await save_route(session, thing, actor="ada", now=now)
        published = await publish_declared(
            session, issuer=ISSUER, gateway_url=URL, author="ada", now=now, comment=comment
        )
        return published.version


async def test_going_back_makes_a_new_version_and_the_declared_objects_follow(
    database: Database, now: datetime
) -> None:
    await publish(database, now, SERVICE, ROUTE, comment="first")
    async with database.write() as session:
        await remove_route(session, "shop", actor="ada", now=now)
        await remove_service(session, "catalogue", actor="ada", now=now)
    other = Service("stock", ("http://127.0.0.1:8092",))
    await publish(database, now, other, Route("stock", Path("exact", "/stock"), "stock", public=True))

    async with database.write() as session:
        back = await roll_back(session, 1, issuer=ISSUER, gateway_url=URL, actor="bob", now=now)

    async with database.read() as session:
        declared = await draft(session, issuer=ISSUER, gateway_url=URL)
        first, third = await store.find_published(session, 1), await store.find_published(session, 3)
        listed = await versions_store.list_versions(session)
        told = {event.name for event in await events.latest(session)}
        assert not await compare_versions(session, 1, 3)
    assert (back.version, declared) == (3, replace(back, version=0))
    assert first is not None
    assert third is not None
    assert first.digest == third.digest
    assert [(one.number, one.comment, one.author, one.routes) for one in listed] == [
        (3, "Back to version 1", "bob", 1),
        (2, "", "ada", 1),
        (1, "first", "ada", 1),
    ]
    assert {"gateway.rolled_back", "route.removed", "service.removed", "route.created"} <= told


async def test_what_does_not_fit_the_apis_of_today_is_refused_with_its_reasons(
    database: Database, now: datetime
) -> None:
    await publish(database, now, SERVICE, ROUTE)
    async with database.write() as session:
        content = b'{"issuer":"http://localhost:8081","routes":[{"name":"old","path":{"kind":"exact","value":"/old"},'
        content += b'"service":"catalogue","audience":"https://gone.example"}]}'
        first = await store.find_published(session, 1)
        assert first is not None
        snapshot = replace(first.snapshot, version=2)
        await store.add_snapshot(session, snapshot, content=content, digest="x", author="x", comment="", now=now)
        await publish_declared(session, issuer=ISSUER, gateway_url=URL, author="ada", now=now)

    async with database.read() as session:
        wanted, latest = await would_roll_back(session, 2, issuer=ISSUER, gateway_url=URL)
    async with database.write() as session:
        with pytest.raises(Invalid) as refused:
            await roll_back(session, 2, issuer=ISSUER, gateway_url=URL, actor="bob", now=now)

    assert ([route.name for route in wanted.routes], latest) == (["old"], 3)
    assert {one.where for one in refused.value.problems} == {"routes.old.service", "routes.old.audience"}


async def test_old_versions_go_but_never_the_last_good_of_a_gateway(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_store, "KEPT", 3)
    monkeypatch.setattr(versions_store, "ALWAYS", 2)
    await publish(database, now, SERVICE, ROUTE)
    async with database.write() as session:
        await store.record_delivery(session, Delivery("far", 1, "acked"), now=now)

    for number in range(2, 7):
        await publish(database, now, replace(ROUTE, timeout=timedelta(seconds=number)))

    async with database.read() as session:
        kept = [one.number for one in await versions_store.list_versions(session)]
        some = [one.number for one in await versions_store.list_versions(session, before=6, limit=1)]
        said = await versions_store.deliveries_of(session, kept)
        with pytest.raises(NotFound):
            await compare_versions(session, 2, 6)
    assert (kept, some) == ([6, 5, 4, 1], [5])
    assert [word.proxy for word, _ in said[1]] == ["far"]


async def test_large_versions_are_bounded_by_their_size(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions_store, "KEPT_OCTETS", 1)
    monkeypatch.setattr(versions_store, "ALWAYS", 2)

    for number in range(1, 5):
        await publish(database, now, SERVICE, replace(ROUTE, timeout=timedelta(seconds=number)))

    async with database.read() as session:
        assert [one.number for one in await versions_store.list_versions(session)] == [4, 3]


def test_a_comment_is_one_bounded_line() -> None:
    assert clean_comment("  a\n\tb\x1b[31m  c ") == "a b [31m c"
    assert len(clean_comment("x" * 1000)) == 300
