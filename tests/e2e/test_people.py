"""The life of an account against the real product, in a real browser: from registration to the reset that ends it all.

Register, verify by the letter, sign in, an authenticator app, a passkey, sign in without a name, step up, a recovery
code, a forgotten password, and then nothing of before works any more.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect, sync_playwright

from e2e.people_stack import PeopleStack, people_stack
from e2e.test_browser import ARGUMENTS
from kronborg.core import clock
from kronborg.oauth.acr import MULTI_FACTOR
from people_site import PASSWORD

ADDRESS = "horatio@kronborg.example"
NEW_PASSWORD = "the rest is silence"
FACTORS = "/account/security/factors"
DEAD_WITHIN = 10


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeopleStack]:
    with people_stack(tmp_path_factory.mktemp("people")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class App:
    """An authenticator app; each code it shows is a later one than the one before, as if time had passed."""

    totp: pyotp.TOTP
    step: int = -1

    def code(self) -> str:
        self.step += 1
        return self.totp.at(clock.now(), counter_offset=self.step - 1)


@dataclass
class Person:
    """Somebody at a browser of their own."""

    stack: PeopleStack
    context: BrowserContext
    page: Page

    def goto(self, path: str) -> None:
        self.page.goto(self.stack.url + path)

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def code(self, code: str) -> None:
        self.page.get_by_label("Code").fill(code)
        self.press("Continue")

    def password(self, password: str = PASSWORD) -> None:
        """Fill in the sign-in page."""
        self.page.get_by_label("Username or e-mail").fill(ADDRESS)
        self.page.get_by_label("Password").fill(password)
        self.press("Sign in")

    def sign_out(self) -> None:
        self.goto("/signout")
        self.press("Sign out")
        expect(self.page.get_by_role("heading", name="You are signed out")).to_be_visible()

    def tokens(self) -> dict[str, str]:
        """What the bank gets for the code that it was just given."""
        self.page.wait_for_url(f"{self.stack.bank}/callback*")
        [code] = parse_qs(urlsplit(self.page.url).query)["code"]
        return self.stack.exchange(code)


def at_a_browser(stack: PeopleStack, browser: Browser) -> Person:
    context = browser.new_context()
    context.route(f"{stack.bank}/**", lambda route: route.fulfill(body="back at the bank"))
    page = context.new_page()
    page.set_default_timeout(20_000)
    return Person(stack, context, page)


def claims(id_token: str) -> dict[str, object]:
    """What the bank reads in an ID token that it got from the token endpoint itself (OIDC Core §3.1.3.7, 6)."""
    body = id_token.split(".")[1]
    told: dict[str, object] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return told


def register(one: Person) -> None:
    """From the sign-in page through the letter to an account."""
    one.goto("/signin")
    one.page.get_by_role("link", name="Create account").click()
    one.page.get_by_label("E-mail").fill(ADDRESS)
    one.page.get_by_label("Name").fill("Horatio")
    one.page.get_by_label("Password").fill(PASSWORD)
    one.press("Create account")
    expect(one.page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    one.page.goto(one.stack.link("/register/confirm"))
    one.press("Begin")
    one.page.wait_for_url("**/account")


def enrol_app(one: Person) -> tuple[App, list[str]]:
    """An authenticator app, and the recovery codes that come with the first factor."""
    one.goto(f"{FACTORS}/add/totp")
    key = one.page.locator(".qr-key code").inner_text().replace(" ", "")
    app = App(pyotp.TOTP(key))
    one.page.get_by_label("Code").fill(app.code())
    one.press("Confirm")
    expect(one.page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    return app, one.page.locator(".codes code").all_inner_texts()


def enrol_passkey(one: Person) -> tuple[CDPSession, str]:
    """A passkey on an authenticator that is part of the browser."""
    session = one.context.new_cdp_session(one.page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    one.goto(f"{FACTORS}/add/passkey")
    one.page.get_by_label("Name").fill("My laptop")
    one.press("Create a passkey")
    expect(one.page.get_by_text("My laptop").first).to_be_visible()
    return session, made["authenticatorId"]


def sign_in_without_a_name(one: Person, session: CDPSession, authenticator: str) -> None:
    """Nothing is typed: a button, and the finger on the sensor."""
    finger = {"authenticatorId": authenticator}
    session.send("WebAuthn.setAutomaticPresenceSimulation", {**finger, "enabled": False})
    one.goto("/signin")
    button = one.page.get_by_role("button", name="Use a passkey")
    expect(button).to_be_visible()
    session.send("WebAuthn.setAutomaticPresenceSimulation", {**finger, "enabled": True})
    button.click(no_wait_after=True)
    one.page.wait_for_url("**/account")
    expect(one.page.get_by_role("heading", name="Profile")).to_be_visible()


def step_up(one: Person, app: App) -> dict[str, object]:
    """In a browser that is remembered a password is enough, until a client asks for more: its ID token."""
    one.goto("/signin")
    one.password()
    one.page.get_by_role("link", name="Authenticator app").click()
    one.page.get_by_label(re.compile("Do not ask again")).check()
    one.code(app.code())
    one.page.wait_for_url("**/account")
    one.sign_out()
    one.goto("/signin")
    one.password()
    one.page.wait_for_url("**/account")
    one.page.goto(one.stack.authorize(acr_values=MULTI_FACTOR))
    expect(one.page.get_by_role("heading", name="One more step")).to_be_visible()
    one.page.get_by_role("link", name="Authenticator app").click()
    one.code(app.code())
    return claims(one.tokens()["id_token"])


def sign_in_by_recovery_code(other: Person, code: str) -> str:
    """At another browser, where there is neither app nor passkey: the refresh token that the bank keeps there."""
    other.page.goto(other.stack.authorize())
    other.password()
    other.page.get_by_role("link", name="Recovery code").click()
    other.code(code)
    return other.tokens()["refresh_token"]


def reset_password(third: Person) -> None:
    """At a third one, by the letter."""
    third.goto("/signin")
    third.page.get_by_role("link", name="Forgot password?").click()
    third.page.get_by_label("Username or e-mail").fill(ADDRESS)
    third.press("Send the link")
    third.page.goto(third.stack.link("/reset"))
    third.page.get_by_label("New password").fill(NEW_PASSWORD)
    third.press("Set the password")
    expect(third.page.get_by_role("link", name="Sign in")).to_be_visible()


def is_signed_in(one: Person) -> bool:
    one.goto("/account")
    return urlsplit(one.page.url).path == "/account"


def status_once_dead(stack: PeopleStack, token: str) -> int:
    """The worker ends what was granted offline, as soon as it hears of the new password."""
    deadline = time.monotonic() + DEAD_WITHIN
    while (answer := stack.refresh(token)).status_code == 200 and time.monotonic() < deadline:
        token = answer.json()["refresh_token"]
        time.sleep(0.2)  # the worker is a process of its own
    return answer.status_code


def test_an_account_from_its_first_letter_to_the_end_of_everything(stack: PeopleStack, browser: Browser) -> None:
    one, other, third = (at_a_browser(stack, browser) for _ in range(3))

    register(one)
    one.sign_out()
    one.goto("/signin")
    one.password()
    one.page.wait_for_url("**/account")
    app, codes = enrol_app(one)
    session, authenticator = enrol_passkey(one)
    one.sign_out()
    sign_in_without_a_name(one, session, authenticator)
    one.sign_out()
    session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})
    stepped_up = step_up(one, app)
    refresh_token = sign_in_by_recovery_code(other, codes[0])
    before = [is_signed_in(one), is_signed_in(other), is_signed_in(third)]
    reset_password(third)

    assert (stepped_up["acr"], stepped_up["amr"]) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    assert before == [True, True, False]
    assert [is_signed_in(one), is_signed_in(other)] == [False, False]
    assert status_once_dead(stack, refresh_token) == 400
    # The new password alone is not enough: whoever reads the mail has no factor.
    third.goto("/signin")
    third.password(NEW_PASSWORD)
    expect(third.page.get_by_role("heading", name="One more step")).to_be_visible()
    third.page.get_by_role("link", name="Recovery code").click()
    third.code(codes[1])
    third.page.wait_for_url("**/account")
