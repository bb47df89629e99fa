"""Registration, recovery and one's own account in a real browser: without JavaScript, on a phone, in the dark."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from anyio import Path as AsyncPath
from playwright.async_api import Browser, Page, async_playwright, expect

from kronborg.accounts.settings import Attribute, PeopleSettings, RegistrationSettings
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.http import Edge
from letter_box import Mailbox, link_in
from pages.test_browser import FLAGS, listening, served
from people_site import PASSWORD, QUICK, PeopleSite, people_site

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

SCHEMA = (
    Attribute("team", "Team", kind="choice", choices=("Red", "Blue"), required=True),
    Attribute("remote", "I work from elsewhere", kind="boolean"),
)
MOST_BYTES = 100 * 1024


@dataclass
class Running:
    """The site behind a real port, and everybody's mail."""

    site: PeopleSite
    url: str
    mailbox: Mailbox

    async def link(self) -> str:
        """The address in the one letter that came."""
        [letter] = await self.mailbox.turn()
        return self.url + link_in(letter, self.url)


@pytest.fixture
async def running(database: Database, vault: Vault, tmp_path: Path) -> AsyncIterator[Running]:
    listener, url = listening()
    settings = PeopleSettings(RegistrationSettings(open=True, terms_url="https://terms.example/"), SCHEMA)
    async with (
        people_site(database, vault, issuer=url, settings=QUICK, people=settings) as site,
        served(Edge(site.app, secure=False), listener),
    ):
        yield Running(site, url, Mailbox(database, vault, site.app.state.people, tmp_path / "mail"))


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    path = os.environ.get("KRONBORG_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


async def register(running: Running, page: Page) -> None:
    """From the sign-in page to one's own account."""
    await page.goto(f"{running.url}/signin")
    await page.get_by_role("link", name="Create account").click()
    await page.get_by_label("E-mail").fill("horatio@kronborg.example")
    await page.get_by_label("Name").fill("Horatio")
    await page.get_by_label("Team").select_option("Red")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_label("I agree to the").check()
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    await page.goto(await running.link())
    await page.get_by_role("button", name="Begin").click()
    await page.wait_for_url("**/account")


async def test_a_whole_life_without_javascript(running: Running, chromium: Browser) -> None:
    page = await chromium.new_page(java_script_enabled=False)

    await register(running, page)
    await page.get_by_label("Team").select_option("Blue")
    await page.get_by_label("I work from elsewhere").check()
    await page.get_by_role("button", name="Save changes").click()
    await expect(page.get_by_text("Your profile is saved.")).to_be_visible()
    await page.get_by_label("New address").fill("h@elsewhere.example")
    await page.get_by_label("Present password").fill(PASSWORD)
    await page.get_by_role("button", name="Change address").click()
    await page.goto(await running.link())
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.get_by_text("Your e-mail address is confirmed.")).to_be_visible()
    await page.get_by_role("link", name="Activity").click()
    await expect(page.get_by_text("You registered")).to_be_visible()
    await page.get_by_role("link", name="Data").click()
    await page.get_by_label("Present password").first.fill(PASSWORD)
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download").click()
    told = json.loads(await AsyncPath(await (await downloading.value).path()).read_text())
    await page.get_by_label("Your username, to confirm").fill("horatio")
    await page.get_by_label("Present password").last.fill(PASSWORD)
    await page.get_by_role("button", name="Delete my account").click()

    await expect(page.get_by_role("heading", name="The account is deleted")).to_be_visible()
    assert told["account"]["attributes"] == {"team": "Blue", "remote": True}
    assert told["account"]["email"] == "h@elsewhere.example"


async def test_a_forgotten_password_is_chosen_anew(running: Running, chromium: Browser) -> None:
    await running.site.person("hamlet")
    page = await chromium.new_page()

    await page.goto(f"{running.url}/signin")
    await page.get_by_role("link", name="Forgot password?").click()
    await page.get_by_label("Username or e-mail").fill("hamlet")
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    await page.goto(await running.link())
    await page.get_by_label("New password").fill("the rest is silence")
    await page.get_by_role("button", name="Set the password").click()
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("Username or e-mail").fill("hamlet")
    await page.get_by_label("Password").fill("the rest is silence")
    await page.get_by_role("button", name="Sign in", exact=True).click()

    await page.wait_for_url("**/account")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
async def test_pages_fit_the_screen_are_small_and_break_no_rule_of_their_policy(
    running: Running, chromium: Browser, scheme: str, width: int
) -> None:
    context = await chromium.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 800}
    )
    page = await context.new_page()
    wrong: list[str] = []
    sizes: list[int] = []
    page.on("console", lambda message: wrong.append(message.text))

    async def look(path: str) -> None:
        await page.goto(running.url + path)
        entries = "performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
        sizes.append(await page.evaluate(f"{entries}.reduce((sum, one) => sum + one.transferSize, 0)"))
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wrong.append(page.url)

    for path in ("/register", "/forgot", "/forgot/sent"):
        await look(path)
    await register(running, page)
    for path in ("/account", "/account/activity", "/account/data"):
        await look(path)

    assert wrong == []
    assert max(sizes) < MOST_BYTES
