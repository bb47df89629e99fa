"""`ui_locales`: the language an application asks for, on every page of the journey it sends people on."""

from __future__ import annotations

import pytest

from oauth.flow import WISH_LIST, Flow

pytestmark = pytest.mark.anyio


@pytest.mark.spec("OIDC Core §3.1.2.1")
async def test_the_wish_of_an_application_travels_through_the_journey(flow: Flow) -> None:
    browser = flow.browser()

    sign_in = await flow.authorize(browser, WISH_LIST, ui_locales="fr-CA da de")
    forgot = await browser.get("/forgot")
    wrong = await browser.sign_in(sign_in, password="something else altogether")
    consent = await browser.sign_in(wrong)

    assert {page.headers["content-language"] for page in (sign_in, forgot, wrong, consent)} == {"da"}
    assert "bruge din konto?" in consent.text


@pytest.mark.spec("OIDC Discovery §3")
async def test_the_metadata_tells_the_languages(flow: Flow) -> None:
    told = await flow.http.get("/.well-known/openid-configuration")

    assert told.json()["ui_locales_supported"] == ["en", "da", "de"]


async def test_what_is_chosen_on_the_page_goes_before_the_wish(flow: Flow) -> None:
    browser = flow.browser()
    page = await flow.authorize(browser, WISH_LIST, ui_locales="da")

    chosen = await browser.get(str(page.url) + "&lang=de")
    consent = await browser.sign_in(chosen)

    assert chosen.headers["content-language"] == "de"
    assert "Konto verwenden?" in consent.text
