"""Identity providers in the console and the admin API: made from a preset, tested, switched, deleted; rights."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from federation.fake_provider import FakeProvider, fake_provider
from federation.federation_site import FederationSite, federation_site
from kronborg.accounts.principals import principal_of
from kronborg.accounts.users import UserChange, update_user
from kronborg.core import clock
from kronborg.core.api import Caller
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Refusal
from kronborg.core.http import refusal_problem
from kronborg.core.policy import Policies
from kronborg.federation import providers_pages
from kronborg.federation.client_secrets import open_secret
from kronborg.federation.providers_store import find_provider
from people_site import Visitor

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as fake:
        yield fake


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    async with federation_site(database, vault) as site:
        state = site.people.app.state
        site.people.app.router.routes.extend(providers_pages.routes())
        state.policies = Policies()
        state.principal_of = lambda visit: principal_of(database, visit.user_id)
        yield site


async def visitor_with(site: FederationSite, role: str) -> Visitor:
    user = await site.people.person("boss")
    async with site.database.write() as session:
        await update_user(session, user.id, UserChange(roles=(role,)), actor="test", now=clock.now())
    visitor = site.visitor()
    await visitor.sign_in("boss")
    return visitor


def _form(fake: FakeProvider, **changes: str) -> dict[str, str]:
    return {
        "name": "Corp",
        "key": "corp",
        "issuer": fake.issuer,
        "client_id": "kronborg",
        "secret": fake.secret,
        **changes,
    }


async def test_a_provider_is_made_edited_tested_and_deleted(site: FederationSite, fake: FakeProvider) -> None:
    visitor = await visitor_with(site, "kronborg:admin")
    new = "/console/providers/-/new"

    made = await visitor.post(new, _form(fake, provision="1"), page=f"{new}?start=oidc")
    shown = await visitor.get("/console/providers/corp")
    tested = await visitor.post("/console/providers/corp/test", page="/console/providers/corp")
    version = shown.text.split('name="version" value="')[1].split('"')[0].replace("&#43;", "+")
    changed = {**_form(fake), "groups": "a = Staff\nb = Guards", "secret": "", "version": version}
    saved = await visitor.post("/console/providers/corp", changed, page="/console/providers/corp")
    off = await visitor.post("/console/providers/corp/switch", {"enabled": "0"}, page="/console/providers/corp")

    assert made.headers["location"] == "/console/providers/corp?done=made"
    assert "http://localhost:8081/federation/corp/callback" in shown.text
    assert fake.secret not in shown.text
    assert "It answers as it should" in tested.text
    assert saved.headers.get("location") == "/console/providers/corp?done=saved", saved.text
    assert off.status_code == 303
    async with site.database.read() as session:
        provider = await find_provider(session, "corp")
    assert provider is not None
    assert dict(provider.settings.groups) == {"a": "Staff", "b": "Guards"}
    assert not provider.settings.enabled
    assert open_secret(site.people.parts.vault, provider) == fake.secret

    await site.user("hamlet", managed_by="provider:corp")
    asked = await visitor.get("/console/providers/corp/delete")
    kept = await visitor.post("/console/providers/corp/delete", {"typed": "other"})
    gone = await visitor.post("/console/providers/corp/delete", {"typed": "corp", "accounts": "disable"})
    hamlet = await site.found("hamlet")

    assert (kept.status_code, gone.status_code) == (422, 303)
    assert await site.events("provider.removed") == ["corp"]
    assert '<option value="release">Make them ordinary accounts' in asked.text
    assert hamlet is not None
    assert (hamlet.managed_by, hamlet.disabled) == ("", True)


async def test_what_is_wrong_is_told_and_nothing_is_made(site: FederationSite, fake: FakeProvider) -> None:
    visitor = await visitor_with(site, "kronborg:admin")
    new = "/console/providers/-/new"

    answer = await visitor.post(
        new, _form(fake, key="Not a key", issuer="http://plain.example"), page=f"{new}?start=oidc"
    )

    assert answer.status_code == 422
    assert "is not an https address" in answer.text
    assert "at most 40 lower-case letters" in answer.text


async def test_the_reason_why_a_connection_fails_is_for_administrators(
    site: FederationSite, fake: FakeProvider
) -> None:
    await site.provider(fake)
    fake.metadata = {"issuer": "https://evil.example"}
    visitor = await visitor_with(site, "kronborg:admin")

    answer = await visitor.post("/console/providers/corp/test", page="/console/providers/corp")

    assert "discovery names another issuer" in answer.text


@pytest.mark.parametrize(("role", "read", "write"), [("kronborg:auditor", 200, 403), ("staff", 403, 403)])
async def test_who_may_see_and_who_may_change(
    site: FederationSite, fake: FakeProvider, role: str, read: int, write: int
) -> None:
    await site.provider(fake)
    visitor = await visitor_with(site, role)

    pages = [await visitor.get(f"/console/providers{path}") for path in ("", "/corp")]
    new = await visitor.get("/console/providers/-/new")
    off = await visitor.post("/console/providers/corp/switch", {"enabled": "0"}, page="/account/linked")

    assert [page.status_code for page in pages] == [read, read]
    assert new.status_code == write
    assert off.status_code == 403


@pytest.mark.parametrize("start", ["oidc", "oauth2", "saml", "google", "microsoft", "github", "apple", "linkedin"])
async def test_each_preset_has_its_form(site: FederationSite, start: str) -> None:
    visitor = await visitor_with(site, "kronborg:admin")

    page = await visitor.get(f"/console/providers/-/new?start={start}")

    assert page.status_code == 200
    assert 'name="client_id"' in page.text


async def test_the_admin_api_makes_reads_and_removes(site: FederationSite, fake: FakeProvider) -> None:
    async with _api(site) as http:
        body = {
            "kind": "oidc",
            "name": "Corp",
            "settings": {"issuer": fake.issuer, "client_id": "kronborg", "home_domains": ["corp.example"]},
            "secret": fake.secret,
        }

        made = await http.put("/providers/corp", json=body)
        listed = await http.get("/providers")
        wrong = await http.put("/providers/corp", json={**body, "settings": {"issuer": "nowhere"}})
        stale = await http.put("/providers/corp", json=body, headers={"if-match": '"other"'})
        unknown = await http.put("/providers/corp", json={**body, "settings": {"isuer": "x"}})
        again = await http.put("/providers/corp/secret", json={"secret": "another"})
        gone = await http.delete("/providers/corp")

    assert made.status_code == 200, made.text
    assert fake.secret not in made.text
    assert made.json()["settings"] == body["settings"]
    assert made.json()["callback"] == "http://localhost:8081/federation/corp/callback"
    assert [one["key"] for one in listed.json()["items"]] == ["corp"]
    assert (wrong.status_code, again.status_code, gone.status_code) == (422, 204, 204)
    assert {one["where"] for one in wrong.json()["problems"]} == {"issuer", "client_id"}
    assert stale.status_code in (412, 400)
    assert unknown.status_code in (200, 422)


def _api(site: FederationSite) -> httpx.AsyncClient:
    """The router alone: tests of the admin API see to its guard."""
    from fastapi import FastAPI

    from kronborg.federation import providers_api

    app = FastAPI()
    app.include_router(providers_api.router)
    app.add_exception_handler(Refusal, refusal_problem)
    app.state.parts = site.people.parts

    async def as_admin(scope: dict[str, object], receive: object, send: object) -> None:
        scope["state"] = {"caller": Caller("user:admin", "cli", ("admin:write",))}
        await app(scope, receive, send)  # type: ignore[arg-type]  # the names of ASGI

    return httpx.AsyncClient(transport=httpx.ASGITransport(as_admin), base_url="http://api.example")  # type: ignore[arg-type]  # the names of ASGI
