"""The pages in a real browser: without JavaScript, on a phone, in the dark, and on to another site after a POST."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from playwright.async_api import Browser, async_playwright, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.html import redirect_source
from kronborg.core.http import Edge
from kronborg.sessions.tickets import Ticket
from kronborg.sessions.visits import sign_in_url, visit
from people_site import PASSWORD, QUICK, PeopleSite, people_site

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

expect.set_options(timeout=20_000)  # the machine may be busy with other tests
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@dataclass
class Running:
    """The site behind a real port, and a page of another site to end at."""

    site: PeopleSite
    url: str
    elsewhere: str


@asynccontextmanager
async def served(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def listening() -> tuple[socket.socket, str]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"http://localhost:{listener.getsockname()[1]}"


@pytest.fixture
async def running(database: Database, vault: Vault) -> AsyncIterator[Running]:
    listener, url = listening()
    other_listener, elsewhere = listening()

    async def authorize(request: Request) -> Response:
        named = () if "silent" in request.query_params else redirect_source(elsewhere)
        if await visit(request) is None:
            return RedirectResponse(sign_in_url(request, ticket=Ticket("Wish List", named)), 303)
        return RedirectResponse(f"{elsewhere}/callback?code=x", 303)

    async def callback(request: Request) -> Response:
        return PlainTextResponse("back at the app")

    other = Starlette(routes=[Route("/callback", callback)])
    routes = (Route("/authorize", authorize),)
    async with (
        people_site(database, vault, issuer=url, settings=QUICK, routes=routes) as site,
        served(Edge(site.app, secure=False), listener),
        served(other, other_listener),
    ):
        await site.person("hamlet")
        yield Running(site, url, elsewhere)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    path = os.environ.get("KRONBORG_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


async def test_everything_works_without_javascript(running: Running, chromium: Browser) -> None:
    page = await chromium.new_page(java_script_enabled=False)

    await page.goto(f"{running.url}/account/security")
    await page.get_by_label("Username or e-mail").fill("hamlet")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Present password").fill(PASSWORD)
    await page.get_by_label("New password").fill("the rest is silence")
    await page.get_by_role("button", name="Change password").click()

    await expect(page.get_by_text("Your password is changed.")).to_be_visible()
    await page.get_by_role("link", name="Sign out").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


async def test_sign_in_leads_on_to_the_app_that_the_page_names_and_to_no_other(
    running: Running, chromium: Browser
) -> None:
    page = await chromium.new_page()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))

    for path in ("/authorize?silent", "/authorize"):
        await page.context.clear_cookies()
        await page.goto(running.url + path)
        await page.get_by_label("Username or e-mail").fill("hamlet")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        if "silent" in path:
            await page.wait_for_function("document.readyState === 'complete'")
            assert not page.url.startswith(running.elsewhere)

    await page.wait_for_url(f"{running.elsewhere}/callback?code=x")
    assert any("form-action" in text for text in refused)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_pages_fit_the_screen_and_break_no_rule_of_their_policy(
    running: Running, chromium: Browser, scheme: str, width: int
) -> None:
    context = await chromium.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 800}
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    wide = []

    async def look() -> None:
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(page.url)

    for path in ("/", "/signout", "/signin"):
        await page.goto(running.url + path)
        await look()
    await page.get_by_label("Username or e-mail").fill("hamlet")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/account")
    for path in ("/account", "/account/security", "/signout"):
        await page.goto(running.url + path)
        await look()

    assert wide == []
    assert complaints == []


async def test_ending_another_session_changes_only_the_list(running: Running, chromium: Browser) -> None:
    other = running.site.visitor()
    await other.sign_in("hamlet")
    page = await chromium.new_page()
    await page.goto(f"{running.url}/signin?next=/account/security")
    await page.get_by_label("Username or e-mail").fill("hamlet")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("New password").fill("half typed")

    await page.get_by_role("button", name="Sign out all others").click()
    await page.get_by_role("button", name="Sign out all others").wait_for(state="detached")

    assert await page.get_by_label("New password").input_value() == "half typed"
    assert not await other.is_signed_in()
