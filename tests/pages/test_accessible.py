"""Every page of journey and account: axe finds nothing serious, nothing is wider than the screen or too heavy."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, Response, async_playwright

from console.conftest import ADMIN
from console.test_browser import MOST, opened
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from pages.test_browser import FLAGS

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

AXE = Path(__file__).parent.parent / "console" / "node_modules" / "axe-core" / "axe.min.js"
JOURNEY = ("/", "/signin", "/forgot", "/signout", "/nowhere", "/oauth/authorize", "/signin?lang=da", "/signin?lang=de")
ACCOUNT = (
    "/account",
    "/account/security",
    "/account/security/factors",
    "/account/security/factors/add/totp",
    "/account/security/factors/add/passkey",
    "/account/activity",
    "/account/linked",
    "/account/apps",
    "/account/requests",
    "/account/data",
    "/device",
    "/signout",
    "/account/security?lang=de",
)


@dataclass
class Running:
    """The whole product behind a real port, and the secret of somebody's session."""

    url: str
    secret: str
    browser: Browser

    async def page(self, width: int, scheme: Literal["light", "dark"], *, signed_in: bool) -> Page:
        context = await self.browser.new_context(viewport={"width": width, "height": 850}, color_scheme=scheme)
        if signed_in:
            await context.add_cookies([{"name": "kronborg_session", "value": self.secret, "url": self.url}])
        return await context.new_page()


@pytest.fixture
async def running(database: Database, vault: Vault) -> AsyncIterator[Running]:
    path = os.environ.get("KRONBORG_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    async with opened(database, vault) as (console, url), async_playwright() as playwright:
        secret = await console.session_of(await console.person("ada", ADMIN))
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield Running(url, secret, browser)
        await browser.close()


async def faults(page: Page, path: str) -> list[object]:
    """What is wrong with the page that is open."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate(
        "async () => (await axe.run()).violations.filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => [v.id, v.nodes[0].target[0], v.nodes[0].failureSummary])"
    )
    beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [(path, *one) for one in found] + ([(path, "wider", beyond)] if beyond > 0 else [])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
async def test_axe_finds_nothing_serious(running: Running, width: int, scheme: Literal["light", "dark"]) -> None:
    stranger = await running.page(width, scheme, signed_in=False)
    person = await running.page(width, scheme, signed_in=True)

    wrong: list[object] = []
    for page, paths in ((stranger, JOURNEY), (person, ACCOUNT)):
        for path in paths:
            await page.goto(running.url + path)
            wrong += await faults(page, path)

    assert wrong == []


async def test_no_page_is_heavier_than_100_kb_with_all_it_loads(running: Running) -> None:
    page = await running.page(390, "light", signed_in=True)
    await (await page.context.new_cdp_session(page)).send("Network.setCacheDisabled", {"cacheDisabled": True})
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))

    heavy = []
    for path in ACCOUNT:
        answers.clear()
        await page.goto(running.url + path)
        sizes = [await answer.request.sizes() for answer in answers]
        weight = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)
        heavy += [(path, weight)] if weight > MOST else []

    assert heavy == []


async def test_the_keyboard_goes_through_the_sign_in_page_in_order_and_is_seen(running: Running) -> None:
    page = await running.page(1280, "light", signed_in=False)
    await page.goto(f"{running.url}/signin")

    stops = []
    for _ in range(8):
        stops.append(
            await page.evaluate(
                "() => { const e = document.activeElement, s = getComputedStyle(e);"
                " return [e.name || e.textContent.trim(), s.outlineStyle !== 'none' || s.boxShadow !== 'none'] }"
            )
        )
        await page.keyboard.press("Tab")

    names = [name for name, _ in stops]
    assert names[:3] == ["username", "password", "Sign in"]
    assert names.index("Forgot password?") < names.index("English") < names.index("Dansk")
    assert all(seen for _, seen in stops), stops
