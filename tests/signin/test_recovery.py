"""Forgotten passwords, invitations, notices and the emergency brake, over HTTP with the letters people get."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kronborg.accounts.invitations import invite
from kronborg.accounts.links import make_link
from kronborg.accounts.store import find_user
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.core import clock
from kronborg.core.errors import Conflict, Invalid, TooMany
from kronborg.core.events import record
from kronborg.factors.model import Factor
from kronborg.factors.store import insert_factor, list_factors
from kronborg.federation.linked import linked_accounts
from kronborg.federation.linking import link
from kronborg.federation.model import Provider, ProviderSettings, Told
from kronborg.federation.providers_store import write_provider
from kronborg.signin.passwords import store_password
from letter_box import Mailbox, link_in, text_of
from people_site import PASSWORD, PeopleSite, Visitor

pytestmark = pytest.mark.anyio

NEW = "the rest is silence"


async def signed_in(site: PeopleSite, name: str = "hamlet", password: str = PASSWORD) -> Visitor:
    visitor = site.visitor()
    assert (await visitor.sign_in(name, password)).status_code == 303
    return visitor


async def forgotten(site: PeopleSite, mailbox: Mailbox, name: str = "hamlet") -> str:
    """The path of a fresh link."""
    await site.visitor().post("/forgot", {"username": name})
    [letter] = await mailbox.turn()
    return link_in(letter)


async def test_a_reset_sets_the_password_and_signs_everybody_out(site: PeopleSite, mailbox: Mailbox) -> None:
    user = await site.person("hamlet")
    elsewhere, visitor = await signed_in(site), site.visitor()
    link = await forgotten(site, mailbox)

    looked = [await visitor.get(link), await visitor.http.head(link)]
    weak = await visitor.post("/reset", {"new": "short"}, page=link)
    done = await visitor.post("/reset", {"new": NEW}, page=link)
    again = await visitor.get(link)
    async with site.parts.database.read() as session:
        after = await find_user(session, user.id)

    assert [page.status_code for page in looked] == [200, 200]
    assert weak.status_code == 422
    assert "Your password is changed" in done.text
    assert not await elsewhere.is_signed_in()
    # No session comes of it: whoever has a second factor still needs one.
    assert not await visitor.is_signed_in()
    assert again.status_code == 404
    assert (await site.visitor().sign_in("hamlet")).status_code == 422
    assert (await site.visitor().sign_in("hamlet", NEW)).status_code == 303
    assert after is not None
    assert after.email_verified


async def test_known_and_unknown_are_one_answer(site: PeopleSite, mailbox: Mailbox) -> None:
    await site.person("hamlet")

    known = await site.visitor().post("/forgot", {"username": "hamlet"})
    unknown = await site.visitor().post("/forgot", {"username": "nobody@kronborg.example"})

    assert (known.status_code, known.headers["location"], known.content) == (303, "/forgot/sent", unknown.content)
    assert unknown.headers["location"] == "/forgot/sent"
    assert [letter["to"] for letter in await mailbox.turn()] == ["hamlet@kronborg.example"]


@pytest.mark.parametrize("change", [UserChange(managed_by="ldap:corp"), UserChange(disabled=True)])
async def test_who_has_no_password_here_is_told_so_in_the_letter_alone(
    site: PeopleSite, mailbox: Mailbox, change: UserChange
) -> None:
    user = await site.person("hamlet")
    async with site.parts.database.write() as session:
        await update_user(session, user.id, change, actor="test", now=clock.now())

    answer = await site.visitor().post("/forgot", {"username": "hamlet"})
    [letter] = await mailbox.turn()

    assert answer.headers["location"] == "/forgot/sent"
    assert "token=" not in text_of(letter)


async def test_a_link_is_void_for_another_purpose_after_its_time_and_for_an_address_that_changed(
    site: PeopleSite, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await site.person("hamlet")
    visitor, link = site.visitor(), await forgotten(site, mailbox)
    token = link.partition("token=")[2]
    late = clock.now() + timedelta(hours=1, seconds=1)

    purposes = [await visitor.get(f"{path}?token={token}") for path in ("/join", "/lockdown", "/register/confirm")]
    posted = await visitor.post("/lockdown", {"token": token}, page="/forgot")
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: late)
        over = await visitor.get(link)
    async with site.parts.database.write() as session:
        elsewhere = UserChange(email="prince@kronborg.example")
        await update_user(session, user.id, elsewhere, actor="test", now=clock.now())
    changed = await visitor.get(link)

    assert [page.status_code for page in purposes] == [404, 404, 404]
    assert posted.status_code == 404
    assert over.status_code == 404
    assert changed.status_code == 404
    assert await site.visitor().sign_in("hamlet")


@pytest.mark.parametrize("token", ["", "x", "%00", "a" * 5000, "%F0%9F%98%80"])
async def test_what_is_no_token_is_a_page(site: PeopleSite, token: str) -> None:
    for path in ("/reset", "/join", "/lockdown", "/register/confirm"):
        answer = await site.visitor().get(f"{path}?token={token}")

        assert answer.status_code == 404
        assert "This link works no more" in answer.text


async def test_asking_is_bounded_by_network_and_by_inbox(site: PeopleSite, mailbox: Mailbox) -> None:
    await site.person("hamlet")
    visitor = site.visitor()

    answers = [await visitor.post("/forgot", {"username": f"somebody{n}"}) for n in range(23)]
    for n in range(9):
        await site.visitor(address=f"198.51.100.{n}").post("/forgot", {"username": "hamlet"})

    assert answers[19].status_code == 303
    assert answers[-1].status_code == 429
    assert len(await mailbox.turn()) == 5


async def test_an_invitation_is_accepted_with_a_password(site: PeopleSite, mailbox: Mailbox) -> None:
    now, letters = clock.now(), site.app.state.people.letters
    async with site.parts.database.write() as session:
        user = await create_user(session, NewUser("yorick", "yorick@kronborg.example"), actor="test", now=now)
        await invite(session, letters, user.id, actor="client:ops", organisation="Elsinore", now=now)
    [letter] = await mailbox.turn()
    visitor, link = site.visitor(), link_in(letter)

    page = await visitor.get(link)
    accepted = await visitor.post("/join", {"new": NEW}, page=link)
    await visitor.get(accepted.headers["location"])

    assert "Elsinore" in letter["subject"]
    assert "yorick" in page.text
    assert accepted.headers["location"].startswith("/signin/continue?")
    assert await visitor.is_signed_in()
    assert (await visitor.get(link)).status_code == 404
    assert await mailbox.turn() == []  # the first password and the first browser are no news


async def test_whom_nobody_can_invite(site: PeopleSite) -> None:
    now, letters = clock.now(), site.app.state.people.letters
    user = await site.person("hamlet")
    async with site.parts.database.write() as session:
        nowhere = await create_user(session, NewUser("ghost"), actor="test", now=now)
        robot = await create_user(session, NewUser("r", "r@x.example", kind="service"), actor="test", now=now)

    async with site.parts.database.write() as session:
        with pytest.raises(Invalid):
            await invite(session, letters, nowhere.id, actor="test", now=now)
        with pytest.raises(Conflict):
            await invite(session, letters, robot.id, actor="test", now=now)
        for _ in range(5):
            await invite(session, letters, user.id, actor="test", now=now)
        with pytest.raises(TooMany):
            await invite(session, letters, user.id, actor="test", now=now)


async def test_an_unknown_browser_is_told_of_but_not_the_first_nor_a_known_one(
    site: PeopleSite, mailbox: Mailbox
) -> None:
    await site.person("hamlet")
    known = await signed_in(site)
    first = await mailbox.turn()

    await known.post("/signout")
    await known.sign_in("hamlet")
    again = await mailbox.turn()
    await signed_in(site)
    [notice] = await mailbox.turn()

    assert (first, again) == ([], [])
    assert "Firefox on Linux" in text_of(notice)
    assert "203.0.113.7" in text_of(notice)


async def test_a_changed_password_is_told_of(site: PeopleSite, mailbox: Mailbox) -> None:
    await site.person("hamlet")
    visitor = await signed_in(site)
    await mailbox.turn()

    await visitor.post("/account/password", {"current": PASSWORD, "new": NEW}, page="/account/security")
    [notice] = await mailbox.turn()

    assert "password" in notice["subject"]
    assert link_in(notice).startswith("/lockdown?token=")


async def test_the_brake_ends_everything_and_sends_the_way_back(site: PeopleSite, mailbox: Mailbox) -> None:
    await site.person("hamlet")
    owner = await signed_in(site)
    await mailbox.turn()
    thief = await signed_in(site)
    [notice] = await mailbox.turn()
    link = link_in(notice)

    looked = [await site.visitor().get(link), await site.visitor().http.head(link)]
    still = await owner.is_signed_in()
    pulled = await site.visitor().post("/lockdown", page=link)
    [letter] = await mailbox.turn()
    reset = await site.visitor().post("/reset", {"new": NEW}, page=link_in(letter))

    assert [page.status_code for page in looked] == [200, 200]
    assert still
    assert "Your account is locked" in pulled.text
    assert not await owner.is_signed_in()
    assert not await thief.is_signed_in()
    assert (await site.visitor().sign_in("hamlet")).status_code == 422
    assert "Your password is changed" in reset.text
    assert (await site.visitor().get(link)).status_code == 404


async def test_the_brake_sets_a_changed_address_back_and_what_a_thief_asked_for_is_void(
    site: PeopleSite, mailbox: Mailbox
) -> None:
    user = await site.person("hamlet")
    thief = await signed_in(site)
    await mailbox.turn()
    await thief.post("/account/email", {"email": "thief@evil.example", "current": PASSWORD}, page="/account")
    [letter] = await mailbox.turn()
    await thief.post("/verify", page=link_in(letter))
    [notice] = await mailbox.turn()
    thiefs = await forgotten(site, mailbox)
    # The thief pulls a brake of their own: it must not void the owner's.
    async with site.parts.database.write() as session:
        held = {"email": "thief@evil.example", "cause": "session.begun"}
        own = await make_link(session, site.parts.vault, "lockdown", user.id, held, now=clock.now())
    await site.visitor().post("/lockdown", page=f"/lockdown?token={own}")
    await mailbox.turn()

    pulled = await site.visitor().post("/lockdown", page=link_in(notice))
    letters = await mailbox.turn()
    async with site.parts.database.read() as session:
        after = await find_user(session, user.id)

    assert pulled.status_code == 200
    assert after is not None
    assert after.email == "hamlet@kronborg.example"
    assert [letter["to"] for letter in letters] == ["hamlet@kronborg.example"]
    assert (await site.visitor().get(thiefs)).status_code == 404


async def test_a_password_set_by_an_administrator_is_told_of(site: PeopleSite, mailbox: Mailbox) -> None:
    user = await site.person("hamlet")
    await mailbox.turn()
    encoded = await site.signin.passwords.hash(NEW)

    async with site.parts.database.write() as session:
        await store_password(session, user.id, encoded, actor="client:operator", now=clock.now())
    letters = await mailbox.turn()

    assert len(letters) == 1


async def test_an_address_that_was_a_thiefs_for_a_while_does_not_come_back(site: PeopleSite, mailbox: Mailbox) -> None:
    user = await site.person("hamlet")
    thief = await signed_in(site)
    await mailbox.turn()
    brakes = []
    for address in ("one@evil.example", "two@evil.example"):
        await thief.post("/account/email", {"email": address, "current": PASSWORD}, page="/account")
        [letter] = await mailbox.turn()
        await thief.post("/verify", page=link_in(letter))
        [notice] = await mailbox.turn()
        brakes.append((notice["to"], link_in(notice)))

    await site.visitor().post("/lockdown", page=brakes[0][1])
    thiefs = await site.visitor().get(brakes[1][1])
    async with site.parts.database.read() as session:
        after = await find_user(session, user.id)

    assert [to for to, _ in brakes] == ["hamlet@kronborg.example", "one@evil.example"]
    assert thiefs.status_code == 404
    assert after is not None
    assert after.email == "hamlet@kronborg.example"


async def test_when_an_administrator_sets_the_address_older_letters_are_void(
    site: PeopleSite, mailbox: Mailbox
) -> None:
    user = await site.person("hamlet")
    await signed_in(site)
    await signed_in(site)
    [notice] = await mailbox.turn()
    reset = await forgotten(site, mailbox)

    async with site.parts.database.write() as session:
        change = UserChange(email="prince@kronborg.example")
        await update_user(session, user.id, change, actor="client:ops", now=clock.now())

    assert (await site.visitor().get(link_in(notice))).status_code == 404
    assert (await site.visitor().get(reset)).status_code == 404


async def test_the_brake_takes_away_the_factor_that_its_letter_tells_of_and_no_other(
    site: PeopleSite, mailbox: Mailbox
) -> None:
    user = await site.person("hamlet")
    now = clock.now()
    async with site.parts.database.write() as session:
        for name in ("mine", "thiefs"):
            await insert_factor(session, Factor(name, user.id, "totp", name, now, None), sealed="x")
        detail = {"kind": "totp", "name": "thiefs", "factor": "thiefs"}
        await record(session, "factor.added", actor=user.id, subject=user.id, now=now, detail=detail)
    [notice] = await mailbox.turn()

    await site.visitor().post("/lockdown", page=link_in(notice))
    async with site.parts.database.read() as session:
        left = [one.name for one in await list_factors(session, user.id)]

    assert "an authenticator app" in text_of(notice)
    assert left == ["mine"]


async def test_what_a_thief_did_after_a_letter_was_sent_is_undone_by_its_brake(
    site: PeopleSite, mailbox: Mailbox
) -> None:
    user = await site.person("hamlet")
    await signed_in(site)
    await mailbox.turn()
    thief = await signed_in(site)
    [first] = await mailbox.turn()
    await thief.post("/account/email", {"email": "thief@evil.example", "current": PASSWORD}, page="/account")
    [letter] = await mailbox.turn()
    await thief.post("/verify", page=link_in(letter))
    async with site.parts.database.write() as session:
        now = clock.now()
        long_ago = now - timedelta(days=9)
        for name, at in (("mine", long_ago), ("thiefs", now)):
            await insert_factor(session, Factor(name, user.id, "totp", name, at, None), sealed="x")
        provider = Provider("okta", "oidc", "Okta", ProviderSettings(), None, now, now)
        await write_provider(session, provider)
        told = Told("okta", "thief-at-okta")
        await link(session, user.id, told, actor=user.id, now=now)
    notices = [one["to"] for one in await mailbox.turn()]

    await site.visitor().post("/lockdown", page=link_in(first))
    sent = [one["to"] for one in await mailbox.turn() if link_in(one).startswith("/reset")]
    async with site.parts.database.read() as session:
        after = await find_user(session, user.id)
        factors = [one.name for one in await list_factors(session, user.id)]
        links = await linked_accounts(session, user.id)

    assert "thief@evil.example" in notices
    assert after is not None
    assert after.email == "hamlet@kronborg.example"
    assert sent == ["hamlet@kronborg.example"]
    assert factors == ["mine"]
    assert links == []


async def test_a_linked_account_elsewhere_is_told_of_with_the_brake(site: PeopleSite, mailbox: Mailbox) -> None:
    user, now = await site.person("hamlet"), clock.now()
    await mailbox.turn()
    async with site.parts.database.write() as session:
        await write_provider(session, Provider("okta", "oidc", "Okta", ProviderSettings(), None, now, now))
        await link(session, user.id, Told("okta", "thief-at-okta"), actor=user.id, now=now)
        await link(session, user.id, Told("okta", "by-itself"), actor="provider:okta", now=now)
    [notice] = await mailbox.turn()

    await site.visitor().post("/lockdown", page=link_in(notice))
    async with site.parts.database.read() as session:
        links = await linked_accounts(session, user.id)

    assert "Okta" in text_of(notice)
    assert links == []
