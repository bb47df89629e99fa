"""The pages of people as one app on a real database, and a browser without pictures to visit it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from kronborg.accounts.model import User
from kronborg.accounts.people import People
from kronborg.accounts.settings import PeopleSettings
from kronborg.accounts.users import NewUser, create_user
from kronborg.core import clock, error_pages
from kronborg.core.brand import Brand
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.html import Pages
from kronborg.core.http import Edge
from kronborg.core.parts import Parts
from kronborg.factors import pages as factor_pages
from kronborg.factors.parts import FactorParts
from kronborg.factors.texts import Sender
from kronborg.federation.directories import Directories
from kronborg.signin import account_pages, journey_pages, pages, self_pages
from kronborg.signin.model import PasswordSettings, SignInSettings
from kronborg.signin.parts import SignInParts
from kronborg.signin.passwords import set_password

PASSWORD = "to be or not to be"
QUICK = SignInSettings(passwords=PasswordSettings(memory_kib=64, passes=1))
"""Argon2id made cheap: these tests are about everything else."""


@dataclass
class Visitor:
    """One browser: keeps cookies, follows nothing, sends the headers a browser sends."""

    http: httpx.AsyncClient
    issuer: str

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return await self.http.get(path, headers={"accept": "text/html", **(headers or {})})

    async def post(
        self,
        path: str,
        values: Mapping[str, str] | None = None,
        *,
        page: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send a form of the page at `page` (default: `path`) with its token, and what it holds in hidden fields."""
        shown = await self.get(page or path)
        sent = {"accept": "text/html", "origin": self.issuer, "sec-fetch-site": "same-origin", **(headers or {})}
        return await self.http.post(path, data={**hidden(shown.text), **(values or {})}, headers=sent)

    async def sign_in(self, name: str, password: str = PASSWORD, *, page: str = "/signin") -> httpx.Response:
        return await self.post("/signin", {"username": name, "password": password}, page=page)

    async def is_signed_in(self) -> bool:
        return (await self.get("/account")).status_code == 200


@dataclass
class PeopleSite:
    """The app and what it stands on."""

    app: Starlette
    parts: Parts
    signin: SignInParts
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def visitor(self, *, address: str = "203.0.113.7", user_agent: str = "Firefox/140.0 (X11; Linux)") -> Visitor:
        transport = httpx.ASGITransport(
            Edge(self.app, secure=self.parts.secure), client=(address, 40000), raise_app_exceptions=False
        )
        http = httpx.AsyncClient(
            transport=transport, base_url=self.parts.issuer, headers={"user-agent": user_agent}, trust_env=False
        )
        self.clients.append(http)
        return Visitor(http, self.parts.issuer)

    async def person(self, username: str, *, password: str = PASSWORD, disabled: bool = False) -> User:
        async with self.parts.database.write() as session:
            new = NewUser(username, f"{username}@kronborg.example", username.title(), disabled=disabled)
            user = await create_user(session, new, actor="test", now=clock.now())
            await set_password(
                session, user.id, password, actor="test", now=clock.now(), passwords=self.signin.passwords
            )
        return user


@asynccontextmanager
async def people_site(
    database: Database,
    vault: Vault,
    *,
    issuer: str = "http://localhost:8081",
    settings: SignInSettings = QUICK,
    brand: Brand | None = None,
    idle: timedelta = timedelta(hours=12),
    absolute: timedelta = timedelta(days=14),
    routes: tuple[BaseRoute, ...] = (),
    people: PeopleSettings | None = None,
    texts: Sender | None = None,
) -> AsyncIterator[PeopleSite]:
    """The app over an open database; more `routes` than ours for a test of its own."""
    shown = Pages(brand)
    app = Starlette(
        routes=[
            *pages.routes(),
            *journey_pages.routes(),
            *factor_pages.routes(),
            *account_pages.routes(),
            *self_pages.routes(),
            *shown.routes(),
            *routes,
        ],
        exception_handlers=error_pages.handlers(),
    )
    app.state.parts = Parts(database, vault, issuer, session_idle=idle, session_absolute=absolute)
    app.state.pages = shown
    app.state.signin = SignInParts.make(settings)
    app.state.factors = FactorParts(settings.factors, texts)
    app.state.directories = Directories(database, vault)
    app.state.people = People.make(vault, issuer, people, brand)
    app.state.registration = app.state.people.settings.registration.open
    site = PeopleSite(app, app.state.parts, app.state.signin)
    yield site
    for client in site.clients:
        await client.aclose()


def hidden(text: str) -> dict[str, str]:
    """The hidden fields of the first form of a page."""
    form = re.search(r"<form.*?</form>", text, re.S)
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form.group() if form else "")
    return {name: value.replace("&amp;", "&").replace("&#34;", '"') for name, value in found}
