"""The web client in a real browser, against a small issuer and the five services."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from shop.stage import Stage, stage

expect.set_options(timeout=20_000)  # the machine may be busy with other tests
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(15_000)
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert trouble == []


def sign_in(page: Page, scene: Stage) -> None:
    page.goto(f"{scene.shop}/shop/")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#person")).to_have_text("Astrid Holm")
    expect(page.locator(".grid.products > li")).to_have_count(24)


def test_somebody_signs_in_orders_and_signs_out(page: Page, scene: Stage) -> None:
    sign_in(page, scene)
    assert page.url == f"{scene.shop}/shop/"

    page.get_by_role("searchbox").fill("lounge")
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("status").filter(has_text="1 product")).to_be_visible()
    page.get_by_role("link", name="Bro lounge chair").click()
    page.get_by_label("Quantity").fill("2")
    page.get_by_role("button", name="Add to cart").click()
    page.get_by_role("link", name="Cart, 2 pieces").click()
    page.get_by_label("Address").fill("Kronborg 2C, 3000 Helsingør")
    page.get_by_label("Discount code").fill("KRONBORG")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("The code is accepted.")).to_be_visible()
    page.get_by_role("button", name="Place order").click()

    expect(page.locator("#tracking-number")).to_have_text(re.compile(r"KB\d{10}DK"))
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page.get_by_role("listitem").filter(has_text="Order K")).to_have_count(1)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Made well")).to_be_visible()
    assert scene.identity.logouts[0]["post_logout_redirect_uri"] == f"{scene.shop}/shop/"
    assert scene.identity.logouts[0]["id_token_hint"].count(".") == 2


@pytest.mark.spec("RFC 7636 §4.3")
@pytest.mark.spec("RFC 8707 §2.1")
def test_the_request_is_a_modern_one(page: Page, scene: Stage) -> None:
    sign_in(page, scene)

    asked = scene.identity.asked[0]
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["state"][0]) >= 43
    assert len(asked["nonce"][0]) >= 43
    assert sorted(asked["resource"]) == [
        f"https://shop.example/{name}" for name in ("cart", "catalogue", "delivery", "inventory", "pricing")
    ]


@pytest.mark.spec("RFC 10017 §8")
def test_tokens_are_nowhere_but_in_memory(page: Page, scene: Stage) -> None:
    sign_in(page, scene)

    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")

    assert stored.startswith("[{},{},")
    assert "eyJ" not in stored
    assert "code=" not in page.url


def test_a_reload_signs_in_again_by_itself(page: Page, scene: Stage) -> None:
    sign_in(page, scene)
    page.get_by_role("link", name="Orders", exact=True).click()
    expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()

    page.reload()

    expect(page.get_by_role("heading", name="No orders yet")).to_be_visible()
    assert scene.identity.asked[-1]["prompt"] == ["none"]


def test_a_reload_without_a_session_stays_signed_out(page: Page, scene: Stage) -> None:
    page.goto(f"{scene.shop}/shop/")
    expect(page.get_by_role("heading", name="Made well")).to_be_visible()

    page.reload()

    expect(page.get_by_role("heading", name="Made well")).to_be_visible()
    assert scene.identity.asked[-1]["prompt"] == ["none"]
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.spec("RFC 6749 §10.12")
@pytest.mark.spec("RFC 9207 §2.4")
@pytest.mark.parametrize("change", ["other state", "other issuer", "no issuer", "nothing pending"])
def test_answers_that_do_not_belong_are_refused(page: Page, scene: Stage, change: str) -> None:
    page.goto(f"{scene.shop}/shop/")
    state = "never-asked"
    if change != "nothing pending":
        # The issuer answers nothing, so the page stays and keeps waiting for its answer.
        page.route("**/oauth/authorize?*", lambda route: route.fulfill(status=204))
        with page.expect_request("**/oauth/authorize?*"):
            page.get_by_role("button", name="Sign in", exact=True).click()
        state = page.evaluate("JSON.parse(sessionStorage.getItem('shop.pending')).state")
    answer = {"code": "stolen", "state": state, "iss": scene.identity.url}
    answer |= {"other state": {"state": "x"}, "other issuer": {"iss": "https://evil.example"}}.get(change, {})
    if change == "no issuer":
        del answer["iss"]

    page.goto(f"{scene.shop}/shop/callback?{urlencode(answer)}")

    expect(page.get_by_role("alert")).to_contain_text("You are not signed in")
    assert page.url == f"{scene.shop}/shop/"
    assert page.evaluate("sessionStorage.length") == 0


def test_saying_no_is_explained(page: Page, scene: Stage) -> None:
    scene.identity.deny = True
    page.goto(f"{scene.shop}/shop/")

    page.get_by_role("button", name="Sign in", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("You did not allow")


def test_refusals_are_explained(page: Page, scene: Stage) -> None:
    sign_in(page, scene)
    refusals: list[tuple[int, dict[str, str], str]] = [
        (403, {}, "You may not do this"),
        (429, {"retry-after": "7"}, "Please wait 7 s"),
        (503, {}, "Closed for a moment"),
        (500, {}, "Something went wrong"),
        (401, {}, "Your session has ended"),
    ]
    for status, headers, text in refusals:
        scene.door.closed["cart"] = (status, headers)

        page.get_by_role("link", name="Orders", exact=True).click()

        expect(page.get_by_role("alert")).to_contain_text(text)
        if status != 401:
            expect(page.get_by_role("alert")).to_contain_text("r-42")


def test_a_used_up_refresh_token_asks_to_sign_in_again(page: Page, scene: Stage) -> None:
    sign_in(page, scene)
    scene.identity.refresh.clear()
    scene.door.closed["cart"] = (401, {})

    page.get_by_role("link", name=re.compile("Cart")).click()

    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    scene.door.closed.clear()
    page.get_by_role("alert").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Your cart is empty")).to_be_visible()


def test_every_control_has_a_name(page: Page, scene: Stage) -> None:
    sign_in(page, scene)
    page.get_by_role("button", name="Add Klit vase to cart").click()
    expect(page.get_by_role("link", name="Cart, 1 piece", exact=True)).to_be_visible()

    for path in ("Everything", "Cart, 1 piece"):
        page.get_by_role("link", name=path, exact=True).first.click()
        page.locator("main h1").wait_for()
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('a, button, input, select, textarea')].filter((element) =>
              !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length)).length"""
        )
        assert nameless == 0
        assert page.evaluate("[...document.images].filter((image) => !image.hasAttribute('alt')).length") == 0
