"""Shared policies: in drafts, differences and versions, and what their parser says of a text that does not stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from kronborg.clients.model import ApiDraft
from kronborg.clients.register import save_api
from kronborg.core import events
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound
from kronborg.gateway import drafts
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.difference import difference
from kronborg.gateway.drafts_store import list_changes
from kronborg.gateway.model import Path, Route, Service
from kronborg.gateway.policy_changes import remove_policy, retire_policy, routes_with, save_policy
from kronborg.gateway.publish import draft, publish_declared
from kronborg.gateway.routing import save_route, save_service
from kronborg.gateway.shared_policies import policy_problems, wrong_at
from kronborg.gateway.shared_policies_store import find_policy, list_policies
from kronborg.gateway.versions import compare_versions, roll_back, would_roll_back

pytestmark = pytest.mark.anyio

SALES = NamedPolicy("sales", 'permit (principal, action, resource) when { context.claims.department == "sales" };\n')
ANYONE = replace(SALES, text="permit (principal, action, resource);\n")
SERVICE = Service("shop", ("http://127.0.0.1:8091",))
API = "http://localhost:8081/api"
ROUTE = Route("shop", Path("prefix", "/shop"), "shop", audience=API, policies=("sales",))
ISSUER, URL = "http://localhost:8081", "http://localhost:8080"


async def publish(database: Database, now: datetime, *policies: NamedPolicy, route: Route = ROUTE) -> int:
    """A version with these policies and one route."""
    async with database.write() as session:
        await save_service(session, SERVICE, actor="ada", now=now)
        await save_route(session, route, actor="ada", now=now)
        for policy in policies:
            await save_policy(session, policy, actor="ada", now=now)
        made = await publish_declared(session, issuer=ISSUER, gateway_url=URL, author="ada", now=now)
        return made.version


@pytest.fixture
async def database(database: Database, now: datetime) -> Database:
    async with database.write() as session:
        await save_api(session, ApiDraft(API, "shop"), actor="ada", now=now)
    return database


async def test_going_back_restores_the_texts(database: Database, now: datetime) -> None:
    await publish(database, now, SALES)
    other = NamedPolicy("other", ANYONE.text)
    await publish(database, now, ANYONE, other)

    async with database.write() as session:
        wanted, _ = await would_roll_back(session, 1, issuer=ISSUER, gateway_url=URL)
        back = await roll_back(session, 1, issuer=ISSUER, gateway_url=URL, actor="bob", now=now)

    async with database.read() as session:
        kept = await list_policies(session)
        differs = await compare_versions(session, 1, 3)
        told = {(event.name, event.subject) for event in await events.latest(session)}
    assert (kept, back.policies, wanted.policies, bool(differs)) == ((SALES,), (SALES,), (SALES,), False)
    assert {("policy.changed", "sales"), ("policy.removed", "other")} <= told


async def test_a_difference_shows_the_text_once_and_each_route_that_it_means(database: Database, now: datetime) -> None:
    await publish(database, now, SALES)
    await publish(database, now, ANYONE)

    async with database.read() as session:
        differs = await compare_versions(session, 1, 2)

    [change] = differs.changes
    assert (change.kind, change.name, change.action) == ("policy", "sales", "update")
    assert [(field.name, field.before, field.after) for field in change.fields] == [("text", SALES.text, ANYONE.text)]
    assert [(word.kind, word.name, word.text) for word in differs.words] == [("route", "shop", "policy is changed")]


async def test_a_draft_holds_policies_and_publishes_them_before_their_routes(database: Database, now: datetime) -> None:
    await publish(database, now, route=replace(ROUTE, policies=()))
    async with database.write() as session:
        await drafts.make_draft(session, "autumn", actor="ada", now=now)
        await drafts.wish(session, "autumn", "policy", "sales", SALES, actor="ada", now=now)
        await drafts.wish(session, "autumn", "route", "shop", ROUTE, actor="ada", now=now)
        looked = await drafts.look(session, "autumn", issuer=ISSUER, gateway_url=URL)
        held = await list_changes(session, "autumn")
        published = await drafts.publish_draft(
            session, "autumn", issuer=ISSUER, gateway_url=URL, actor="ada", now=now, digest=looked.digest
        )

    assert [(one.kind, one.after) for one in held] == [("route", ROUTE), ("policy", SALES)]
    assert looked.ready
    assert {(one.kind, one.action) for one in looked.difference.changes} == {("policy", "create"), ("route", "update")}
    assert published.policies == (SALES,)


async def test_a_draft_removes_a_policy_with_its_last_route_and_never_before(database: Database, now: datetime) -> None:
    await publish(database, now, SALES)
    async with database.write() as session:
        await drafts.make_draft(session, "away", actor="ada", now=now)
        await drafts.wish(session, "away", "policy", "sales", None, actor="ada", now=now)
        early = await drafts.look(session, "away", issuer=ISSUER, gateway_url=URL)
        await drafts.wish(session, "away", "route", "shop", replace(ROUTE, policies=()), actor="ada", now=now)
        await drafts.publish_draft(session, "away", issuer=ISSUER, gateway_url=URL, actor="ada", now=now)
        left = await find_policy(session, "sales")

    assert [problem.where for problem in early.problems][:1] == ["routes.shop.policies"]
    assert left is None


async def test_others_who_change_the_same_policy_are_noticed(database: Database, now: datetime) -> None:
    await publish(database, now, SALES)
    async with database.write() as session:
        await drafts.make_draft(session, "mine", actor="ada", now=now)
        await drafts.wish(session, "mine", "policy", "sales", ANYONE, actor="ada", now=now)
    theirs = replace(SALES, text="forbid (principal, action, resource);\n")
    await publish(database, now, theirs)

    async with database.write() as session:
        looked = await drafts.look(session, "mine", issuer=ISSUER, gateway_url=URL)
        with pytest.raises(Conflict):
            await drafts.publish_draft(session, "mine", issuer=ISSUER, gateway_url=URL, actor="ada", now=now)
        await drafts.rebase(session, "mine", now=now)
        ready = (await drafts.look(session, "mine", issuer=ISSUER, gateway_url=URL)).ready

    assert [(clash.kind, clash.name, clash.now) for clash in looked.clashes] == [("policy", "sales", theirs)]
    assert ready


async def test_a_policy_in_use_is_not_retired(database: Database, now: datetime) -> None:
    await publish(database, now, SALES)

    async with database.write() as session:
        with pytest.raises(Conflict, match="routes need this policy"):
            await retire_policy(session, "sales", actor="ada", now=now)
        named = await routes_with(session, "sales")
        await save_route(session, replace(ROUTE, policies=()), actor="ada", now=now)
        await retire_policy(session, "sales", actor="ada", now=now)
        with pytest.raises(NotFound):
            await remove_policy(session, "sales", actor="ada", now=now)

    assert [route.name for route in named] == ["shop"]


async def test_what_does_not_stand_is_refused(database: Database, now: datetime) -> None:
    for policy, where in ((replace(SALES, name="No"), "name"), (replace(SALES, text="permit all;"), "text")):
        async with database.write() as session:
            with pytest.raises(Invalid) as refused:
                await save_policy(session, policy, actor="ada", now=now)
        assert [problem.where for problem in refused.value.problems] == [where]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("permit (principal, action, resource)\nwhen {\n  context.path ==\n};\n", 4, "unexpected token `}`"),
        ("permit (principal action, resource);", 1, "unexpected token `action`"),
        ("permit (principal, action, resource);\n\nforbid (principal,\n", 3, "unexpected end of input"),
        (
            "permit (principal, action, resource);\nallow;\npermit (principal, action, resource);",
            2,
            "unexpected token `;`",
        ),
        ('permit (principal, action, resource) when { context.path == "\u00e5" + };', 1, "unexpected token"),
    ],
)
def test_the_line_that_is_wrong_is_told(text: str, line: int, said: str) -> None:
    found = wrong_at(text)
    [problem] = policy_problems(NamedPolicy("p", text))

    assert found is not None
    assert (found[0], said in found[1]) == (line, True), found
    assert f"line {line}: " in problem.detail
    assert problem.detail.isascii()


def test_a_text_that_stands_has_no_wrong_line() -> None:
    assert wrong_at(SALES.text) is None


async def test_a_route_that_writes_the_same_itself_differs_in_words_of_nothing(
    database: Database, now: datetime
) -> None:
    """Moving a text from the route to a shared policy changes objects, and nobody's rights."""
    async with database.read() as session:
        empty = await draft(session, issuer=ISSUER, gateway_url=URL)
    own = replace(ROUTE, policies=(), policy=SALES.text)
    before = replace(empty, services=(SERVICE,), routes=(own,))
    after = replace(empty, services=(SERVICE,), routes=(ROUTE,), policies=(SALES,))

    found = difference(before, after)

    assert {(one.kind, one.action) for one in found.changes} == {("route", "update"), ("policy", "create")}
    assert found.words == ()
