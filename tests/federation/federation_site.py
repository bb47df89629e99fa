"""The pages of people with federation, over an open database, and what a test needs to go to a provider and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from federation.fake_provider import FakeProvider
from kronborg.accounts.model import User
from kronborg.accounts.store import find_by_login, find_user
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.federation import linked_pages
from kronborg.federation import pages as federation_pages
from kronborg.federation.model import Identity, Kind, Provider, ProviderDraft, ProviderSettings
from kronborg.federation.parts import FederationParts
from kronborg.federation.providers import save_provider
from kronborg.federation.providers_store import identities_of
from kronborg.signin.own_ways import has_own_way
from outside import LOOPBACK
from people_site import PeopleSite, Visitor, people_site


@dataclass
class FederationSite:
    """The app, and its providers."""

    people: PeopleSite

    @property
    def database(self) -> Database:
        return self.people.parts.database

    def visitor(self) -> Visitor:
        return self.people.visitor()

    async def provider(
        self, fake: FakeProvider, key: str = "corp", *, kind: Kind = "oidc", secret: str | None = None, **settings: Any
    ) -> Provider:
        """Register it here, or change it."""
        known = ProviderSettings(issuer=fake.issuer if kind == "oidc" else "", client_id=fake.client_id)
        draft = ProviderDraft(key, kind, key.title(), replace(known, **settings))
        async with self.database.write() as session:
            vault = self.people.parts.vault
            given = fake.secret if secret is None else secret
            return await save_provider(session, vault, draft, secret=given, actor="test", now=clock.now())

    async def user(self, username: str, *, verified: bool = False, **new: Any) -> User:
        """A local account without a password."""
        async with self.database.write() as session:
            user = await create_user(session, NewUser(username, **new), actor="test", now=clock.now())
            change = UserChange(email_verified=verified)
            return await update_user(session, user.id, change, actor="test", now=clock.now())

    async def found(self, login: str) -> User | None:
        async with self.database.read() as session:
            return await find_by_login(session, login)

    async def by_id(self, user_id: str) -> User:
        async with self.database.read() as session:
            user = await find_user(session, user_id)
        assert user is not None
        return user

    async def links(self, user_id: str) -> list[Identity]:
        async with self.database.read() as session:
            return list(await identities_of(session, user_id))

    async def go(self, visitor: Visitor, key: str = "corp", query: str = "next=/account/linked") -> str:
        """The address at the provider that a browser is sent to."""
        answer = await visitor.get(f"/federation/{key}/start?{query}")
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def come_back(self, visitor: Visitor, path: str) -> httpx.Response:
        """Follow the way back as far as it is ours: to a page, or signed in."""
        answer = await visitor.get(path)
        for _ in range(6):
            if not answer.is_redirect or not answer.headers["location"].startswith("/"):
                return answer
            answer = await visitor.get(answer.headers["location"])
        raise AssertionError("redirected in circles")

    async def sign_in(
        self, visitor: Visitor, fake: FakeProvider, key: str = "corp", **changes: str | None
    ) -> httpx.Response:
        """To the provider and back."""
        return await self.come_back(visitor, fake.answer(await self.go(visitor, key), **changes))

    async def is_signed_in(self, visitor: Visitor) -> bool:
        return (await visitor.get("/account/linked")).status_code == 200

    async def events(self, name: str) -> list[str]:
        rows = await self.database.lookup.all("SELECT subject FROM core_events WHERE name = ? ORDER BY seq", (name,))
        return [str(row[0]) for row in rows]


@asynccontextmanager
async def federation_site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    """The site; it may call providers on this machine."""
    routes = (*federation_pages.routes(), *linked_pages.routes())
    async with people_site(database, vault, routes=routes) as people:
        people.app.state.federation = FederationParts(Fetcher(LOOPBACK), has_own_way)
        yield FederationSite(people)
