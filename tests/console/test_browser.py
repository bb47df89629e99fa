"""The console in a real browser: accessible, light enough, no wider than a phone, and whole without JavaScript."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

import httpx
import pytest
import uvicorn
from playwright.async_api import Browser, BrowserContext, Response, async_playwright, expect

from console.conftest import ADMIN, Console
from console.stage import Stage, stage
from console.test_pages import FORMS, HELP, PAGES
from kronborg.app import compose
from kronborg.clients.register import ensure_admin_api
from kronborg.clients.store import find_client
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.parts import Parts
from kronborg.tokens.engine import open_engine

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

expect.set_options(timeout=20_000)  # the machine may be busy with other tests
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
MOST = 100 * 1024


@dataclass
class Running:
    """The console behind a real port."""

    console: Console
    url: str
    there: Stage
    browser: Browser

    async def context(
        self, *, width: int = 1280, scheme: Literal["light", "dark"] = "light", scripts: bool = True
    ) -> BrowserContext:
        """A browser in which an administrator is signed in."""
        name = f"ada-{width}-{scheme}-{scripts}".lower()
        secret = await self.console.session_of(await self.console.person(name, ADMIN))
        context = await self.browser.new_context(
            viewport={"width": width, "height": 850}, color_scheme=scheme, java_script_enabled=scripts
        )
        await context.add_cookies([{"name": "kronborg_session", "value": secret, "url": self.url}])
        return context


@asynccontextmanager
async def opened(database: Database, vault: Vault) -> AsyncIterator[tuple[Console, str]]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://localhost:{listener.getsockname()[1]}"
    engine = await open_engine(database, vault, issuer=url, session_idle=timedelta(hours=12), now=clock.now())
    await ensure_admin_api(database, issuer=url, now=clock.now())
    app = compose(Parts(database, vault, url), engine)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve([listener]))
    try:
        yield Console(engine, httpx.ASGITransport(app)), url
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def running(database: Database, vault: Vault) -> AsyncIterator[Running]:
    async with opened(database, vault) as (console, url), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield Running(console, url, await stage(console), browser)
        await browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
async def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    running: Running, width: int, scheme: Literal["light", "dark"]
) -> None:
    page = await (await running.context(width=width, scheme=scheme)).new_page()
    axe = AXE.read_text(encoding="utf-8")

    wrong: list[object] = []
    for path in PAGES + FORMS + HELP:
        await page.goto(running.url + running.there.fill(path))
        await page.evaluate(axe)
        found = await page.evaluate(
            "async () => (await axe.run()).violations.filter(v => ['serious', 'critical'].includes(v.impact))"
            ".map(v => [v.id, v.nodes[0].target[0], v.nodes[0].failureSummary])"
        )
        wrong += [(path, *one) for one in found]
        beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        wrong += [(path, "wider", beyond)] if beyond > 0 else []

    assert wrong == []


async def test_no_page_is_heavier_than_100_kb_with_all_it_loads(running: Running) -> None:
    context = await running.context()
    page = await context.new_page()
    await (await context.new_cdp_session(page)).send("Network.setCacheDisabled", {"cacheDisabled": True})
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))

    heavy = []
    for path in PAGES + FORMS:
        answers.clear()
        await page.goto(running.url + running.there.fill(path))
        sizes = [await answer.request.sizes() for answer in answers]
        weight = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
        assert len(sizes) > 3, path  # styles and scripts are counted at every page
        heavy += [(path, weight)] if weight > MOST else []

    assert heavy == []


async def test_searching_and_deleting_work_without_javascript(running: Running) -> None:
    page = await (await running.context(scripts=False)).new_page()
    await page.goto(f"{running.url}/console/clients")

    await page.get_by_label("Search clients").fill("shop")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name="The Shop").click()
    await page.get_by_role("link", name="Delete").click()
    await page.get_by_label("To go on, type: shop").fill("shop")
    await page.get_by_role("button", name="Delete client").click()

    await expect(page.get_by_text("The client is gone")).to_be_visible()
    async with running.console.engine.database.read() as session:
        assert await find_client(session, "shop") is None


async def test_a_list_is_filtered_while_typing_and_the_address_says_so(running: Running) -> None:
    page = await (await running.context()).new_page()
    await page.goto(f"{running.url}/console/clients")

    await page.get_by_label("Search clients").press_sequentially("zebra")

    await expect(page.get_by_text("No client matches")).to_be_visible()
    await expect(page).to_have_url(f"{running.url}/console/clients?q=zebra")


async def test_on_a_phone_the_menu_opens_by_keyboard_and_leads_on(running: Running) -> None:
    page = await (await running.context(width=390, scripts=False)).new_page()
    await page.goto(f"{running.url}/console")

    await page.get_by_text("Menu", exact=True).focus()
    await page.keyboard.press("Enter")
    await page.get_by_role("navigation", name="Console, menu").get_by_role("link", name="Keys", exact=True).click()

    await expect(page.get_by_role("heading", name="Keys", exact=True)).to_be_visible()
