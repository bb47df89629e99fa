"""The pages of devices and backchannel requests in a real browser: without JavaScript, on a phone, in the dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from kronborg.app import compose
from kronborg.clients.model import ClientDraft
from kronborg.clients.register import add_secret, save_client
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.parts import Parts
from kronborg.signin.parts import SignInParts
from kronborg.tokens.engine import open_engine
from pages.test_browser import FLAGS, listening, served
from people_site import PASSWORD, QUICK, PeopleSite

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
CIBA = "urn:openid:params:grant-type:ciba"


@dataclass
class Server:
    """The whole identity app behind a real port, with a television and a bank."""

    url: str
    secret: str
    http: httpx.AsyncClient

    async def device(self) -> dict[str, Any]:
        form = {"client_id": "tv", "scope": "openid profile offline_access"}
        return dict((await self.http.post("/oauth/device_authorization", data=form)).json())

    async def request(self) -> None:
        form = {"scope": "openid", "login_hint": "hamlet", "binding_message": "Pay 12 DKK: W4SCT"}
        answer = await self.http.post("/oauth/backchannel-authentication", data=form, auth=("bank", self.secret))
        assert answer.status_code == 200, answer.text


@pytest.fixture
async def server(database: Database, vault: Vault) -> AsyncIterator[Server]:
    listener, url = listening()
    parts = Parts(database, vault, url)
    engine = await open_engine(database, vault, issuer=url, session_idle=timedelta(hours=12), now=clock.now())
    engine = replace(engine, signin=SignInParts.make(QUICK))
    assert engine.signin is not None
    app = compose(parts, engine)
    await PeopleSite(app, parts, engine.signin).person("hamlet")  # type: ignore[arg-type]  # only the parts are used
    async with database.write() as session:
        scopes, now = ("openid", "profile", "offline_access"), clock.now()
        tv = ClientDraft("tv", "Elsinore TV", kind="public", auth_method="none", grants=(DEVICE,), scopes=scopes)
        await save_client(session, tv, actor="test", now=now)
        await save_client(session, ClientDraft("bank", "Bank", grants=(CIBA,), scopes=scopes), actor="test", now=now)
        made = await add_secret(session, vault, "bank", actor="test", now=now)
    async with served(app, listener), httpx.AsyncClient(base_url=url, trust_env=False) as http:
        yield Server(url, made.secret, http)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    path = os.environ.get("KRONBORG_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


async def sign_in(page: Page) -> None:
    await page.get_by_label("Username or e-mail").fill("hamlet")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_device_is_connected_without_javascript(server: Server, chromium: Browser) -> None:
    page = await chromium.new_page(java_script_enabled=False)
    begun = await server.device()

    await page.goto(begun["verification_uri_complete"])
    await page.get_by_role("button", name="Continue").click()
    await sign_in(page)
    await expect(page.get_by_text(begun["user_code"])).to_be_visible()
    await page.get_by_role("button", name="Allow this device").click()

    await expect(page.get_by_role("heading", name="Go back to your device")).to_be_visible()
    form = {"client_id": "tv", "grant_type": DEVICE, "device_code": begun["device_code"]}
    assert (await server.http.post("/oauth/token", data={**form, "resource": ""})).status_code == 200


async def test_a_request_is_announced_and_answered_without_javascript(server: Server, chromium: Browser) -> None:
    page = await chromium.new_page(java_script_enabled=False)
    await server.request()

    await page.goto(f"{server.url}/account")
    await sign_in(page)
    await expect(page.get_by_text("An app waits for your answer.")).to_be_visible()
    await page.get_by_role("link", name="Look at it").click()
    await page.get_by_role("link", name="Look at it").click()
    await expect(page.get_by_text("Pay 12 DKK: W4SCT")).to_be_visible()
    await page.get_by_role("button", name="Deny").click()

    await expect(page.get_by_text("You denied it.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_these_pages_fit_the_screen_and_break_no_rule_of_their_policy(
    server: Server, chromium: Browser, scheme: str, width: int
) -> None:
    context = await chromium.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 800}
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    wide = []
    await server.request()
    begun = await server.device()

    async def look() -> None:
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(page.url)

    await page.goto(begun["verification_uri_complete"])
    await look()
    await page.get_by_role("button", name="Continue").click()
    await sign_in(page)
    await expect(page.get_by_role("button", name="Allow this device")).to_be_visible()
    await look()
    await page.get_by_role("button", name="Deny").click()
    await page.wait_for_url("**/device?done=denied")
    await look()
    for path in ("/account", "/account/requests"):
        await page.goto(server.url + path)
        await look()
    await page.get_by_role("link", name="Look at it").click()
    await expect(page.get_by_role("button", name="Allow")).to_be_visible()
    await look()

    assert wide == []
    assert complaints == []
