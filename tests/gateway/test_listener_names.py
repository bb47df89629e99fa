"""A route that names a listener which no gateway has is told when it is published."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.gateway import drafts
from kronborg.gateway.listener_names import note_joined, note_listeners, note_parted, unknown_listeners
from kronborg.gateway.model import Path, Route, Service, Snapshot
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routing import save_route, save_service

pytestmark = pytest.mark.anyio

ISSUER, URL = "http://localhost:8081", "http://localhost:8080"
SERVICE = Service("shop", ("http://127.0.0.1:8091",))
ROUTE = Route("shop", Path("prefix", "/shop"), "shop", public=True, listeners=("insde",))


async def test_a_name_that_no_gateway_has_is_refused_with_the_nearest(database: Database, now: datetime) -> None:
    async with database.write() as session:
        await note_listeners(session, ["inside", "outside"], now=now)
        await save_service(session, SERVICE, actor="ada", now=now)
        await drafts.make_draft(session, "autumn", actor="ada", now=now)
        await drafts.wish(session, "autumn", "route", "shop", ROUTE, actor="ada", now=now)
        looked = await drafts.look(session, "autumn", issuer=ISSUER, gateway_url=URL)
        await save_route(session, ROUTE, actor="ada", now=now)
        with pytest.raises(Invalid) as refused:
            await publish_declared(session, issuer=ISSUER, gateway_url=URL, author="ada", now=now)
        await save_route(session, replace(ROUTE, listeners=("inside", "internal")), actor="ada", now=now)
        published = await publish_declared(session, issuer=ISSUER, gateway_url=URL, author="ada", now=now)

    [problem] = refused.value.problems
    assert (problem.where, problem.mend) == ("routes.shop.listeners", "did you mean inside?")
    assert looked.problems == (problem,)
    assert published.version == 1


async def test_nothing_is_refused_where_nobody_knows(database: Database, now: datetime) -> None:
    snapshot = Snapshot(ISSUER, (SERVICE,), (ROUTE,))
    found = []
    async with database.write() as session:
        found.append(await unknown_listeners(session, snapshot))
        await note_listeners(session, [], now=now)
        found.append(await unknown_listeners(session, snapshot))
        await note_joined(session, "harbour", now=now)
        found.append(await unknown_listeners(session, snapshot))
        await note_parted(session, "harbour")
        found.append(await unknown_listeners(session, snapshot))

    assert [len(one) for one in found] == [0, 1, 0, 1]
    assert found[1][0].mend == "there are external, internal"
