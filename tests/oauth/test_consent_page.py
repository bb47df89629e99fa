"""What the consent page says of an app: who runs it, whether anybody checked it, and nothing that deceives."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kronborg.clients.settings import ClientSettings
from kronborg.oauth.pages.answers import shown_name
from oauth.flow import WISH_LIST, Flow, answer_of, is_consent, is_sign_in

pytestmark = pytest.mark.anyio

LINKS = ClientSettings(
    client_uri="https://wish.example/",
    policy_uri="https://wish.example/privacy",
    tos_uri="https://wish.example/terms",
    logo_uri="https://wish.example/logo.png",
)


async def test_the_page_names_the_host_and_links_to_what_the_app_says_of_itself(flow: Flow) -> None:
    await flow.client(WISH_LIST, settings=LINKS)
    browser = flow.browser()

    page = await browser.sign_in(await flow.authorize(browser, WISH_LIST))

    assert "wish.example" in page.text
    assert "Nobody has checked this app" not in page.text
    for name in ("", "privacy", "terms"):
        assert f'href="https://wish.example/{name}" rel="noreferrer noopener"' in page.text
    # A picture would tell the app who looks at the page, and when.
    assert "logo.png" not in page.text


async def test_an_app_that_nobody_checked_is_shown_as_such(flow: Flow) -> None:
    await flow.client(WISH_LIST, settings=ClientSettings(unverified=True))
    browser = flow.browser()

    page = await browser.sign_in(await flow.authorize(browser, WISH_LIST))

    assert "Nobody has checked this app" in page.text


@given(st.text(max_size=300))
def test_a_name_can_neither_turn_around_nor_hide_anything(name: str) -> None:
    shown = shown_name(name)

    assert len(shown) <= 120
    assert shown.isprintable()


@pytest.mark.spec("RFC 9700 §4.7")
async def test_what_one_browser_was_asked_counts_in_no_other(flow: Flow) -> None:
    one, other = flow.browser(), flow.browser()
    page = await flow.authorize(one, prompt="login")
    [back] = parse_qs(page.url.query.decode())["next"]
    flow.clock.pass_by(seconds=1)
    await flow.code(other)
    answered = await one.sign_in(page)

    elsewhere = await other.get(back)

    assert "code" in answer_of(answered)
    assert is_sign_in(elsewhere)


async def test_a_page_of_one_browser_is_no_yes_in_another(flow: Flow) -> None:
    third = replace(WISH_LIST, settings=ClientSettings())
    await flow.client(third)
    await flow.person("bob")
    one, other = flow.browser(), flow.browser()
    page = await one.sign_in(await flow.authorize(one, third))
    foreign = await other.sign_in(await flow.authorize(other, third), "bob")

    fields = {"decision": "allow", "request": parse_request(page.text)}
    refused = await other.post("/oauth/consent", fields)

    assert is_consent(foreign)
    assert refused.status_code == 403


def parse_request(text: str) -> str:
    """The request in the form of a consent page."""
    return text.partition('name="request" value="')[2].partition('"')[0].replace("&amp;", "&")
