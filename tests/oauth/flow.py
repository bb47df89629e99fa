"""The whole authorization server as one app on a real database, and a driver that goes through it as people do.

flow.authorize(browser)          the request in a browser: a page of ours, or the redirect that leaves us
flow.code(browser)               sign in if asked, allow if asked, and take the code
flow.exchange(code), flow.refresh(token), flow.introspect(token), flow.userinfo(token)
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx
import pytest

import furnished
from forms import Form, forms_of
from kronborg.accounts.model import User
from kronborg.clients.admission import NOBODY, Admission
from kronborg.clients.model import ApiDraft, Client, ClientDraft, Scope
from kronborg.clients.register import add_secret, save_api, save_client
from kronborg.core import clock as core_clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.fetch import Fetcher
from kronborg.core.json import JsonValue
from kronborg.oauth.api import protocol_routes
from kronborg.oauth.authorize_api import browser_routes
from kronborg.signin.parts import SignInParts
from kronborg.tokens.engine import Engine, open_engine
from people_site import PASSWORD, QUICK, PeopleSite, people_site

ISSUER = "http://localhost:8081"
USERINFO = f"{ISSUER}/oauth/userinfo"
CATALOGUE = "https://shop.example/catalogue"
CART = "https://shop.example/cart"
VERIFIER = "a-code-verifier-of-at-least-forty-three-characters"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()

WEB = ClientDraft(
    "web",
    "Web shop",
    kind="public",
    auth_method="none",
    redirect_uris=("https://web.example/callback",),
    post_logout_redirect_uris=("https://web.example/bye",),
    web_origins=("https://web.example",),
    grants=("authorization_code", "refresh_token"),
    scopes=("openid", "profile", "email", "offline_access", "catalogue:read", "catalogue:write", "cart:read"),
    first_party=True,
)
WISH_LIST = ClientDraft(
    "wish-list",
    "Wish list",
    redirect_uris=("https://wish.example/callback", "https://wish.example/other"),
    post_logout_redirect_uris=("https://wish.example/bye",),
    grants=("authorization_code", "refresh_token"),
    scopes=("openid", "profile", "offline_access", "catalogue:read", "cart:read"),
)
RESOURCE_SERVER = ClientDraft(
    "resource-server", "Resource server", grants=("client_credentials",), audiences=(CATALOGUE, CART)
)

Value = str | int | Sequence[str] | None


@dataclass
class Clock:
    """The time as every part of the app sees it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass
class Browser:
    """Keeps cookies, follows redirects as long as they stay with us, and submits the forms of our pages."""

    http: httpx.AsyncClient

    async def get(self, url: str) -> httpx.Response:
        return await self._follow(await self.http.get(url, headers={"accept": "text/html"}))

    async def post(self, url: str, values: Mapping[str, str], *, site: str = "same-origin") -> httpx.Response:
        headers = {"accept": "text/html", "sec-fetch-site": site}
        return await self._follow(await self.http.post(url, data=dict(values), headers=headers))

    async def submit(self, page: httpx.Response, form: Form, values: Mapping[str, str]) -> httpx.Response:
        return await self.post(urljoin(str(page.url), form.action or str(page.url)), {**form.fields, **values})

    async def sign_in(self, page: httpx.Response, username: str = "ada", password: str = PASSWORD) -> httpx.Response:
        """Fill in the form of a sign-in page."""
        [form] = [form for form in forms_of(page) if "password" in form.fields]
        return await self.submit(page, form, {"username": username, "password": password})

    async def press(self, page: httpx.Response, decision: str) -> httpx.Response:
        """Press the button with this value."""
        [form] = [form for form in forms_of(page) if ("decision", decision) in form.buttons]
        return await self.submit(page, form, {"decision": decision})

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        for _ in range(8):
            if not answer.is_redirect:
                return answer
            # RFC 9700 §4.12: nothing here may make a browser repeat a POST elsewhere.
            assert answer.status_code == 303
            target = urljoin(str(answer.url), answer.headers["location"])
            if not target.startswith(f"{ISSUER}/"):
                return answer
            answer = await self.http.get(target, headers={"accept": "text/html"})
        raise AssertionError("redirected in circles")


@dataclass
class Flow:
    """The server, its time, and what was registered. `secrets` are those of the clients, by id."""

    site: PeopleSite
    engine: Engine
    clock: Clock
    http: httpx.AsyncClient
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.engine.database

    async def person(self, username: str = "ada", *, disabled: bool = False) -> User:
        return await self.site.person(username, disabled=disabled)

    async def client(self, draft: ClientDraft, **changes: object) -> Client:
        """Register a client, with a secret if its method needs one, or change one."""
        async with self.database.write() as session:
            draft = replace(draft, **changes)  # type: ignore[arg-type]  # the fields of a draft
            client = await save_client(session, draft, actor="test", now=self.clock.now)
            if client.auth_method.startswith("client_secret") and client.id not in self.secrets:
                made = await add_secret(session, self.engine.vault, client.id, actor="test", now=self.clock.now)
                self.secrets[client.id] = made.secret
        return client

    def browser(self) -> Browser:
        """A browser that was never here."""
        return Browser(self.site.visitor().http)

    def driver(self) -> Browser:
        """A browser that shares the cookies of `http`."""
        return Browser(self.http)

    def url(self, client: ClientDraft = WEB, **changes: Value) -> str:
        """The address of an authorization request; a parameter that is None is left out, a list is repeated."""
        values: dict[str, Value] = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": client.redirect_uris[0],
            "scope": "openid catalogue:read",
            "state": "state-1",
            "nonce": "nonce-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        given = {name: value for name, value in values.items() if value is not None}
        return f"/oauth/authorize?{urlencode(given, doseq=True)}"

    async def authorize(self, browser: Browser, client: ClientDraft = WEB, **changes: Value) -> httpx.Response:
        """Open an authorization request: a page of ours, or the redirect that leaves us."""
        return await browser.get(self.url(client, **changes))

    async def through(
        self, browser: Browser, client: ClientDraft = WEB, *, username: str = "ada", **changes: Value
    ) -> httpx.Response:
        """The same, and sign in and allow wherever a page asks for it."""
        answer = await self.authorize(browser, client, **changes)
        if is_sign_in(answer):
            answer = await browser.sign_in(answer, username)
        return await browser.press(answer, "allow") if is_consent(answer) else answer

    async def code(
        self, browser: Browser, client: ClientDraft = WEB, *, username: str = "ada", **changes: Value
    ) -> str:
        return answer_of(await self.through(browser, client, username=username, **changes))["code"]

    async def exchange(self, code: str, client: ClientDraft = WEB, **changes: Value) -> httpx.Response:
        values = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect_uris[0],
            "code_verifier": VERIFIER,
        }
        return await self.token(client, **{**values, **changes})

    async def refresh(self, refresh_token: str, client: ClientDraft = WEB, **changes: Value) -> httpx.Response:
        return await self.token(client, grant_type="refresh_token", refresh_token=refresh_token, **changes)

    async def tokens(
        self, browser: Browser, client: ClientDraft = WEB, *, username: str = "ada", **changes: Value
    ) -> dict[str, str]:
        """The tokens of a whole authorization; `resource` goes into both requests."""
        resource = changes.get("resource")
        code = answer_of(await self.through(browser, client, username=username, **changes))["code"]
        answer = await self.exchange(code, client, resource=resource)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, str] = answer.json()
        return tokens

    async def token(self, client: ClientDraft, **values: Value) -> httpx.Response:
        return await self.call("/oauth/token", client, **values)

    async def introspect(self, token: str, client: ClientDraft = RESOURCE_SERVER) -> Mapping[str, JsonValue]:
        answer: Mapping[str, JsonValue] = (await self.call("/oauth/introspect", client, token=token)).json()
        return answer

    async def revoke(self, token: str, client: ClientDraft = WEB) -> httpx.Response:
        return await self.call("/oauth/revoke", client, token=token)

    async def userinfo(self, token: str) -> httpx.Response:
        return await self.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})

    async def call(self, path: str, client: ClientDraft, **values: Value) -> httpx.Response:
        """Post a form as this client, authenticated as it is registered."""
        given = {name: value for name, value in values.items() if value is not None}
        secret = self.secrets.get(client.id)
        if secret is None:
            return await self.http.post(path, data={"client_id": client.id, **given})
        return await self.http.post(path, data=given, auth=(client.id, secret))

    async def events(self, name: str) -> list[tuple[str, str]]:
        """Actor and subject of every event with this name, oldest first."""
        sql = "SELECT actor, subject FROM core_events WHERE name = ? ORDER BY seq"
        return [(str(actor), str(subject)) for actor, subject in await self.database.lookup.all(sql, (name,))]


@asynccontextmanager
async def open_flow(
    database: Database,
    vault: Vault,
    monkeypatch: pytest.MonkeyPatch,
    *,
    admission: Admission = NOBODY,
    fetcher: Fetcher | None = None,
) -> AsyncIterator[Flow]:
    """The server with two APIs, the clients of this module, and `ada`. Its time stands still until it is turned."""
    clock = Clock(core_clock.now())
    monkeypatch.setattr(core_clock, "now", clock)
    idle = timedelta(hours=12)
    secrets = await furnished.bring(database, f"flow of {ISSUER}")
    engine = await open_engine(
        database,
        vault,
        issuer=ISSUER,
        session_idle=idle,
        now=clock.now,
        fetcher=fetcher,
        admission=admission,
    )
    engine = replace(engine, signin=SignInParts.make(QUICK))
    routes = (*protocol_routes(engine, time=clock), *browser_routes(engine))
    async with people_site(database, vault, issuer=ISSUER, idle=idle, routes=routes) as site:
        flow = Flow(site, engine, clock, site.visitor().http)
        if secrets is None:
            await _furnish(flow)
            furnished.keep(database, f"flow of {ISSUER}", flow.secrets)
        flow.secrets |= secrets or {}
        yield flow


async def _furnish(flow: Flow) -> None:
    async with flow.database.write() as session:
        for audience, name, form, scopes in (
            (CATALOGUE, "Catalogue", "jwt", ("read", "write")),
            (CART, "Cart", "reference", ("read",)),
        ):
            known = tuple(Scope(f"{name.lower()}:{verb}", f"{verb.title()} the {name.lower()}") for verb in scopes)
            draft = ApiDraft(audience, name, known, token_format=form)
            await save_api(session, draft, actor="test", now=flow.clock.now)
    for client in (WEB, WISH_LIST, RESOURCE_SERVER):
        await flow.client(client)
    await flow.person()


def answer_of(response: httpx.Response) -> dict[str, str]:
    """The parameters of a redirect that left us."""
    assert response.is_redirect, response.text
    parts = urlsplit(response.headers["location"])
    pairs = parse_qsl(parts.fragment or parts.query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def is_sign_in(response: httpx.Response) -> bool:
    return response.status_code == 200 and response.url.path == "/signin"


def is_consent(response: httpx.Response) -> bool:
    return response.status_code == 200 and any(form.action == "/oauth/consent" for form in forms_of(response))
