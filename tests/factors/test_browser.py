"""Factors in a real browser: passkeys through a virtual authenticator, and everything else without JavaScript."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pyotp
import pytest
from playwright.async_api import Browser, Page, expect

from factors.browser_site import Running, chromium, running_site, with_authenticator
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.oauth.acr import MULTI_FACTOR, PHISHING_RESISTANT
from people_site import PASSWORD

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

expect.set_options(timeout=20_000)  # the machine may be busy with other tests


@pytest.fixture
async def running(database: Database, vault: Vault) -> AsyncIterator[Running]:
    async with running_site(database, vault) as opened:
        await opened.site.person("hamlet")
        yield opened


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


async def sign_in(page: Page, address: str) -> None:
    await page.goto(address)
    await page.get_by_label("Username or e-mail").fill("hamlet")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def sign_out(page: Page, running: Running) -> None:
    await page.goto(f"{running.url}/signout")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()


async def add_app(page: Page) -> pyotp.TOTP:
    """Confirm the key that the page shows."""
    key = await page.locator(".qr-key code").inner_text()
    app = pyotp.TOTP(key.replace(" ", ""))
    await page.get_by_label("Code").fill(app.at(clock.now(), counter_offset=-1))
    await page.get_by_role("button", name="Confirm").click()
    return app


async def remembered_and_stepped_up(page: Page, running: Running, app: pyotp.TOTP, code: str) -> None:
    """Let the browser be remembered, and step up in it all the same when the bank asks."""
    await sign_in(page, f"{running.url}/signin?next=/account")
    await page.get_by_role("link", name="Authenticator app").click()
    await page.get_by_label("Code").fill(app.at(clock.now()))
    await page.get_by_label(re.compile("Do not ask again")).check()
    await page.get_by_role("button", name="Continue").click()
    await page.wait_for_url("**/account")
    await sign_out(page, running)
    await sign_in(page, f"{running.url}/signin?next=/account")
    await page.wait_for_url("**/account")
    await page.goto(running.authorize(acr_values=MULTI_FACTOR))
    await expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    await page.get_by_role("link", name="Recovery code").click()
    await page.get_by_label("Code").fill(code)
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("back at the bank: code, iss, state")).to_be_visible()


async def test_from_a_password_to_a_passkey_and_back_by_a_recovery_code(running: Running, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    factors = f"{running.url}/account/security/factors"

    # Enrol an authenticator app, and keep the recovery codes.
    await sign_in(page, f"{running.url}/signin?next=/account/security/factors/add/totp")
    app = await add_app(page)
    codes = await page.locator(".codes code").all_inner_texts()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Download as a file").click()
    assert len(codes) == 10
    assert (await download.value).suggested_filename == "recovery-codes.txt"

    # Enrol a passkey.
    session, authenticator = await with_authenticator(context, page)
    await page.goto(f"{factors}/add/passkey")
    await page.get_by_label("Name").fill("My laptop")
    await page.get_by_role("button", name="Create a passkey").click()
    await expect(page.get_by_text("My laptop").first).to_be_visible()

    # Sign in with it, without a name: the browser offers it by itself where names are typed, and here it says yes.
    await sign_out(page, running)
    await page.goto(f"{running.url}/signin?next=/account/security/factors", wait_until="commit")
    await page.wait_for_url(factors)

    # An application that asks for more than a password gets it; with the password alone it would step up.
    await page.goto(running.authorize(acr_values=PHISHING_RESISTANT))
    await expect(page.get_by_text("back at the bank: code, iss, state")).to_be_visible()
    await sign_out(page, running)
    await session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})

    # The passkey is lost: a recovery code.
    await sign_in(page, running.authorize())
    await page.get_by_role("link", name="Recovery code").click()
    await page.get_by_label("Code").fill(codes[0])
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("back at the bank: code, iss, state")).to_be_visible()
    await sign_out(page, running)

    await remembered_and_stepped_up(page, running, app, codes[1])
    assert [text for text in complaints if "Content Security Policy" in text] == []


async def test_a_passkey_is_a_second_factor_too(running: Running, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await sign_in(page, f"{running.url}/signin?next=/account/security/factors/add/passkey")
    await expect(page.get_by_role("heading", name="Passkey")).to_be_visible()
    session, authenticator = await with_authenticator(context, page)
    await page.get_by_role("button", name="Create a passkey").click()
    await expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    await session.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": authenticator, "enabled": False})
    await sign_out(page, running)

    await sign_in(page, running.authorize(acr_values=PHISHING_RESISTANT))
    await expect(page.get_by_role("button", name="Use your passkey")).to_be_visible()
    await session.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": authenticator, "enabled": True})
    await page.get_by_role("button", name="Use your passkey").click(no_wait_after=True)

    await expect(page.get_by_text("back at the bank: code, iss, state")).to_be_visible()


ANSWERED = """
const get = navigator.credentials.get.bind(navigator.credentials);
navigator.credentials.get = async (request) => {
  const how = request.mediation || "when pressed";
  const answering = get(request);
  console.log("asked: " + how);
  const answer = await answering;
  console.log("answered: " + how);
  return answer;
};
"""
"""Tells in the console how a passkey is asked for, and which time it answered."""


async def test_the_button_signs_in_with_a_passkey_alone(running: Running, browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    await sign_in(page, f"{running.url}/signin?next=/account/security/factors/add/passkey")
    await expect(page.get_by_role("heading", name="Passkey")).to_be_visible()
    session, authenticator = await with_authenticator(context, page)
    await page.get_by_role("button", name="Create a passkey").click()
    await expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    finger = {"authenticatorId": authenticator}
    await session.send("WebAuthn.setAutomaticPresenceSimulation", {**finger, "enabled": False})
    await sign_out(page, running)
    await page.add_init_script(ANSWERED)
    async with page.expect_console_message(lambda message: message.text == "asked: conditional"):
        await page.goto(f"{running.url}/signin")

    # What the page asked for by itself stays without an answer: no finger was there then.
    await session.send("WebAuthn.setAutomaticPresenceSimulation", {**finger, "enabled": True})
    await page.get_by_role("button", name="Use a passkey").click(no_wait_after=True)

    await page.wait_for_url("**/account")
    assert told == ["asked: conditional", "asked: when pressed", "answered: when pressed"]


async def test_everything_but_passkeys_works_without_javascript(running: Running, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    factors = f"{running.url}/account/security/factors"

    await sign_in(page, f"{running.url}/signin?next=/account/security/factors")
    await page.get_by_role("link", name="Add Passkey").click()
    await expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    await page.goto(f"{factors}/add/totp")
    app = await add_app(page)
    await page.get_by_role("link", name="I have kept them").click()
    await page.get_by_role("link", name="Change Authenticator app").click()
    await page.get_by_label("A name that you will recognise").fill("Old phone")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Old phone").first).to_be_visible()
    await sign_out(page, running)
    await sign_in(page, running.authorize(acr_values=MULTI_FACTOR))
    await page.get_by_label("Code").fill(app.at(clock.now()))
    await page.get_by_label(re.compile("Do not ask again")).check()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("back at the bank: code, iss, state")).to_be_visible()
    await page.goto(factors)
    await page.get_by_role("button", name="Forget all").click()
    await expect(page.get_by_text("You will be asked again there")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
async def test_the_pages_fit_the_screen(running: Running, browser: Browser, scheme: str, width: int) -> None:
    context = await browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": width, "height": 800}
    )
    page = await context.new_page()
    wide = []

    async def look() -> None:
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(page.url)

    await sign_in(page, f"{running.url}/signin?next=/account/security/factors")
    await page.wait_for_url("**/factors")
    for path in ("", "/add/totp", "/add/passkey", "/add/email"):
        await page.goto(f"{running.url}/account/security/factors{path}")
        await look()
    await page.goto(f"{running.url}/account/security/factors/add/totp")
    await add_app(page)
    await expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    await look()
    await page.goto(f"{running.url}/account/security/factors")
    await look()
    await sign_out(page, running)
    await sign_in(page, f"{running.url}/signin")
    await expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    await look()

    assert wide == []
