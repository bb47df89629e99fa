"""Attacks on the sign-in page over HTTP: forged posts, frames, planted cookies, guessing through pages, time."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.signin.model import Allowance, SignInSettings, ThrottleSettings
from people_site import PASSWORD, QUICK, PeopleSite, hidden, people_site

pytestmark = pytest.mark.anyio

FORM = {"username": "hamlet", "password": PASSWORD}


async def _sessions(database: Database) -> int:
    row = await database.lookup.first("SELECT COUNT(*) FROM signin_sessions")
    return 0 if row is None else int(row[0])


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null"},
    ],
)
async def test_a_form_of_another_site_signs_nobody_in(site: PeopleSite, headers: dict[str, str]) -> None:
    await site.person("hamlet")
    visitor = site.visitor()
    fields = hidden((await visitor.get("/signin")).text)

    answer = await visitor.http.post("/signin", data={**fields, **FORM}, headers=headers)

    assert answer.status_code == 403
    assert await _sessions(site.parts.database) == 0


async def test_a_token_of_another_browser_signs_nobody_in(site: PeopleSite) -> None:
    """Login CSRF: an attacker's own form, posted from the victim's browser, must not sign the victim in as them."""
    await site.person("hamlet")
    attacker, victim = site.visitor(), site.visitor()
    fields = hidden((await attacker.get("/signin")).text)
    await victim.get("/signin")

    answer = await victim.http.post("/signin", data={**fields, **FORM}, headers={"sec-fetch-site": "same-origin"})
    without = await victim.http.post("/signin", data=FORM, headers={"sec-fetch-site": "same-origin"})

    assert (answer.status_code, without.status_code) == (403, 403)
    assert await _sessions(site.parts.database) == 0


@pytest.mark.parametrize("path", ["/signin", "/signout", "/account", "/account/security"])
async def test_no_page_can_be_framed_sniffed_or_kept(site: PeopleSite, path: str) -> None:
    await site.person("hamlet")
    visitor = site.visitor()
    if path.startswith("/account"):
        await visitor.sign_in("hamlet")

    answer = await visitor.get(path)

    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "no-store" in answer.headers["cache-control"]


async def test_a_session_planted_before_sign_in_is_worth_nothing_after(site: PeopleSite) -> None:
    """Session fixation: the attacker's own session, put into the victim's browser, does not become the victim's."""
    await site.person("mallory")
    await site.person("hamlet")
    attacker, victim = site.visitor(), site.visitor()
    await attacker.sign_in("mallory")
    planted = attacker.http.cookies["kronborg_session"]
    victim.http.cookies.set("kronborg_session", planted)

    await victim.post("/signin", FORM, page="/signout")

    page = await attacker.get("/account")
    mine = [cookie.value for cookie in victim.http.cookies.jar if cookie.name == "kronborg_session"]
    assert "hamlet" not in page.text
    assert mine[-1] != planted


async def test_rejected_attempts_say_the_same_whoever_is_tried(site: PeopleSite) -> None:
    await site.person("hamlet")
    await site.person("ghost", disabled=True)
    answers = set()

    for number, (name, password) in enumerate((("hamlet", "wrong"), ("nobody", "wrong"), ("ghost", PASSWORD))):
        visitor = site.visitor(address=f"192.0.2.{number}")
        for _ in range(8):
            answer = await visitor.sign_in(name, password)
            text = re.sub(r'(value|data-options)="[^"]*"', "", answer.text.partition("<main")[2])
            answers.add((answer.status_code, re.sub(r"\d+ seconds?", "", text).replace(name, "")))

    assert {status for status, _ in answers} == {422, 429}
    assert len(answers) == 2


async def test_many_networks_at_once_do_not_keep_the_owner_of_a_known_browser_out(
    database: Database, vault: Vault
) -> None:
    tight = Allowance(3, timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=5))
    throttle = ThrottleSettings(account=tight, spread=tight)
    settings = SignInSettings(passwords=QUICK.passwords, throttle=throttle)
    async with people_site(database, vault, settings=settings) as site:
        await site.person("hamlet")
        owner, stranger = site.visitor(), site.visitor(address="192.0.2.99")
        await owner.sign_in("hamlet")
        await owner.post("/signout")

        guesses = [
            (await site.visitor(address=f"198.51.{n}.1").sign_in("hamlet", "wrong")).status_code for n in range(12)
        ]
        back = await owner.sign_in("hamlet")
        elsewhere = await stranger.sign_in("hamlet")

    assert guesses[:3] == [422, 422, 422]
    assert guesses[-1] == 429
    assert (back.status_code, elsewhere.status_code) == (303, 429)
