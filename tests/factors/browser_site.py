"""The whole way through a sign-in on a real port: pages, protocol, a client to step up for, and a Chromium to drive."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlencode

import uvicorn
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kronborg.clients.model import ClientDraft
from kronborg.clients.register import save_client
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.http import Edge
from kronborg.factors.model import FactorSettings
from kronborg.oauth.api import protocol_routes
from kronborg.oauth.authorize_api import browser_routes
from kronborg.signin.model import PasswordSettings, SignInSettings
from kronborg.signin.parts import SignInParts
from kronborg.tokens.engine import open_engine
from people_site import PeopleSite, people_site

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636 Appendix B


@dataclass
class Running:
    """The site behind a real port, and the client's own."""

    site: PeopleSite
    url: str
    client: str

    def authorize(self, **more: str) -> str:
        """An authorization request of the client."""
        values = {
            "response_type": "code",
            "client_id": "bank",
            "redirect_uri": f"{self.client}/callback",
            "scope": "openid",
            "state": "s",
            "nonce": "n",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **more,
        }
        return f"{self.url}/oauth/authorize?{urlencode(values)}"


@asynccontextmanager
async def running_site(
    database: Database, vault: Vault, *, factors: FactorSettings | None = None
) -> AsyncIterator[Running]:
    (listener, url), (other_listener, client_url) = _listening(), _listening()

    async def callback(request: Request) -> Response:
        return PlainTextResponse(f"back at the bank: {', '.join(sorted(request.query_params))}")

    passwords = PasswordSettings(memory_kib=64, passes=1)
    settings = SignInSettings(passwords=passwords, factors=factors or FactorSettings())
    engine = await open_engine(database, vault, issuer=url, session_idle=timedelta(hours=12), now=clock.now())
    engine = replace(engine, signin=SignInParts.make(settings))
    redirect = f"{client_url}/callback"
    draft = ClientDraft("bank", "Bank", kind="public", auth_method="none", redirect_uris=(redirect,), first_party=True)
    async with database.write() as session:
        await save_client(
            session, replace(draft, scopes=("openid",), grants=("authorization_code",)), actor="test", now=clock.now()
        )
    routes = (*protocol_routes(engine), *browser_routes(engine))
    async with AsyncExitStack() as stack:
        opened = people_site(database, vault, issuer=url, settings=settings, routes=routes)
        site = await stack.enter_async_context(opened)
        await stack.enter_async_context(_served(Edge(site.app, secure=False), listener))
        other = Starlette(routes=[Route("/callback", callback)])
        await stack.enter_async_context(_served(other, other_listener))
        yield Running(site, url, client_url)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        await browser.close()


async def with_authenticator(context: BrowserContext, page: Page) -> tuple[CDPSession, str]:
    """A platform authenticator that knows its person, in place of a fingerprint sensor; its session and id."""
    session = await context.new_cdp_session(page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, str(made["authenticatorId"])


@asynccontextmanager
async def _served(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _listening() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"http://localhost:{listener.getsockname()[1]}"
