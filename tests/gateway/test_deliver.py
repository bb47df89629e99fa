"""Delivery: whole or not at all, and the gateway goes on without anybody behind it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path as FilePath
from typing import cast

import orjson
import pytest
from joserfc.jwk import ECKey

from gateway.live import API, Live, running, wait_until
from kronborg.core.db import Database
from kronborg.core.json import JsonObject
from kronborg.gateway import store
from kronborg.gateway.deliver import Deliverer, place, put
from kronborg.gateway.envoy import admin
from kronborg.gateway.envoy.resource import compact, discovery
from kronborg.gateway.envoy.translate import Files, translate
from kronborg.gateway.model import Limits, Path, Route, Service, Snapshot
from kronborg.gateway.publish import publish
from kronborg.gateway.source import DatabaseSource
from ports import free_port

ROUTE = Route("read", Path("prefix", "/catalogue"), "echo", audience=API)
UNHEARD_OF = Limits(header_kilobytes=100_000)
"""More than Envoy takes."""
MORE = Route("more", Path("prefix", "/more"), "echo", audience=API)


@pytest.fixture
def own(tmp_path: FilePath) -> Iterator[Live]:
    """A gateway of this test alone, for those that break it."""
    with running(tmp_path) as live:
        yield live


def files_of(live: Live) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in live.proxy.folder.glob("*.json")}


def test_files_and_socket_are_private(own: Live) -> None:
    own.publish(ROUTE)

    for path in (*own.proxy.folder.glob("*.json"), own.proxy.secret, own.proxy.admin):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(own.proxy.folder.stat().st_mode) == 0o700


def test_what_validation_refuses_is_never_written(own: Live) -> None:
    own.publish(ROUTE)
    before = files_of(own)

    said = asyncio.run(put(own.snapshot(ROUTE, MORE), "no keys", own.proxy))

    assert said.status == "rejected"
    assert "jwks" in said.reason.lower()
    assert files_of(own) == before
    assert own.get("/catalogue", token=own.token()).status == 200


def test_what_the_proxy_itself_refuses_leaves_the_last_good_version(own: Live) -> None:
    own.publish(ROUTE)
    before = files_of(own)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        elsewhere = replace(own.proxy, port=taken.getsockname()[1])

        said = asyncio.run(put(own.snapshot(ROUTE, MORE), own.keys, elsewhere))

    assert said.status == "rejected"
    assert "bind" in said.reason
    assert files_of(own) == before
    wait_until(lambda: own.get("/more", token=own.token()).status == 404)
    assert own.get("/catalogue", token=own.token()).status == 200


def refused(files: Files) -> Files:
    """The same with a status that Envoy knows none of."""

    def broken(content: bytes) -> JsonObject:
        return cast("JsonObject", orjson.loads(re.sub(rb'"status": ?404', b'"status":42', content)))

    table = discovery(cast("list[JsonObject]", broken(files.rds)["resources"]))
    return replace(files, rds=table, show=lambda: compact(broken(files.trial)))


def test_a_table_of_routes_that_the_proxy_refuses_is_put_back_with_its_reason(own: Live) -> None:
    own.publish(ROUTE)
    before = files_of(own)
    files = translate(own.snapshot(ROUTE, MORE), own.keys, own.proxy)

    reason = asyncio.run(place(refused(files), own.proxy))

    assert reason is not None
    assert "DirectResponseActionValidationError.Status" in reason
    assert files_of(own) == before
    assert own.get("/catalogue", token=own.token()).status == 200
    assert asyncio.run(place(files, own.proxy)) is None
    assert own.get("/more", token=own.token()).status == 200


def test_a_table_that_names_an_unknown_service_is_never_written(own: Live) -> None:
    own.publish(ROUTE)
    before = files_of(own)
    files = translate(own.snapshot(ROUTE, MORE), own.keys, own.proxy)

    def lost(content: bytes) -> bytes:
        return content.replace(b"service.echo", b"service.lost", 1)

    table = discovery(orjson.loads(lost(files.rds))["resources"])
    trial = orjson.loads(files.trial)
    (listener,) = [one for one in trial["static_resources"]["listeners"] if b"service.echo" in orjson.dumps(one)]
    trial["static_resources"]["listeners"] = [orjson.loads(lost(orjson.dumps(listener)))]
    reason = asyncio.run(place(replace(files, rds=table, show=lambda: compact(trial)), own.proxy))

    assert reason is not None
    assert "service.lost" in reason
    assert files_of(own) == before


def test_a_table_that_nobody_tried_is_tried_when_the_proxy_goes_away_meanwhile(
    own: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.publish(ROUTE)
    before = files_of(own)
    files = translate(own.snapshot(ROUTE, MORE), own.keys, own.proxy)
    ask, asked = admin.standing, list[int]()

    async def once(path: FilePath) -> Mapping[str, admin.Standing]:
        asked.append(1)
        if len(asked) == 2:
            await asyncio.to_thread(own.kill)
        return await ask(path)

    monkeypatch.setattr(admin, "standing", once)

    reason = asyncio.run(place(refused(files), own.proxy))

    assert reason is not None
    assert "DirectResponseActionValidationError.Status" in reason
    assert files_of(own) == before


def test_routes_change_without_touching_the_listener_or_cached_tokens(own: Live) -> None:
    own.publish(ROUTE)
    token = f"kro_at_{'a' * 49}"
    own.exchange.answers[token] = (200, own.token(), 60)
    own.get("/catalogue", token=token)
    before = asyncio.run(admin.standing(own.proxy.admin))

    own.publish(ROUTE, MORE)

    after = asyncio.run(admin.standing(own.proxy.admin))
    assert (after["lds"], after["cds"]) == (before["lds"], before["cds"])
    assert after["rds"].version != before["rds"].version
    assert own.get("/more", token=token).status == 200
    assert len(own.exchange.asked) == 1


def test_updates_under_load_fail_no_request(own: Live) -> None:
    own.publish(ROUTE)
    token, failures, going = own.token(), list[int](), threading.Event()

    def ask() -> None:
        while not going.is_set():
            status = own.get("/catalogue", token=token).status
            if status != 200:
                failures.append(status)

    callers = [threading.Thread(target=ask) for _ in range(4)]
    for caller in callers:
        caller.start()
    for number in range(10):
        spare = Service(f"spare-{number}", ("http://127.0.0.1:1",))
        route = Route("spare", Path("prefix", "/spare"), spare.name, public=True)
        snapshot = own.snapshot(ROUTE, route)
        snapshot = replace(snapshot, services=(*snapshot.services, spare))
        assert asyncio.run(put(snapshot, own.keys, own.proxy)).status == "acked"
    going.set()
    for caller in callers:
        caller.join()

    assert failures == []


def test_new_keys_reach_the_proxy_and_old_ones_stop(own: Live) -> None:
    own.publish(ROUTE)
    fresh = ECKey.generate_key("P-256", {"kid": "key-2", "alg": "ES256", "use": "sig"})
    old = own.token()
    assert own.get("/catalogue", token=old).status == 200

    said = asyncio.run(put(own.snapshot(ROUTE), json.dumps({"keys": [fresh.as_dict(private=False)]}), own.proxy))

    assert said.status == "acked"
    wait_until(lambda: own.get("/catalogue", token=old).status == 401)
    own.key = fresh
    assert own.get("/catalogue", token=own.token(kid="key-2")).status == 200


def test_the_gateway_starts_again_and_serves_with_everybody_else_dead(own: Live) -> None:
    own.publish(ROUTE)
    own.exchange.stop()
    own.kill()

    own.start()

    assert own.get("/catalogue", token=own.token()).status == 200
    assert own.get("/catalogue").status == 401
    own.exchange.start()


def test_an_absent_proxy_finds_the_new_version_when_it_comes_back(own: Live) -> None:
    own.publish(ROUTE)
    own.kill()

    with pytest.raises(admin.ProxyAway):
        asyncio.run(put(own.snapshot(ROUTE, MORE), own.keys, own.proxy))
    own.start()

    assert own.get("/more", token=own.token()).status == 200


@pytest.mark.anyio
async def test_the_deliverer_brings_what_is_published_and_records_what_the_proxy_said(
    gateway: Live, database: Database, now: datetime
) -> None:
    keys = [gateway.keys]

    async def current() -> str:
        return keys[0]

    source = DatabaseSource(database, current, Snapshot("http://localhost:8081"), gateway.proxy.name)
    deliverer = Deliverer(source, gateway.proxy, lambda: now)
    routes = (replace(ROUTE, name="fresh", path=Path("prefix", f"/fresh-{now:%H}")),)
    snapshot = replace(gateway.snapshot(*routes), version=0)

    await deliverer.turn()
    async with database.write() as session:
        version = (await publish(session, snapshot, author="test", now=now)).version
    first = await deliverer.turn()
    nothing = await deliverer.turn()
    keys[0] = "broken"
    broken = await deliverer.turn()
    settled = await deliverer.turn()
    keys[0] = gateway.keys
    mended = await deliverer.turn()

    assert first is not None
    assert (first.version, first.status) == (version, "acked")
    assert (nothing, settled) == (None, None)
    assert broken is not None
    assert broken.status == "rejected"
    assert mended is not None
    assert mended.status == "acked"
    async with database.read() as reading:
        recorded = await store.list_deliveries(reading)
    assert [(said.version, said.status) for said, _ in recorded] == [(version, "acked")]
    assert (await asyncio.to_thread(gateway.get, routes[0].path.value, token=gateway.token())).status == 200


@pytest.mark.anyio
async def test_new_keys_reach_a_proxy_that_refused_the_newest_version(
    gateway: Live, database: Database, now: datetime
) -> None:
    keys = [gateway.keys]

    async def current() -> str:
        return keys[0]

    source = DatabaseSource(database, current, Snapshot("http://localhost:8081"), gateway.proxy.name)
    deliverer = Deliverer(source, gateway.proxy, lambda: now)
    good = replace(gateway.snapshot(ROUTE), version=0)
    async with database.write() as session:
        await publish(session, good, author="test", now=now)
    await deliverer.turn()
    async with database.write() as session:
        await publish(session, replace(good, limits=UNHEARD_OF), author="test", now=now)
    refused = await deliverer.turn()
    fresh = ECKey.generate_key("P-256", {"kid": "key-9", "alg": "ES256", "use": "sig"})

    keys[0] = json.dumps({"keys": [fresh.as_dict(private=False)]})
    still = await deliverer.turn()

    assert refused is not None
    assert still is not None
    assert (refused.status, still.status) == ("rejected", "rejected")
    token = gateway.token(key=fresh, kid="key-9")
    await asyncio.to_thread(wait_until, lambda: gateway.get("/catalogue", token=token).status == 200)


@pytest.mark.anyio
async def test_a_running_deliverer_stops_when_told(gateway: Live, database: Database, now: datetime) -> None:
    async def current() -> str:
        return gateway.keys

    source = DatabaseSource(database, current, Snapshot("http://localhost:8081"), gateway.proxy.name)
    deliverer = Deliverer(source, gateway.proxy, lambda: now)
    stop = asyncio.Event()
    task = asyncio.create_task(deliverer.run(stop))
    async with asyncio.timeout(10):
        while deliverer.current is None:  # noqa: ASYNC110  # a condition of another task's state
            await asyncio.sleep(0.01)
        stop.set()
        await task

    assert deliverer.current.status == "acked"
