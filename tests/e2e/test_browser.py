"""The main job in a real browser: sign in, order through the gateway; grant consent and take it back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect, sync_playwright

from e2e.stack import Stack

expect.set_options(timeout=20_000)  # the machine may be busy with other tests
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(20_000)
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert trouble == []


def picture(page: Page, name: str) -> None:
    """Keep a screenshot when `SCREENSHOTS` names a folder."""
    if os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png")


def fill_sign_in(page: Page, stack: Stack, person: str = "freja") -> None:
    page.get_by_label("Username or e-mail").fill(person)
    page.get_by_label("Password", exact=True).fill(stack.passwords[person])
    picture(page, "sign-in")
    page.get_by_role("button", name="Sign in").click()


def test_somebody_signs_in_and_orders_through_the_gateway(page: Page, stack: Stack) -> None:
    calls: list[Response] = []
    page.on("response", lambda answer: calls.append(answer) if answer.url.startswith(stack.gateway) else None)
    page.goto(stack.shop)
    picture(page, "shop-signed-out")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{stack.identity}/signin*")
    fill_sign_in(page, stack)
    expect(page.locator("#person")).to_have_text("Freja Holm")
    expect(page.locator(".grid.products > li")).to_have_count(24)
    picture(page, "shop")

    page.get_by_role("searchbox").fill("lounge")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name="Bro lounge chair").click()
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("link", name="Cart, 1 piece").click()
    page.get_by_label("Address").fill("Kronborg 2C, 3000 Helsingør")
    picture(page, "shop-cart")
    page.get_by_role("button", name="Place order").click()

    expect(page.locator("#tracking-number")).to_have_text(re.compile(r"KB\d{10}DK"))
    picture(page, "shop-ordered")
    refused = [(call.status, call.url) for call in calls if call.status >= 400]
    assert refused == []
    cart_tokens = {call.request.headers.get("authorization", "") for call in calls if "/cart/" in call.url}
    assert cart_tokens
    assert all(token.startswith("Bearer kro_at_") for token in cart_tokens)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    page.goto(f"{stack.identity}/account")
    page.wait_for_url(f"{stack.identity}/signin*")


def test_somebody_grants_consent_and_takes_it_back(page: Page, stack: Stack) -> None:
    page.goto(stack.wish_list)
    page.get_by_role("button", name="Connect to Sundet").click()
    fill_sign_in(page, stack, "mads")  # not Freja: a test counts what lies in her cart
    expect(page.get_by_role("heading", name=re.compile("Ønske"))).to_be_visible()
    expect(page.get_by_text("Change your cart and order")).to_be_visible()
    picture(page, "consent")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{stack.wish_list}*")
    expect(page.get_by_text("Connected as")).to_be_visible()
    page.get_by_role("button", name="Wish for it: Klit vase").click()
    page.get_by_role("button", name="Put into cart: Klit vase").click()
    picture(page, "wish-list")

    page.goto(f"{stack.identity}/account/apps")
    expect(page.get_by_role("heading", name="Ønske")).to_be_visible()
    picture(page, "account-apps")
    withdraw(page)
    expect(page.get_by_role("heading", name="Ønske")).to_have_count(0)

    page.goto(stack.wish_list)
    expect(page.get_by_role("button", name="Connect to Sundet")).to_be_visible()


def test_saying_no_comes_back_to_the_app_without_a_token(page: Page, stack: Stack) -> None:
    page.goto(stack.wish_list)
    page.get_by_role("button", name="Connect to Sundet").click()
    fill_sign_in(page, stack, "mads")

    page.get_by_role("button", name="Deny").click()

    page.wait_for_url(f"{stack.wish_list}*")
    expect(page.get_by_role("button", name="Connect to Sundet")).to_be_visible()
    expect(page.get_by_role("status")).to_be_visible()


def withdraw(page: Page) -> None:
    """Withdraw access to the only app, and say yes when asked again."""
    app = page.get_by_role("article").filter(has_text="Ønske")
    app.get_by_text("Withdraw access of").click()
    app.get_by_role("button", name="Yes, withdraw access").click()
