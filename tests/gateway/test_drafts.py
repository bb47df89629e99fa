"""Drafts: what they hold, what they would change, what is in their way, and that all of it or nothing is published."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from kronborg.core import events
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound
from kronborg.gateway import drafts, store
from kronborg.gateway.difference import difference
from kronborg.gateway.drafts import Looked
from kronborg.gateway.drafts_store import Kind, list_drafts
from kronborg.gateway.limits_model import SpikeArrest
from kronborg.gateway.model import Cors, Path, Route, Service, Snapshot
from kronborg.gateway.publish import publish_declared

pytestmark = pytest.mark.anyio

SERVICE = Service("catalogue", ("http://127.0.0.1:8091",))
ROUTE = Route("shop", Path("prefix", "/shop"), "catalogue", public=True)
ISSUER, URL = "http://localhost:8081", "http://localhost:8080"


@pytest.fixture
async def declared(database: Database, now: datetime) -> Database:
    """One service and one route, published, and an empty draft."""
    async with database.write() as session:
        await store.put_service(session, SERVICE, now=now)
        await store.put_route(session, ROUTE, now=now)
        await publish_declared(session, issuer=ISSUER, gateway_url=URL, author="ada", now=now)
        await drafts.make_draft(session, "autumn", comment="New  prices", actor="ada", now=now)
    return database


async def look(database: Database) -> Looked:
    async with database.read() as session:
        return await drafts.look(session, "autumn", issuer=ISSUER, gateway_url=URL)


async def wish(database: Database, now: datetime, *things: Service | Route, gone: tuple[str, ...] = ()) -> None:
    async with database.write() as session:
        for thing in things:
            kind: Kind = "service" if isinstance(thing, Service) else "route"
            await drafts.wish(session, "autumn", kind, thing.name, thing, actor="bob", now=now)
        for name in gone:
            await drafts.wish(session, "autumn", "route", name, None, actor="bob", now=now)


async def test_nothing_is_published_before_the_draft_is_and_then_all_of_it(declared: Database, now: datetime) -> None:
    stock = Service("stock", ("http://127.0.0.1:8092",))
    await wish(declared, now, stock, Route("stock", Path("exact", "/stock"), "stock", public=True), gone=("shop",))

    looked, before = await look(declared), await store.latest_version(declared)
    async with declared.write() as session:
        published = await drafts.publish_draft(
            session, "autumn", issuer=ISSUER, gateway_url=URL, actor="bob", now=now, digest=looked.digest
        )

    async with declared.read() as session:
        latest = await store.latest_published(session)
        told = [event.name for event in await events.latest(session)]
        assert await list_drafts(session) == ()
    assert (before, published.version, looked.ready) == (1, 2, True)
    assert [route.name for route in published.routes] == ["stock"]
    assert latest is not None
    assert (latest.author, latest.comment) == ("bob", "New prices")
    assert {"draft.created", "draft.published", "route.removed", "service.created", "gateway.published"} <= set(told)


async def test_every_reason_is_told_at_once_and_nothing_is_published(declared: Database, now: datetime) -> None:
    await wish(declared, now, replace(ROUTE, timeout=ROUTE.timeout * 0, service="none"), Service("empty", ()))

    looked = await look(declared)
    async with declared.write() as session:
        with pytest.raises(Invalid):
            await drafts.publish_draft(session, "autumn", issuer=ISSUER, gateway_url=URL, actor="bob", now=now)

    assert {"services.empty.urls", "routes.shop.service", "routes.shop.timeout"} <= {
        one.where for one in looked.problems
    }
    assert not looked.ready
    assert await store.latest_version(declared) == 1


async def test_who_changed_the_same_meanwhile_is_not_overwritten(declared: Database, now: datetime) -> None:
    await wish(declared, now, replace(ROUTE, cookies=True))
    async with declared.write() as session:
        await store.put_route(session, replace(ROUTE, methods=("GET",)), now=now)
        await publish_declared(session, issuer=ISSUER, gateway_url=URL, author="eve", now=now)

    clashing = await look(declared)
    async with declared.write() as session:
        with pytest.raises(Conflict):
            await drafts.publish_draft(session, "autumn", issuer=ISSUER, gateway_url=URL, actor="bob", now=now)
        await drafts.rebase(session, "autumn", now=now)
    then = await look(declared)

    assert [(one.kind, one.name) for one in clashing.clashes] == [("route", "shop")]
    assert (then.clashes, then.ready, then.draft.base) == ((), True, 2)


async def test_what_others_publish_elsewhere_shows_through_but_needs_another_look(
    declared: Database, now: datetime
) -> None:
    await wish(declared, now, replace(ROUTE, cookies=True))
    before = await look(declared)
    async with declared.write() as session:
        await store.put_route(session, Route("other", Path("exact", "/other"), "catalogue", public=True), now=now)
        await publish_declared(session, issuer=ISSUER, gateway_url=URL, author="eve", now=now)

    after = await look(declared)
    async with declared.write() as session:
        with pytest.raises(Conflict, match="something else was published"):
            await drafts.publish_draft(
                session, "autumn", issuer=ISSUER, gateway_url=URL, actor="bob", now=now, digest=before.digest
            )

    assert [change.name for change in after.difference.changes] == ["shop"]
    assert {route.name for route in after.snapshot.routes} == {"shop", "other"}
    assert after.digest != before.digest


async def test_a_wish_for_what_stands_already_is_let_go_of(declared: Database, now: datetime) -> None:
    await wish(declared, now, replace(ROUTE, cookies=True))
    await wish(declared, now, ROUTE)

    looked = await look(declared)

    assert (looked.changes, bool(looked.difference), looked.ready) == ((), False, False)


async def test_drafts_are_bounded_and_named(declared: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MOST_CHANGES", 1)
    await wish(declared, now, replace(ROUTE, cookies=True))
    async with declared.write() as session:
        with pytest.raises(Conflict):
            await drafts.wish(session, "autumn", "service", "x", replace(SERVICE, name="x"), actor="bob", now=now)
        with pytest.raises(Conflict):
            await drafts.make_draft(session, "autumn", actor="bob", now=now)
        with pytest.raises(Invalid):
            await drafts.make_draft(session, "../x", actor="bob", now=now)
        with pytest.raises(NotFound):
            await drafts.wish(session, "autumn", "route", "none", None, actor="bob", now=now)
        with pytest.raises(NotFound):
            await drafts.undo(session, "autumn", "route", "none", now=now)
        await drafts.discard(session, "autumn", actor="bob", now=now)
        with pytest.raises(NotFound):
            await drafts.draft_named(session, "autumn")


GUARDED = Route("r", Path("exact", "/r"), "s", audience="https://a.example", scopes=("read", "write"), roles=("clerk",))


@pytest.mark.parametrize(
    ("before", "after", "weight", "text"),
    [
        (GUARDED, Route("r", Path("exact", "/r"), "s", public=True), "opens", "becomes public"),
        (GUARDED, replace(GUARDED, scopes=("read",)), "opens", "the scope write is no longer needed"),
        (replace(GUARDED, scopes=("read",)), GUARDED, "closes", "the scope write is needed now"),
        (GUARDED, replace(GUARDED, roles=("clerk", "guest")), "opens", "the role guest is enough, too"),
        (GUARDED, replace(GUARDED, roles=()), "opens", "no role is needed any more"),
        (replace(GUARDED, methods=("GET",)), replace(GUARDED, methods=("GET", "PUT")), "opens", "the method PUT is"),
        (GUARDED, replace(GUARDED, methods=("GET",)), "closes", "the method POST is let through no more"),
        (GUARDED, replace(GUARDED, path=Path("prefix", "/r")), "opens", "stands at /r and all below it"),
        (GUARDED, replace(GUARDED, audience="https://b.example"), "moves", "takes tokens for https://b.example"),
        (GUARDED, replace(GUARDED, cors=Cors(("https://w.example",))), "opens", "web pages of https://w.example may"),
        (replace(GUARDED, spike_arrest=SpikeArrest("5ps")), GUARDED, "opens", "spike arrest is taken away"),
        (GUARDED, replace(GUARDED, policy="permit (principal, action, resource);"), "closes", "policy is set"),
        (GUARDED, replace(GUARDED, cookies=True), "opens", "cookies reach the service"),
    ],
)
def test_a_difference_is_told_in_words(before: Route, after: Route, weight: str, text: str) -> None:
    found = difference(Snapshot("i", routes=(before,)), Snapshot("i", routes=(after,)))

    assert (weight, True) in [(word.weight, text in word.text) for word in found.words]
    assert found.changes[0].action == "update"


def test_new_and_gone_routes_and_services_are_told() -> None:
    bare, full = Snapshot("i"), Snapshot("i", (Service("s", ("https://s.example",)),), (GUARDED,))

    made, gone = difference(bare, full), difference(full, bare)
    moved = difference(full, replace(full, services=(Service("s", ("http://s.example",)),)))

    assert [word.text for word in made.words] == [
        "opens /r for every method to tokens for https://a.example with read, write and one of the roles clerk"
    ]
    assert [word.weight for word in gone.words] == ["closes"]
    assert "is spoken to without TLS" in [word.text for word in moved.words]
    assert not difference(full, replace(full, version=7))
