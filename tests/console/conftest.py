"""The whole identity app on a real database, and browsers signed in as people with rights."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest

import furnished
from kronborg.accounts.model import User
from kronborg.accounts.users import NewUser, create_user
from kronborg.app import compose
from kronborg.core import clock
from kronborg.core.cookies import SESSION, cookie_name
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.parts import Parts
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.tokens.engine import Engine, open_engine
from people_site import Visitor

ISSUER = "http://localhost:8081"
ADMIN, SUPPORT, AUDITOR = ("kronborg:admin",), ("kronborg:support",), ("kronborg:auditor",)


@dataclass
class Console:
    """The app and what it stands on."""

    engine: Engine
    transport: httpx.ASGITransport
    opened: list[httpx.AsyncClient] = field(default_factory=list)

    async def person(self, username: str, roles: tuple[str, ...] = ()) -> User:
        async with self.engine.database.write() as session:
            new = NewUser(username, f"{username}@kronborg.example", username.title(), roles=roles)
            return await create_user(session, new, actor="test", now=clock.now())

    async def browser(self, user: User | None = None, *, ago: timedelta = timedelta(0)) -> Visitor:
        """A browser in which this person signed in so long ago; of a stranger without one."""
        http = httpx.AsyncClient(transport=self.transport, base_url=ISSUER, trust_env=False)
        self.opened.append(http)
        if user is not None:
            http.cookies.set(cookie_name(SESSION, secure=False), await self.session_of(user, ago=ago))
        return Visitor(http, ISSUER)

    async def session_of(self, user: User, *, ago: timedelta = timedelta(0)) -> str:
        """The secret of a new session that was begun so long ago."""
        async with self.engine.database.write() as session:
            begun = await begin_session(
                session,
                self.engine.vault,
                user.id,
                amr=("pwd",),
                origin=Origin("203.0.113.7", "Firefox/140.0 (X11; Linux)"),
                lifetime=timedelta(days=14),
                now=clock.now() - ago,
            )
        return begun.secret

    async def signed_in(self, username: str, roles: tuple[str, ...], *, ago: timedelta = timedelta(0)) -> Visitor:
        """A browser of a new person with these roles."""
        return await self.browser(await self.person(username, roles), ago=ago)


@pytest.fixture
async def console(database: Database, vault: Vault) -> AsyncIterator[Console]:
    parts = Parts(database, vault, ISSUER)
    known = await furnished.bring(database, "console")
    engine = await open_engine(database, vault, issuer=ISSUER, session_idle=parts.session_idle, now=clock.now())
    if known is None:
        furnished.keep(database, "console", {})
    site = Console(engine, httpx.ASGITransport(compose(parts, engine), raise_app_exceptions=False))
    yield site
    for http in site.opened:
        await http.aclose()
