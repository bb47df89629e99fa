"""Who may call a route: by policies, through nested groups, and what cannot be counted is said."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kronborg.accounts.groups import create_group
from kronborg.accounts.users import NewUser, create_user
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import save_api, save_client
from kronborg.core import clock
from kronborg.core.db import Database
from kronborg.gateway.access_model import AccessRule, ClaimRule, StepUp
from kronborg.gateway.model import Path, Route
from kronborg.gateway.simulate_callers import Callers, who_may_call

pytestmark = pytest.mark.anyio

API = "https://shop.example/orders"
MACHINE = 'permit(principal, action, resource) when { context.client == "batch" };'
WEB_WRITES = 'permit(principal, action == Action::"POST", resource) when { context.scopes.contains("orders:write") };'
A_PERSON = 'permit(principal == Subject::"user-1", action, resource);'


@pytest.fixture
async def shop(database: Database) -> Database:
    now = clock.now()
    async with database.write() as session:
        scopes = (Scope("orders:read", "Read"), Scope("orders:write", "Write"))
        await save_api(session, ApiDraft(API, "Orders", scopes), actor="t", now=now)
        batch = ClientDraft("batch", "Batch", grants=("client_credentials",), scopes=("orders:read",))
        web = ClientDraft(
            "web",
            "Web",
            redirect_uris=("https://shop.example/callback",),
            grants=("authorization_code",),
            scopes=("openid", "orders:read", "orders:write"),
        )
        for one in (batch, web):
            await save_client(session, one, actor="t", now=now)
        outer = await create_group(session, "Staff", roles=("clerk",), actor="t", now=now)
        inner = await create_group(session, "Night shift", roles=(), parent=outer.name, actor="t", now=now)
        for name, roles, groups in (("ana", ("clerk",), ()), ("ben", (), (inner.name,)), ("cy", (), ())):
            new = NewUser(name, f"{name}@shop.example", name.title(), roles=roles, groups=groups)
            await create_user(session, new, actor="t", now=now)
    return database


async def ask(shop: Database, route: Route, method: str = "GET") -> Callers:
    async with shop.read() as session:
        return await who_may_call(session, route, method)


def route(**more: object) -> Route:
    return Route("orders", Path("prefix", "/orders"), "orders", audience=API, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "method", "clients"),
    [
        (None, "GET", {"batch", "web"}),
        (MACHINE, "GET", {"batch"}),
        (WEB_WRITES, "GET", set()),
        (WEB_WRITES, "POST", {"web"}),
        (A_PERSON, "GET", {"web"}),
    ],
)
async def test_applications_that_a_policy_permits_nothing_are_left_out(
    shop: Database, policy: str | None, method: str, clients: set[str]
) -> None:
    found = await ask(shop, route(policy=policy), method)

    assert {one.id for one in found.clients} == clients
    assert any("Cedar" in one for one in found.besides) == (policy is not None)


async def test_people_have_roles_through_nested_groups(shop: Database) -> None:
    found = await ask(shop, route(roles=("clerk",)))

    (holders,) = found.roles
    assert [name for _, name in holders.groups] == ["Night shift", "Staff"]
    assert [(name, group) for _, name, group in holders.people] == [("ana", ""), ("ben", "Night shift")]
    assert not holders.more_people


async def test_what_cannot_be_counted_is_said(shop: Database) -> None:
    found = await ask(
        shop,
        route(
            rules=(AccessRule(claims=(ClaimRule("tier", ("gold",)),)),),
            step_up=StepUp(("phr",), timedelta(minutes=5)),
            issuers=("acme",),
            credentials=("token", "api_key", "personal_token"),
            bound="required",
        ),
    )

    told = " ".join(found.besides)
    assert all(word in told for word in ("claim tier", "signed in", "acme", "API keys", "personal access", "bound"))
    assert {one.id for one in found.clients} == {"web"}
