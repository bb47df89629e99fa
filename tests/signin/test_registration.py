"""People who make their account themselves, over HTTP with the letters they get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kronborg.accounts.groups import create_group
from kronborg.accounts.settings import Attribute, PeopleSettings, RegistrationSettings
from kronborg.accounts.store import find_by_login
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from letter_box import Mailbox, link_in, text_of
from people_site import PASSWORD, PeopleSite, people_site

pytestmark = pytest.mark.anyio

SIZE = Attribute("size", "Size", kind="choice", choices=("small", "large"), required=True)
FLOOR = Attribute("floor", "Floor", kind="number")
OPEN = PeopleSettings(RegistrationSettings(open=True), (SIZE, FLOOR))
FORM = {"email": "horatio@kronborg.example", "name": "Horatio", "password": PASSWORD, "attribute.size": "large"}


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[PeopleSite]:
    async with people_site(database, vault, people=OPEN) as opened:
        yield opened


async def test_nobody_registers_where_nobody_may(database: Database, vault: Vault) -> None:
    async with people_site(database, vault) as closed:
        visitor = closed.visitor()
        page, sign_in = await visitor.get("/register"), await visitor.get("/signin")
        posted = await visitor.post("/register", FORM, page="/forgot")

    assert (page.status_code, posted.status_code) == (404, 404)
    assert "Create account" not in sign_in.text
    assert "Forgot password?" in sign_in.text


async def test_an_account_begins_when_its_address_is_proved(site: PeopleSite, mailbox: Mailbox) -> None:
    visitor = site.visitor()
    assert 'href="/register?next=' in (await visitor.get("/signin")).text

    sent = await visitor.post("/register", FORM)
    async with site.parts.database.read() as session:
        before = await find_by_login(session, FORM["email"])
    [letter] = await mailbox.turn()
    link = link_in(letter)
    looked = [await visitor.get(link), await visitor.http.head(link), await visitor.get(link)]
    begun = await visitor.post("/register/confirm", page=link)
    entered = await visitor.get(begun.headers["location"])
    async with site.parts.database.read() as session:
        user = await find_by_login(session, FORM["email"])

    assert (sent.status_code, sent.headers["location"]) == (303, "/register/sent")
    assert before is None
    assert letter["to"] == FORM["email"]
    assert [page.status_code for page in looked] == [200, 200, 200]
    assert 'name="password"' not in looked[0].text
    assert begun.status_code == 303
    assert entered.status_code == 303
    assert await visitor.is_signed_in()
    assert user is not None
    assert user.email_verified
    assert (user.username, user.name, user.attributes) == ("horatio", "Horatio", {"size": "large"})
    assert (await visitor.get(link)).status_code == 404


async def test_in_another_browser_the_link_takes_the_password(site: PeopleSite, mailbox: Mailbox) -> None:
    # Somebody typed the address of somebody else, who follows the link: the account must not begin with a password
    # that its owner does not know.
    await site.visitor().post("/register", FORM)
    [letter] = await mailbox.turn()
    other, link = site.visitor(), link_in(letter)

    page = await other.get(link)
    wrong = await other.post("/register/confirm", {"password": "some other words"}, page=link)
    right = await other.post("/register/confirm", {"password": PASSWORD}, page=link)

    assert 'name="password"' in page.text
    assert wrong.status_code == 422
    assert right.status_code == 303


async def test_a_known_address_gets_the_same_answer_and_its_owner_a_letter(site: PeopleSite, mailbox: Mailbox) -> None:
    await site.person("ophelia")

    known = await site.visitor().post("/register", {**FORM, "email": "OPHELIA@kronborg.example"})
    unknown = await site.visitor().post("/register", FORM)
    letters = {letter["to"].lower(): letter for letter in await mailbox.turn()}

    told = [
        {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "set-cookie")}
        for answer in (known, unknown)
    ]
    assert (known.status_code, told[0]) == (unknown.status_code, told[1])
    assert known.content == unknown.content
    assert link_in(letters["ophelia@kronborg.example"]) == "/signin"
    assert "Horatio" not in text_of(letters["horatio@kronborg.example"])


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("email", "nonsense", "This is not an e-mail address"),
        ("email", "a@b.example\r\nBcc: c@d.example", "This is not an e-mail address"),
        ("password", "short", "too short"),
        ("password", "horatio@kronborg.example", "too easy to guess"),
        ("attribute.size", "", "This is needed"),
        ("attribute.size", "huge", "This is none of the choices"),
        ("name", "x\u202ey", "This name cannot be shown"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_is_sent(
    site: PeopleSite, mailbox: Mailbox, field: str, value: str, error: str
) -> None:
    answer = await site.visitor().post("/register", {**FORM, field: value})

    assert answer.status_code == 422
    assert error in answer.text
    assert PASSWORD not in answer.text
    assert await mailbox.turn() == []


async def test_domains_and_terms_are_held_to(database: Database, vault: Vault, tmp_path: Path) -> None:
    strict = RegistrationSettings(open=True, domains=("company.example",), terms_url="https://terms.example/")
    async with people_site(database, vault, people=PeopleSettings(strict)) as site:
        elsewhere = await site.visitor().post("/register", {**FORM, "terms": "yes"})
        silent = await site.visitor().post("/register", {**FORM, "email": "h@company.example"})
        agreed = await site.visitor().post("/register", {**FORM, "email": "h@company.example", "terms": "yes"})

    assert "addresses of this domain cannot register" in elsewhere.text.lower()
    assert (elsewhere.status_code, silent.status_code, agreed.status_code) == (422, 422, 303)


async def test_one_network_registers_so_many_and_others_go_on(database: Database, vault: Vault) -> None:
    few = PeopleSettings(RegistrationSettings(open=True, per_hour=3))
    async with people_site(database, vault, people=few) as site:
        visitor = site.visitor()
        answers = [await visitor.post("/register", {**FORM, "email": f"p{n}@x.example"}) for n in range(5)]
        other = await site.visitor(address="198.51.100.7").post("/register", FORM)

    assert [answer.status_code for answer in answers[:3]] == [303, 303, 303]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert other.status_code == 303


async def test_one_inbox_is_not_flooded(site: PeopleSite, mailbox: Mailbox) -> None:
    for n in range(9):
        await site.visitor(address=f"198.51.100.{n}").post("/register", FORM)
        await site.visitor(address=f"198.51.100.{n}").post("/forgot", {"username": FORM["email"]})

    assert len(await mailbox.turn()) == 5


async def test_links_are_made_from_the_issuer_whatever_the_host_header_says(site: PeopleSite, mailbox: Mailbox) -> None:
    visitor = site.visitor()

    await visitor.post("/register", FORM, headers={"host": "evil.example", "x-forwarded-host": "evil.example"})
    [letter] = await mailbox.turn()

    assert "evil.example" not in letter.as_string()
    assert link_in(letter).startswith("/register/confirm?token=")


async def test_without_proof_the_account_begins_at_once_and_the_address_follows(
    database: Database, vault: Vault, tmp_path: Path
) -> None:
    async with database.write() as session:
        await create_group(session, "guests", actor="test", now=clock.now())
    lenient = PeopleSettings(RegistrationSettings(open=True, verify=False, groups=("guests",)))
    async with people_site(database, vault, people=lenient) as site:
        mailbox = Mailbox(database, vault, site.app.state.people, tmp_path / "mail")
        visitor = site.visitor()

        begun = await visitor.post("/register", FORM)
        await visitor.get(begun.headers["location"])
        signed_in = await visitor.is_signed_in()
        async with database.read() as session:
            before = await find_by_login(session, "horatio")
        [letter] = await mailbox.turn()
        proved = await visitor.post("/verify", page=link_in(letter))
        async with database.read() as session:
            after = await find_by_login(session, "horatio")

    assert signed_in
    assert before is not None
    assert (before.email, before.groups) == (None, ("guests",))
    assert proved.headers["location"] == "/account?done=email"
    assert after is not None
    assert (after.email, after.email_verified) == (FORM["email"], True)


async def test_of_two_who_race_for_an_address_one_gets_it(site: PeopleSite, mailbox: Mailbox) -> None:
    one, two = site.visitor(), site.visitor()
    await one.post("/register", FORM)
    await two.post("/register", FORM)
    first, second = [link_in(letter) for letter in await mailbox.turn()]

    answers = [await one.post("/register/confirm", {"password": PASSWORD}, page=first)]
    answers.append(await two.post("/register/confirm", {"password": PASSWORD}, page=second))

    assert [answer.status_code for answer in answers] == [303, 404]
