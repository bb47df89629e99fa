"""`/account`: name, language, attributes, and an address that takes effect once it is proved."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kronborg.accounts.settings import Attribute, PeopleSettings
from kronborg.accounts.store import find_user
from kronborg.accounts.users import UserChange, update_user
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from letter_box import Mailbox, link_in, text_of
from people_site import PASSWORD, PeopleSite, Visitor, people_site

pytestmark = pytest.mark.anyio

SCHEMA = (
    Attribute("team", "Team"),
    Attribute("remote", "Works remotely", kind="boolean"),
    Attribute("grade", "Grade", kind="number", write="admin"),
    Attribute("rating", "Rating", write="admin", read="admin"),
)
NEW = "Prince@Kronborg.example"


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[PeopleSite]:
    async with people_site(database, vault, people=PeopleSettings(attributes=SCHEMA)) as opened:
        yield opened


async def signed_in(site: PeopleSite, name: str = "hamlet") -> Visitor:
    visitor = site.visitor()
    assert (await visitor.sign_in(name)).status_code == 303
    return visitor


async def test_a_profile_is_saved_and_shown(site: PeopleSite) -> None:
    await site.person("hamlet")
    visitor = await signed_in(site)

    answer = await visitor.post("/account", {"name": "Hamlet <b>", "locale": "da", "attribute.team": "Wit & enberg"})
    page = await visitor.get(answer.headers["location"])

    assert answer.status_code == 303
    assert 'value="Hamlet &lt;b&gt;"' in page.text
    assert 'value="Wit &amp; enberg"' in page.text
    assert 'lang="da" selected' in page.text
    assert page.headers["content-language"] == "da"
    assert "<b>" not in page.text


async def test_what_administrators_keep_is_shown_or_not_and_never_taken_from_a_form(site: PeopleSite) -> None:
    user = await site.person("hamlet")
    kept = UserChange(attributes={"grade": 7, "rating": "secretly poor"})
    async with site.parts.database.write() as session:
        await update_user(session, user.id, kept, actor="test", now=clock.now())
    visitor = await signed_in(site)

    page = await visitor.get("/account")
    await visitor.post("/account", {"name": "H", "attribute.grade": "99", "attribute.rating": "superb"})
    async with site.parts.database.read() as session:
        after = await find_user(session, user.id)

    assert "<dt>Grade</dt><dd><bdi>7</bdi></dd>" in page.text
    assert "secretly poor" not in page.text
    assert after is not None
    assert dict(after.attributes) == {"grade": 7, "rating": "secretly poor", "remote": False}


async def test_a_new_address_takes_effect_when_it_is_proved_and_the_old_one_is_told(
    site: PeopleSite, mailbox: Mailbox
) -> None:
    await site.person("hamlet")
    visitor = await signed_in(site)
    await mailbox.turn()

    asked = await visitor.post("/account/email", {"email": NEW, "current": PASSWORD}, page="/account")
    before = await visitor.get("/account")
    [letter] = await mailbox.turn()
    proved = await visitor.post("/verify", page=link_in(letter))
    after = await visitor.get("/account")
    [notice] = await mailbox.turn()

    assert asked.headers["location"] == "/account?done=sent"
    assert "hamlet@kronborg.example" in before.text
    assert letter["to"] == NEW
    assert proved.headers["location"] == "/account?done=email"
    assert NEW in after.text
    assert "Confirmed" in after.text
    assert notice["to"] == "hamlet@kronborg.example"
    assert NEW not in text_of(notice)
    assert link_in(notice).startswith("/lockdown?token=")


async def test_another_address_takes_the_password(site: PeopleSite, mailbox: Mailbox) -> None:
    await site.person("hamlet")
    visitor = await signed_in(site)

    without = await visitor.post("/account/email", {"email": NEW}, page="/account")
    guesses = [
        await visitor.post("/account/email", {"email": NEW, "current": "wrong"}, page="/account") for _ in range(12)
    ]
    faulty = await signed_in(site)
    nonsense = await faulty.post("/account/email", {"email": "a b", "current": PASSWORD}, page="/account")

    assert (without.status_code, guesses[0].status_code, guesses[-1].status_code) == (422, 422, 429)
    assert 'id="current-error"' in without.text
    assert int(guesses[-1].headers["retry-after"]) >= 1
    assert nonsense.status_code == 422
    assert 'aria-invalid="true" aria-describedby="email-error email-hint"' in nonsense.text
    assert NEW not in [letter["to"] for letter in await mailbox.turn()]


async def test_somebody_elses_address_is_not_told_apart_and_not_taken(site: PeopleSite, mailbox: Mailbox) -> None:
    await site.person("hamlet")
    await site.person("ophelia")
    visitor = await signed_in(site)

    taken = {"email": "OPHELIA@kronborg.example", "current": PASSWORD}
    asked = await visitor.post("/account/email", taken, page="/account")
    [letter] = await mailbox.turn()
    proved = await visitor.post("/verify", page=link_in(letter))

    assert asked.headers["location"] == "/account?done=sent"
    assert proved.status_code == 409
    assert "OPHELIA" not in (await visitor.get("/account")).text


async def test_a_link_proves_nothing_for_anybody_else_and_nothing_before_its_button(
    site: PeopleSite, mailbox: Mailbox
) -> None:
    await site.person("hamlet")
    await site.person("ophelia")
    visitor, other, stranger = await signed_in(site), await signed_in(site, "ophelia"), site.visitor()
    await visitor.post("/account/email", {"email": NEW, "current": PASSWORD}, page="/account")
    [letter] = await mailbox.turn()
    link = link_in(letter)
    token = link.partition("token=")[2]

    answers = [
        await stranger.get(link),
        await other.get(link),
        await other.post("/verify", {"token": token}, page="/account"),
        await visitor.get(link),
        await visitor.http.head(link),
    ]
    proved = await visitor.post("/verify", page=link)
    again = await visitor.post("/verify", {"token": token}, page="/account")

    assert [answer.status_code for answer in answers] == [303, 404, 404, 200, 200]
    assert answers[0].headers["location"].startswith("/signin?next=%2Fverify")
    assert proved.headers["location"] == "/account?done=email"
    assert again.status_code == 404


async def test_an_account_that_a_directory_keeps_is_not_changed_by_hand(site: PeopleSite, mailbox: Mailbox) -> None:
    user = await site.person("hamlet")
    visitor = await signed_in(site)
    async with site.parts.database.write() as session:
        await update_user(session, user.id, UserChange(managed_by="ldap:corp"), actor="test", now=clock.now())

    page = await visitor.get("/account")
    saved = await visitor.post("/account", {"name": "Somebody", "locale": "de", "attribute.team": "x"})
    email = await visitor.post("/account/email", {"email": NEW, "current": PASSWORD}, page="/account")
    async with site.parts.database.read() as session:
        after = await find_user(session, user.id)

    assert 'name="name"' not in page.text
    assert saved.status_code == 303
    assert email.status_code == 422
    assert after is not None
    assert (after.name, after.locale, after.attributes) == (user.name, "de", {})
    assert await mailbox.turn() == []
