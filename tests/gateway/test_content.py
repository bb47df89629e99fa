"""Documents of services: kept, fetched, and known to the guard; and what a route may ask of contents."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest

from admin.conftest import Admin, open_admin
from gateway.guarding import compiled
from gateway.live import Live, Quiet
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.fetch import Fetcher
from kronborg.gateway.content_model import Content, JsonBounds, Sizes
from kronborg.gateway.documents import drop_document, set_document
from kronborg.gateway.documents_fetch import fetch_due
from kronborg.gateway.documents_model import Published
from kronborg.gateway.documents_store import documents_table, find_document
from kronborg.gateway.guard_endpoint import PublishedRules, Rule
from kronborg.gateway.model import Path, Route, Service, Snapshot
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routing import save_route, save_service
from kronborg.gateway.validate import problems_of

TEXT = b'{"openapi":"3.1.0","info":{"title":"Shop","version":"7"},"paths":{"/shop":{"get":{}}}}'
OTHER = TEXT.replace(b'"get"', b'"post"')
ROUTE = Route("shop", Path("prefix", "/shop"), "shop", public=True, content=Content(validate="enforce"))


def methods(rule: Rule | None) -> set[str] | None:
    """What the document of a rule describes of /shop."""
    assert rule is not None
    return None if rule.document is None else set(compiled(rule.document.content).exact["/shop"])


class Source(BaseHTTPRequestHandler):
    """A service that tells its document."""

    content, kind, asked = TEXT, "application/json", 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200)
        self.send_header("content-type", self.kind)
        self.send_header("content-length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def source() -> Iterator[tuple[type[Source], str]]:
    handler = type("Own", (Source,), {})
    server = Quiet(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_address[1]}/openapi.json"
    server.die()


async def declare(database: Database, service: Service, now: datetime) -> None:
    async with database.write() as session:
        await save_service(session, service, actor="test", now=now)
        await save_route(session, ROUTE, actor="test", now=now)
        told = {"issuer": "http://localhost:8081", "gateway_url": "http://localhost:8080", "author": "test"}
        await publish_declared(session, **told, now=now)


@pytest.mark.anyio
async def test_the_guard_knows_a_new_document_within_a_second(database: Database, now: datetime) -> None:
    await declare(database, Service("shop", ("http://127.0.0.1:9",)), now)
    at = [now]
    rules = PublishedRules(database, lambda: at[0])

    none = await rules("shop")
    async with database.write() as session:
        first = await set_document(session, "shop", TEXT, actor="test", now=now)
    at[0] += timedelta(seconds=1)
    known = await rules("shop")
    async with database.write() as session:
        await set_document(session, "shop", OTHER, actor="test", now=now)
        kept = len(list(await session.execute(documents_table.select())))
    at[0] += timedelta(seconds=1)
    changed = await rules("shop")
    async with database.write() as session:
        await drop_document(session, "shop", actor="test", now=now)
    at[0] += timedelta(seconds=1)
    gone = await rules("shop")

    assert (first.title, first.version, first.operations) == ("Shop", "7", 1)
    assert [methods(one) for one in (none, known, changed, gone)] == [None, {"GET"}, {"POST"}, None]
    assert kept == 1
    assert await rules("unknown") is None


@pytest.mark.anyio
async def test_documents_are_for_services_that_there_are(database: Database, now: datetime) -> None:
    async with database.write() as session:
        with pytest.raises(NotFound):
            await set_document(session, "nobody", TEXT, actor="test", now=now)
        with pytest.raises(NotFound):
            await drop_document(session, "nobody", actor="test", now=now)
        with pytest.raises(Invalid):
            await set_document(session, "nobody", b"{}", actor="test", now=now)


@pytest.mark.anyio
async def test_a_document_is_fetched_on_its_schedule(
    database: Database, now: datetime, source: tuple[type[Source], str]
) -> None:
    handler, url = source
    await declare(database, Service("shop", ("http://127.0.0.1:9",), openapi=Published(url, timedelta(hours=1))), now)
    fetcher = Fetcher(("127.0.0.0/8",))

    await fetch_due(database, fetcher, now=now)
    await fetch_due(database, fetcher, now=now + timedelta(minutes=59))
    handler.content = b"{}"
    await fetch_due(database, fetcher, now=now + timedelta(hours=1))
    async with database.read() as session:
        found = await find_document(session, "shop")

    assert handler.asked == 2
    assert found is not None
    assert (found.title, found.source) == ("Shop", url)
    assert found.problem == "is no OpenAPI document of version 3.0 or 3.1"


@pytest.mark.anyio
async def test_a_document_is_not_fetched_from_where_nobody_may_call(
    database: Database, now: datetime, source: tuple[type[Source], str]
) -> None:
    handler, url = source
    await declare(database, Service("shop", ("http://127.0.0.1:9",), openapi=Published(url)), now)

    await fetch_due(database, Fetcher(), now=now)
    async with database.read() as session:
        found = await find_document(session, "shop")

    assert handler.asked == 0
    assert found is not None
    assert (found.digest, found.problem != "") == ("", True)


@pytest.fixture
async def admin(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Admin]:
    opened = await open_admin(database, vault)
    await declare(database, Service("shop", ("http://127.0.0.1:9",)), now)
    yield opened
    await opened.http.aclose()


@pytest.mark.anyio
async def test_a_document_in_the_admin_api(admin: Admin) -> None:
    url = "/api/services/shop/document"

    missing = await admin.http.get(url, headers=admin.read)
    bad = await admin.http.put(url, json={"document": "{}"}, headers=admin.write)
    made = await admin.http.put(url, json={"document": TEXT.decode()}, headers=admin.write)
    found = await admin.http.get(url, headers=admin.read)
    gone = await admin.http.delete(url, headers=admin.write)

    assert [one.status_code for one in (missing, bad, made, found, gone)] == [404, 422, 200, 200, 204]
    assert found.json()["title"] == "Shop"


def test_without_anybody_to_ask_nothing_passes(gateway: Live) -> None:
    gateway.publish(replace(ROUTE, service="echo"), Route("open", Path("exact", "/open"), "echo", public=True))

    gateway.exchange.stop()
    guarded, free = gateway.get("/shop"), gateway.get("/open")
    gateway.exchange.start()

    assert (guarded.status, guarded.json()["reason"], free.status) == (503, "guard_unavailable", 200)


@pytest.mark.parametrize(
    ("route", "where"),
    [
        (replace(ROUTE, max_body=2 << 20), "content"),
        (replace(ROUTE, grpc=True), "content"),
        (replace(ROUTE, websocket=True), "content"),
        (replace(ROUTE, content=Content(json=JsonBounds(depth=0))), "content.json.depth"),
        (replace(ROUTE, content=Content(types=("json",))), "content.types"),
        (replace(ROUTE, content=None, sizes=Sizes()), "sizes"),
        (replace(ROUTE, content=None, sizes=Sizes(target=0)), "sizes.target"),
    ],
)
def test_what_cannot_be_published_is_told(route: Route, where: str) -> None:
    service = Service("shop", ("http://127.0.0.1:9",))

    found = {problem.where for problem in problems_of(Snapshot("https://id.example", (service,), (route,)))}

    assert f"routes.shop.{where}" in found
