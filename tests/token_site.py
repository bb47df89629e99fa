"""The protocol endpoints as one app on a real database, with a clock to turn, and what a test needs to call them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import httpx
from starlette.applications import Starlette

from kronborg.accounts.model import User
from kronborg.accounts.users import NewUser, create_user
from kronborg.clients.model import ApiDraft, Client, ClientDraft, Scope
from kronborg.clients.register import add_secret, save_api, save_client
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.core.http import Edge, LimitBody
from kronborg.core.jose import parse
from kronborg.oauth.api import protocol_routes
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.tokens.codes import create_code
from kronborg.tokens.engine import Engine, open_engine
from kronborg.tokens.model import Authorization

ISSUER = "http://localhost:8081"
CATALOGUE = "https://shop.example/catalogue"
CART = "https://shop.example/cart"
USERINFO = f"{ISSUER}/oauth/userinfo"
VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "https://app.example/callback"
ALL_SCOPES = ("openid", "profile", "offline_access", "catalogue:read", "catalogue:write", "cart:read")


@dataclass
class Clock:
    """The time as the app sees it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass
class Person:
    """Someone who is signed in."""

    user: User
    session_id: str


@dataclass
class Site:
    """The app and what it stands on. `secrets` are those of the clients made here, by id."""

    engine: Engine
    http: httpx.AsyncClient
    clock: Clock
    secrets: dict[str, str] = field(default_factory=dict)

    async def client(self, client_id: str, **draft: Any) -> Client:
        """A registered client with one secret if its method needs one; by default one for client credentials."""
        wanted = ClientDraft(client_id, client_id, grants=("client_credentials",), scopes=ALL_SCOPES)
        wanted = replace(wanted, **draft)
        async with self.engine.database.write() as session:
            client = await save_client(session, wanted, actor="test", now=self.clock.now)
            if client.auth_method.startswith("client_secret"):
                made = await add_secret(session, self.engine.vault, client.id, actor="test", now=self.clock.now)
                self.secrets[client.id] = made.secret
        return client

    async def web_client(self, client_id: str = "web", **draft: Any) -> Client:
        """A public client that uses codes and refresh tokens."""
        grants = ("authorization_code", "refresh_token")
        public = {"kind": "public", "auth_method": "none", "grants": grants, "redirect_uris": (REDIRECT,)}
        return await self.client(client_id, **(public | draft))

    async def person(self, name: str = "hamlet", *, roles: tuple[str, ...] = ()) -> Person:
        """A user with a session."""
        async with self.engine.database.write() as session:
            user = await create_user(session, NewUser(name, name=name, roles=roles), actor="test", now=self.clock.now)
            begun = await begin_session(
                session,
                self.engine.vault,
                user.id,
                amr=("pwd",),
                origin=Origin("203.0.113.7", "test"),
                lifetime=timedelta(days=14),
                now=self.clock.now,
            )
        return Person(user, begun.session.id)

    async def code(self, person: Person, client_id: str = "web", **parts: Any) -> str:
        """A code as the authorization endpoint would make it."""
        authorization = Authorization(
            client_id=client_id,
            user_id=person.user.id,
            session_id=person.session_id,
            scopes=("openid", "catalogue:read"),
            audiences=(CATALOGUE, USERINFO),
            redirect_uri=REDIRECT,
            challenge=CHALLENGE,
            nonce="n-1",
            auth_time=self.clock.now,
        )
        return await create_code(self.engine, replace(authorization, **parts), now=self.clock.now)

    async def redeem(self, code: str, client_id: str = "web", **form: str) -> httpx.Response:
        """Trade a code as the right client would; what is given replaces or (empty) removes a parameter."""
        usual = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return await self.token(**{**usual, "client_id": client_id, **form})

    async def refresh(self, token: str, client_id: str = "web", **form: str) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=token, client_id=client_id, **form)

    async def tokens(self, person: Person, client_id: str = "web", **parts: Any) -> dict[str, Any]:
        """What the client gets for a fresh code of this person."""
        answer = await self.redeem(await self.code(person, client_id, **parts), client_id)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def token(self, auth: str | None = None, **form: str) -> httpx.Response:
        return await self.post("/oauth/token", auth, **form)

    async def introspect(self, token: str, auth: str = "catalogue-api") -> dict[str, Any]:
        answer = await self.post("/oauth/introspect", auth, token=token)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def post(self, path: str, auth: str | None = None, **form: str) -> httpx.Response:
        """POST a form; `auth` is the id of a client of this site that authenticates by Basic."""
        headers = {} if auth is None else {"authorization": basic(auth, self.secrets[auth])}
        return await self.http.post(path, data={k: v for k, v in form.items() if v}, headers=headers)


def claims_of(token: str) -> dict[str, Any]:
    """What a JWT says; nothing is verified."""
    return dict(parse(token).claims)


def basic(client_id: str, secret: str) -> str:
    """The Authorization header (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


@asynccontextmanager
async def token_site(
    database: Database, vault: Vault, now: datetime, *, fetcher: Fetcher | None = None
) -> AsyncIterator[Site]:
    """The site with two APIs: the catalogue with JWTs, the cart with reference tokens, and their resource servers."""
    clock = Clock(now)
    idle = timedelta(hours=12)
    engine = await open_engine(database, vault, issuer=ISSUER, session_idle=idle, now=now, fetcher=fetcher)
    async with database.write() as session:
        for draft in (
            ApiDraft(CATALOGUE, "Catalogue", (Scope("catalogue:read", "Read"), Scope("catalogue:write", "Write"))),
            ApiDraft(CART, "Cart", (Scope("cart:read", "See your cart"),), "reference"),
        ):
            await save_api(session, draft, actor="test", now=now)
    app = Starlette(routes=protocol_routes(engine, time=clock))
    app.state.engine = engine
    transport = httpx.ASGITransport(Edge(LimitBody(app), secure=False), client=("203.0.113.7", 40000))
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as http:
        site = Site(engine, http, clock)
        await site.client("catalogue-api", grants=(), scopes=(), audiences=(CATALOGUE,))
        await site.client("cart-api", grants=(), scopes=(), audiences=(CART,))
        yield site
