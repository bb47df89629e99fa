"""The AuthZEN decision endpoint: who may ask, what is answered, and how batches end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

from admin.conftest import Admin, open_admin
from kronborg.accounts.users import NewUser, create_user, disable_user
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import add_secret, save_api, save_client
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.gateway.access_model import AccessRule
from kronborg.gateway.model import Audience, Path, Route, Service, Snapshot
from kronborg.gateway.publish import publish

pytestmark = pytest.mark.anyio
API, OTHER = "https://shop.example/catalogue", "https://shop.example/cart"
ISSUER = "http://localhost:8081"
SNAPSHOT = Snapshot(
    ISSUER,
    (Service("echo", ("http://127.0.0.1:9",)),),
    (
        Route("read", Path("prefix", "/items"), "echo", methods=("GET",), audience=API, scopes=("catalogue:read",)),
        Route("write", Path("prefix", "/items"), "echo", methods=("POST",), audience=API, roles=("clerk",)),
        Route(
            "boss",
            Path("exact", "/boss"),
            "echo",
            audience=API,
            rules=(AccessRule(("POST",), roles=("clerk",)),),
            policy='permit(principal, action, resource) when { context.claims.department == "sales" };',
        ),
        Route("cart", Path("prefix", "/cart"), "echo", audience=OTHER),
    ),
    (Audience(API, ("catalogue:read",)), Audience(OTHER)),
)


@dataclass
class Asker:
    """A resource server that asks."""

    admin: Admin
    auth: tuple[str, str]
    user: str

    async def ask(
        self, path: str = "/access/v1/evaluation", *, auth: tuple[str, str] | None = None, **body: Any
    ) -> object:
        answer = await self.admin.http.post(path, json=body, auth=auth or self.auth)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def may(self, action: str, url: str, **context: object) -> tuple[bool, str]:
        told = await self.ask(
            subject={"type": "user", "id": self.user},
            action={"name": action},
            resource={"type": "url", "id": url},
            context=context,
        )
        assert isinstance(told, dict)
        return told["decision"], told.get("context", {}).get("reason", "")


@pytest.fixture
async def asker(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Asker]:
    admin = await open_admin(database, vault)
    async with database.write() as session:
        await save_api(session, ApiDraft(API, "Catalogue", (Scope("catalogue:read", "Read"),)), actor="test", now=now)
        await save_api(session, ApiDraft(OTHER, "Cart"), actor="test", now=now)
        await save_client(session, ClientDraft("items", "items", audiences=(API,)), actor="test", now=now)
        secret = await add_secret(session, vault, "items", actor="test", now=clock.now())
        user = await create_user(session, NewUser("hamlet", roles=("clerk",)), actor="test", now=now)
        await publish(session, SNAPSHOT, author="test", now=now)
    yield Asker(admin, ("items", secret.secret), user.id)
    await admin.http.aclose()


async def test_the_answers_are_those_of_the_gateway(asker: Asker) -> None:
    answers = {
        "read": await asker.may("GET", "/items/7"),
        "write": await asker.may("POST", "/items"),
        "short": await asker.may("GET", "/items", scope="profile"),
        "policy": await asker.may("GET", "/boss"),
        "sales": await asker.may("GET", "/boss", claims={"department": "sales"}),
        "method": await asker.may("BREW", "/items"),
        "nothing": await asker.may("GET", "/nowhere"),
        "not theirs": await asker.may("GET", "/cart"),
        "escaping": await asker.may("GET", "/items/../boss"),
    }

    assert answers == {
        "read": (True, ""),
        "write": (True, ""),
        "short": (False, "missing_scope"),
        "policy": (False, "policy_denied"),
        "sales": (True, ""),
        "method": (False, "unknown_action"),
        "nothing": (False, "unknown_resource"),
        "not theirs": (False, "unknown_resource"),
        "escaping": (False, "policy_denied"),
    }


async def test_a_new_version_is_asked_from_the_next_question_on(asker: Asker) -> None:
    before = await asker.may("GET", "/items/7")
    closed = replace(SNAPSHOT, routes=SNAPSHOT.routes[1:])

    async with asker.admin.database.write() as session:
        await publish(session, closed, author="test", now=clock.now())

    assert (before, await asker.may("GET", "/items/7")) == ((True, ""), (False, "unknown_resource"))


async def test_what_the_context_says_is_no_right(asker: Asker) -> None:
    async with asker.admin.database.write() as session:
        other = await create_user(session, NewUser("ophelia"), actor="test", now=clock.now())
    asker.user = other.id

    decision = await asker.may("POST", "/items", claims={"roles": ["clerk"], "aud": OTHER}, roles=["clerk"])

    assert decision == (False, "missing_role")


async def test_who_is_disabled_or_unknown_may_nothing(asker: Asker) -> None:
    async with asker.admin.database.write() as session:
        await disable_user(session, asker.user, actor="test", now=clock.now())

    disabled = await asker.may("GET", "/items")
    asker.user = "nobody"

    assert disabled == await asker.may("GET", "/items") == (False, "unknown_subject")


async def test_only_a_client_that_proves_itself_may_ask(asker: Asker) -> None:
    http, body = asker.admin.http, {"subject": {"type": "user", "id": "x"}}

    answers = [
        await http.post("/access/v1/evaluation", json=body),
        await http.post("/access/v1/evaluation", json=body, auth=("items", "wrong")),
        await http.post("/access/v1/evaluations", json=body),
        await http.post("/access/v1/evaluation", json=body, headers=asker.admin.write),
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 401]
    assert all(answer.headers["www-authenticate"].startswith("Basic") for answer in answers)


@pytest.mark.spec("AuthZEN §7")
@pytest.mark.parametrize(
    ("semantic", "decisions"),
    [
        (None, [True, False, False, True]),
        ("execute_all", [True, False, False, True]),
        ("deny_on_first_deny", [True, False]),
        ("permit_on_first_permit", [True]),
    ],
)
async def test_a_batch_ends_as_it_was_asked_to(asker: Asker, semantic: str | None, decisions: list[bool]) -> None:
    told = await asker.ask(
        "/access/v1/evaluations",
        subject={"type": "user", "id": asker.user},
        action={"name": "GET"},
        evaluations=[
            {"resource": {"type": "route", "id": "read"}},
            {"resource": {"type": "route", "id": "cart"}},
            {"resource": "wrong"},
            {"resource": {"type": "url", "id": "/items"}, "action": {"name": "POST"}},
        ],
        options={} if semantic is None else {"evaluations_semantic": semantic},
    )

    assert isinstance(told, dict)
    assert [one["decision"] for one in told["evaluations"]] == decisions
    if len(decisions) == 4:
        assert told["evaluations"][2]["context"]["error"]["status"] == 400


@pytest.mark.spec("AuthZEN §7.1")
async def test_a_batch_of_none_is_one_question(asker: Asker) -> None:
    told = await asker.ask(
        "/access/v1/evaluations",
        subject={"type": "user", "id": asker.user},
        action={"name": "GET"},
        resource={"type": "route", "id": "read"},
    )

    assert told == {"decision": True}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"subject": {"type": "user"}}',
        b'{"subject":{"type":"user","id":"a"},"action":{"name":1},"resource":{"type":"route","id":"x"}}',
        b'{"evaluations": [' + b"{}," * 50 + b"{}]}",
        b'{"x": "' + b"a" * 70_000 + b'"}',
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
async def test_what_is_no_question_is_400(asker: Asker, content: bytes) -> None:
    headers = {"content-type": "application/json", "x-request-id": "a-request-of-mine-1"}

    answer = await asker.admin.http.post("/access/v1/evaluations", content=content, headers=headers, auth=asker.auth)

    assert (answer.status_code, answer.headers["x-request-id"]) == (400, "a-request-of-mine-1")


@pytest.mark.spec("AuthZEN §9")
async def test_the_metadata_says_where(asker: Asker) -> None:
    answer = await asker.admin.http.get("/.well-known/authzen-configuration")

    assert answer.json() == {
        "policy_decision_point": ISSUER,
        "access_evaluation_endpoint": f"{ISSUER}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{ISSUER}/access/v1/evaluations",
    }
