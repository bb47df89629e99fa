"""A policy of the installation about one object holds in the console as it does in the admin API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from console.conftest import ADMIN, ISSUER, Console
from kronborg.app import compose
from kronborg.clients.model import ApiDraft, ClientDraft, Scope
from kronborg.clients.register import ensure_admin_api, save_api, save_client
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.parts import Parts
from kronborg.core.rights import wish_of
from kronborg.gateway.model import Path as RoutePath
from kronborg.gateway.model import Route, Service
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.resilience_model import Breaker
from kronborg.gateway.store import put_route, put_service
from kronborg.tokens.engine import open_engine

pytestmark = pytest.mark.anyio
OWN = """
forbid (principal, action in [Action::"write", Action::"delete"], resource) when { resource.id == "kept" };
forbid (principal, action == Action::"routes:delete", resource);
forbid (principal, action == Action::"certificates:read", resource) when { resource.kind == "certificate" };
forbid (principal, action == Action::"access:revoke", resource) when { resource.kind == "access" };
"""
API = "https://shop.example/catalogue"


@pytest.fixture
async def console(database: Database, vault: Vault, tmp_path: Path) -> AsyncIterator[Console]:
    (tmp_path / "own.cedar").write_text(OWN, encoding="utf-8")
    parts = Parts(database, vault, ISSUER, fleet_url="https://control.example")
    engine = await open_engine(database, vault, issuer=ISSUER, session_idle=parts.session_idle, now=clock.now())
    await ensure_admin_api(database, issuer=ISSUER, now=clock.now())
    app = compose(parts, engine, settings=Settings(policies=tmp_path))
    now = clock.now()
    async with database.write() as session:
        await save_api(session, ApiDraft(API, "Catalogue", (Scope("read", "Read"),)), actor="t", now=now)
        client = ClientDraft("robot", "Robot", grants=("client_credentials",), scopes=("read",))
        await save_client(session, client, actor="t", now=now)
        for name in ("kept", "other"):
            await put_service(session, Service(name, ("http://127.0.0.1:9",), breaker=Breaker()), now=now)
            await put_route(session, Route(name, RoutePath("prefix", f"/{name}"), name, public=True), now=now)
        await publish_declared(session, issuer=ISSUER, gateway_url="http://localhost:8080", author="t", now=now)
    site = Console(engine, httpx.ASGITransport(app, raise_app_exceptions=False))
    yield site
    for http in site.opened:
        await http.aclose()


ROUTE = {"kind": "prefix", "at": "/x", "service": "other", "access": "public", "timeout": "15s", "max_body": "1MiB"}


FORMS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/console/routes/{}/edit", ROUTE),
    ("/console/routes/-/new", {**ROUTE, "name": "{}"}),
    ("/console/services/{}/edit", {"urls": "http://127.0.0.1:10", "connect_timeout": "1s"}),
    ("/console/services/-/new", {"name": "{}", "urls": "http://127.0.0.1:10", "connect_timeout": "1s"}),
    ("/console/policies/-/new", {"name": "{}", "text": "permit (principal, action, resource);"}),
    ("/console/breakers/{}", {"state": "open"}),
    ("/console/fleet/-/invite", {"name": "{}"}),
    ("/console/certificates/-/upload", {"name": "{}", "chain": "x", "key": "x"}),
    ("/console/certificates/-/order", {"name": "{}", "hosts": "shop.example"}),
    ("/console/issuers/-/new", {"name": "{}", "issuer": "https://x.example", "algorithms": "RS256"}),
)


async def test_what_is_forbidden_of_one_is_forbidden_of_that_one(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)
    answers = {}

    for path, form in FORMS:
        for name in ("kept", "other"):
            told = {field: value.format(name) for field, value in form.items()}
            answers[path, name] = (await ada.post(path.format(name), told, page="/account")).status_code

    assert {one for one, status in answers.items() if status == 403} == {(path, "kept") for path, _ in FORMS}, answers


async def test_who_may_not_delete_routes_removes_none_in_the_console(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)

    answer = await ada.post("/console/routes/other/remove", {"draft": ""})

    assert answer.status_code == 403


async def test_kinds_have_one_name_on_both_doors(console: Console) -> None:
    ada = await console.signed_in("ada", ADMIN)

    shown = await ada.get("/console/certificates")

    kinds = [wish_of("GET", path).resource.kind for path in ("/certificates", "/sessions", "/directories", "/routes/x")]
    assert shown.status_code == 403
    assert kinds == ["certificate", "access", "directory", "route"]
