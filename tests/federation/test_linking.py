"""Whose account somebody gets into. Each test about linking is an attack that worked somewhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from federation.fake_provider import FakeProvider, fake_provider
from federation.federation_site import FederationSite, federation_site
from kronborg.accounts.groups import create_group
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from people_site import Visitor

pytestmark = pytest.mark.anyio

VICTIM = "victim@corp.example"


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as fake:
        fake.claims = {"preferred_username": "ophelia", "email": VICTIM, "email_verified": True}
        yield fake


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    async with federation_site(database, vault) as site:
        yield site


async def outcome(site: FederationSite, fake: FakeProvider, visitor: Visitor | None = None) -> httpx.Response:
    """What the callback itself answers: the journey goes on, or a question."""
    visitor = visitor or site.visitor()
    return await visitor.get(fake.answer(await site.go(visitor)))


def goes_in(answer: httpx.Response) -> bool:
    return bool(answer.is_redirect) and urlsplit(answer.headers["location"]).path == "/signin/continue"


def asks_to_prove(answer: httpx.Response) -> bool:
    return bool(answer.is_redirect) and urlsplit(answer.headers["location"]).path == "/federation/link"


async def test_both_sides_proved_and_a_trusted_domain__the_account_is_linked(
    site: FederationSite, fake: FakeProvider
) -> None:
    await site.provider(fake, trust_email=True, trusted_domains=("corp.example",))
    user = await site.user("victim", email=VICTIM, verified=True)

    answer = await outcome(site, fake)

    assert goes_in(answer)
    assert [one.subject for one in await site.links(user.id)] == ["subject-1"]
    assert (await site.by_id(user.id)).managed_by == ""


@pytest.mark.parametrize(
    ("settings", "claims", "verified"),
    [
        pytest.param({}, {}, True, id="noauth--an-address-that-is-not-believed"),
        pytest.param({"trusted_domains": ("corp.example",)}, {"email_verified": False}, True, id="unverified-there"),
        pytest.param({"trusted_domains": ("corp.example",)}, {"email_verified": None}, True, id="nothing-said-there"),
        pytest.param({"trusted_domains": ("corp.example",)}, {}, False, id="prehijacking--unverified-here"),
        pytest.param({"trusted_domains": ("other.example",)}, {}, True, id="not-its-domain"),
        pytest.param({"trusted_domains": ()}, {}, True, id="no-domain-of-its-own"),
        pytest.param({"trusted_domains": ("example",)}, {}, True, id="a-parent-of-the-domain"),
    ],
)
async def test_an_address_alone_opens_no_account(
    site: FederationSite, fake: FakeProvider, settings: dict[str, Any], claims: dict[str, object], verified: bool
) -> None:
    if "trusted_domains" in settings and settings["trusted_domains"] == ("example",):
        settings = {"trusted_domains": ("rp.example",)}
    await site.provider(fake, trust_email=bool(settings), **settings)
    user = await site.user("victim", email=VICTIM, verified=verified)
    fake.claims |= claims
    visitor = site.visitor()

    answer = await outcome(site, fake, visitor)

    assert await site.links(user.id) == []
    if goes_in(answer):  # with an account of its own, that has not got the address
        made = await site.found("ophelia")
        assert made is not None
        assert made.id != user.id
        assert made.email is None
    else:
        assert asks_to_prove(answer)


async def test_a_mailbox_whose_name_only_folds_to_another_opens_no_account(
    site: FederationSite, fake: FakeProvider
) -> None:
    await site.provider(fake, trust_email=True, trusted_domains=("corp.example",))
    user = await site.user("strasse", email="strasse@corp.example", verified=True)
    fake.claims["email"] = "straße@corp.example"

    answer = await outcome(site, fake)

    assert asks_to_prove(answer)
    assert await site.links(user.id) == []


async def test_an_unproved_address_is_not_taken_over(site: FederationSite, fake: FakeProvider) -> None:
    """Else the owner of the address would one day recover an account to which somebody else holds a second key."""
    await site.provider(fake, trust_email=True)
    fake.claims["email_verified"] = False

    await outcome(site, fake)

    user = await site.found("ophelia")
    assert user is not None
    assert (user.email, user.email_verified) == (None, False)


async def test_the_owner_proves_the_account_and_links_it(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, trust_email=True)
    user = await site.people.person("victim")
    fake.claims["email"] = "victim@kronborg.example"
    visitor = site.visitor()
    question = (await outcome(site, fake, visitor)).headers["location"]
    asked = await visitor.get(question)
    await visitor.sign_in("victim", page="/signin?way=local")

    confirm = await visitor.get(question)
    answer = await visitor.post("/federation/link", {"decision": "link"}, page=question)

    assert "Sign in and link" in asked.text
    assert "subject-1" not in asked.text
    assert "Link them" in confirm.text
    assert answer.status_code == 303
    assert [one.provider for one in await site.links(user.id)] == ["corp"]
    assert await site.events("identity.linked") == [user.id]
    assert goes_in(await outcome(site, fake))


async def test_a_pending_link_is_of_one_browser_and_used_once(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, trust_email=True)
    await site.people.person("victim")
    attacker_account = await site.people.person("attacker")
    fake.claims["email"] = "victim@kronborg.example"
    visitor, attacker = site.visitor(), site.visitor()
    question = (await outcome(site, fake, visitor)).headers["location"]
    await attacker.sign_in("attacker")

    elsewhere = await attacker.get(question)
    await visitor.sign_in("victim", page="/signin?way=local")
    shown = await visitor.get(question)
    first = await visitor.post("/federation/link", {"decision": "leave"}, page=question)
    again = await visitor.get(question)

    assert elsewhere.status_code == 400
    assert shown.status_code == 200
    assert first.status_code == 303
    assert again.status_code == 400
    assert await site.links(attacker_account.id) == []


async def test_login_csrf__linking_from_the_account_page_asks_before_anything_is_linked(
    site: FederationSite, fake: FakeProvider
) -> None:
    """The attacker makes the victim's browser fetch the attacker's own answer: the question names whose it is."""
    await site.provider(fake)
    victim = await site.people.person("gertrude")
    visitor = site.visitor()
    await visitor.sign_in("gertrude")
    location = await site.go(visitor, query="link=1")

    answer = await visitor.get(fake.answer(location))

    assert asks_to_prove(answer)
    assert await site.links(victim.id) == []
    page = await visitor.get(answer.headers["location"])
    assert VICTIM in page.text
    done = await visitor.post("/federation/link", {"decision": "link"}, page=answer.headers["location"])
    assert done.headers["location"] == "/account/linked?done=linked"
    assert [one.shown for one in await site.links(victim.id)] == [VICTIM]


async def test_linking_needs_a_fresh_sign_in(
    site: FederationSite, fake: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    await site.provider(fake)
    await site.people.person("gertrude")
    visitor = site.visitor()
    await visitor.sign_in("gertrude")
    later = clock.now() + timedelta(minutes=20)
    monkeypatch.setattr(clock, "now", lambda: later)

    answer = await visitor.get("/federation/corp/start?link=1")

    assert urlsplit(answer.headers["location"]).path == "/signin"


async def test_an_identity_is_linked_to_one_account_only(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    await outcome(site, fake)
    other = await site.people.person("gertrude")
    visitor = site.visitor()
    await visitor.sign_in("gertrude")
    question = (await visitor.get(fake.answer(await site.go(visitor, query="link=1")))).headers["location"]

    answer = await visitor.post("/federation/link", {"decision": "link"}, page=question)

    assert answer.status_code == 409
    assert await site.links(other.id) == []


async def test_somebody_whose_address_is_taken_can_have_an_account_of_their_own(
    site: FederationSite, fake: FakeProvider
) -> None:
    await site.provider(fake, trust_email=True)
    squatter = await site.user("squatter", email=VICTIM)
    visitor = site.visitor()
    question = (await outcome(site, fake, visitor)).headers["location"]

    answer = await visitor.post("/federation/link", {"decision": "anew"}, page=question)

    assert goes_in(answer)
    made = await site.found("ophelia")
    assert made is not None
    assert made.email is None
    assert (await site.by_id(squatter.id)).email == VICTIM


async def test_without_provisioning_nobody_gets_an_account(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, provision=False)
    visitor = site.visitor()

    answer = await outcome(site, fake, visitor)

    assert asks_to_prove(answer)
    assert "anew" not in (await visitor.get(answer.headers["location"])).text
    assert await site.found("ophelia") is None


@pytest.mark.parametrize(
    ("claims", "enters"),
    [({}, True), ({"email": "x@other.example"}, False), ({"email_verified": False}, False), ({"email": ""}, False)],
)
async def test_only_people_of_allowed_domains_come_in(
    site: FederationSite, fake: FakeProvider, claims: dict[str, object], enters: bool
) -> None:
    await site.provider(fake, trust_email=True, allowed_domains=("corp.example",))
    fake.claims |= claims

    answer = await outcome(site, fake)

    assert goes_in(answer) == enters
    assert (await site.found("ophelia") is not None) == enters


async def test_groups_follow_the_provider_and_others_stay(site: FederationSite, fake: FakeProvider) -> None:
    async with site.database.write() as session:
        for name in ("Staff", "Guards", "Choir"):
            await create_group(session, name, actor="test", now=clock.now())
    await site.provider(fake, groups_claim="realm.groups", groups={"/staff": "Staff", "/guards": "Guards"})
    fake.claims["realm"] = {"groups": ["/staff", "/kings"]}
    await outcome(site, fake)
    user = await site.found("ophelia")
    assert user is not None
    assert user.groups == ("Staff",)
    from kronborg.accounts.users import join_group

    async with site.database.write() as session:
        await join_group(session, user.id, "Choir", actor="test", now=clock.now())
    fake.claims["realm"] = {"groups": ["/guards"]}

    await outcome(site, fake)

    assert sorted((await site.by_id(user.id)).groups) == ["Choir", "Guards"]


@pytest.mark.parametrize("taken", ["ophelia", "Ophelia"])
async def test_a_username_that_is_taken_gives_way(site: FederationSite, fake: FakeProvider, taken: str) -> None:
    await site.provider(fake)
    await site.user(taken)

    await outcome(site, fake)

    assert await site.found("ophelia2") is not None


async def test_attributes_are_mapped(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, attributes={"department": "dept", "floor": "place.floor"})
    fake.claims |= {"dept": "Melancholy", "place": {"floor": 3}, "secret": "no"}

    await outcome(site, fake)

    user = await site.found("ophelia")
    assert user is not None
    assert dict(user.attributes) == {"department": "Melancholy", "floor": 3}


@pytest.mark.parametrize("unlinkable", [False, True])
async def test_the_last_way_to_sign_in_is_not_unlinked(
    site: FederationSite, fake: FakeProvider, unlinkable: bool
) -> None:
    from kronborg.signin.passwords import set_password

    await site.provider(fake)
    visitor = site.visitor()
    await site.sign_in(visitor, fake)
    user = await site.found("ophelia")
    assert user is not None
    if unlinkable:
        async with site.database.write() as session:
            passwords = site.people.signin.passwords
            await set_password(
                session, user.id, "to be or not to be", actor="test", now=clock.now(), passwords=passwords
            )
        await site.sign_in(visitor, fake)  # a new password signs out every browser

    answer = await visitor.post("/account/linked", {"provider": "corp", "subject": "subject-1"})

    assert answer.status_code == (303 if unlinkable else 409)
    assert (await site.links(user.id) == []) == unlinkable


async def test_what_the_provider_says_of_methods_counts_where_it_is_trusted(
    site: FederationSite, fake: FakeProvider
) -> None:
    from kronborg.core.cookies import BROWSER
    from kronborg.sessions.proof import open_proof

    fake.claims |= {"amr": ["pwd", "otp", "made-up"], "acr": "gold", "sid": "there-1"}
    found = []
    cases: tuple[dict[str, Any], ...] = ({}, {"trust_amr": True, "multi_factor_acr": ("gold",)})
    for settings in cases:
        await site.provider(fake, **settings)
        visitor = site.visitor()
        answer = await outcome(site, fake, visitor)
        [sealed] = parse_qs(urlsplit(answer.headers["location"]).query)["proof"]
        browser = visitor.http.cookies[BROWSER]
        found.append(open_proof(site.people.parts.vault, sealed, browser=browser, now=clock.now()))

    plain, trusted = found
    assert plain is not None
    assert trusted is not None
    assert (plain.amr, plain.by, plain.told) == (("fed",), "provider:corp", "there-1")
    assert trusted.amr == ("fed", "pwd", "otp", "mfa")
