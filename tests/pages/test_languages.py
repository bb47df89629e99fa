"""Which language a page is in: who is asked first, what is remembered, what the page says of it."""

from __future__ import annotations

import re

import pytest

from people_site import PeopleSite

pytestmark = pytest.mark.anyio

GERMAN = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}


async def test_the_browser_is_heard_and_the_page_says_which_language_it_is_in(site: PeopleSite) -> None:
    visitor = site.visitor()

    page = await visitor.get("/signin", headers=GERMAN)

    assert '<html lang="de">' in page.text
    assert "<h1>Anmelden</h1>" in page.text
    assert page.headers["content-language"] == "de"
    assert {"accept-language", "cookie"} <= {one.strip().lower() for one in page.headers["vary"].split(",")}


@pytest.mark.parametrize("wish", ["fr, it;q=0.5", "", "de;q=x", "de;q=0", "*", "de" * 5000])
async def test_who_wishes_nothing_that_there_is_reads_english(site: PeopleSite, wish: str) -> None:
    page = await site.visitor().get("/signin", headers={"accept-language": wish})

    assert page.headers["content-language"] == "en"


async def test_the_chooser_works_without_scripts_and_is_remembered(site: PeopleSite) -> None:
    visitor = site.visitor()
    first = await visitor.get("/signin?next=/account")
    links = dict(re.findall(r'<a href="([^"]+)" lang="(\w\w)"', first.text))

    chosen = await visitor.get(
        "/signin" + next(href for href, code in links.items() if code == "da").replace("&amp;", "&")
    )
    later = await visitor.get("/forgot", headers=GERMAN)

    assert set(links.values()) == {"en", "da", "de"}
    assert chosen.headers["content-language"] == later.headers["content-language"] == "da"
    assert 'name="next" value="/account"' in chosen.text
    cookie = next(one for one in chosen.headers.get_list("set-cookie") if one.startswith("kronborg_language="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


async def test_an_answer_to_a_form_keeps_the_language_and_offers_no_links(site: PeopleSite) -> None:
    visitor = site.visitor()
    await visitor.get("/signin?lang=da")

    answer = await visitor.post("/signin", {"username": "nobody", "password": "wrong wrong wrong"})

    assert answer.status_code == 422
    assert "Brugernavn og adgangskode passer ikke sammen." in answer.text
    assert 'class="languages"' not in answer.text


async def test_a_language_that_there_is_not_is_not_remembered(site: PeopleSite) -> None:
    page = await site.visitor().get("/signin?lang=%22%3E%3Cscript%3E")

    assert page.headers["content-language"] == "en"
    assert not any("kronborg_language" in one for one in page.headers.get_list("set-cookie"))
    assert "<script>" not in page.text


async def test_a_person_reads_the_account_in_the_language_they_set(site: PeopleSite) -> None:
    await site.person("ada")
    visitor = site.visitor()
    await visitor.sign_in("ada")
    await visitor.post("/account", {"name": "Ada", "locale": "de"})

    page = await visitor.get("/account", headers={"accept-language": "da"})

    assert page.headers["content-language"] == "de"
    assert "Persönliche Angaben" in page.text


@pytest.mark.spec("OIDC Core §3.1.2.1")
async def test_ui_locales_of_the_request_goes_before_the_browser(site: PeopleSite) -> None:
    page = await site.visitor().get("/signin?ui_locales=fr-CA+da-DK+de", headers=GERMAN)

    assert page.headers["content-language"] == "da"


async def test_moments_numbers_and_devices_are_spoken_too(site: PeopleSite) -> None:
    await site.person("ada")
    visitor = site.visitor()
    await visitor.sign_in("ada")

    page = await visitor.get("/account/security?lang=da")

    assert "Firefox på Linux" in page.text
    assert "logget ind lige nu" in page.text


async def test_a_weak_password_is_explained_in_the_language_of_the_page(site: PeopleSite) -> None:
    await site.person("ada")
    visitor = site.visitor()
    await visitor.sign_in("ada")
    await visitor.get("/account/security?lang=de")

    page = await visitor.post(
        "/account/password", {"current": "to be or not to be", "new": "short"}, page="/account/security"
    )

    assert page.status_code == 422
    assert "Dieses Passwort ist zu kurz: verwenden Sie mindestens 12 Zeichen" in page.text


async def test_errors_speak_the_language_of_the_reader(site: PeopleSite) -> None:
    page = await site.visitor().get("/nowhere", headers=GERMAN)

    assert page.status_code == 404
    assert "Hier gibt es nichts" in page.text


async def test_the_console_is_english(site: PeopleSite) -> None:
    page = await site.visitor().get("/console/nowhere", headers=GERMAN)

    assert page.headers["content-language"] == "en"
