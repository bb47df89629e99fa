"""Logout told by the provider, and the ways from the sign-in page to a provider."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from federation.fake_provider import FakeProvider, fake_provider, unsigned
from federation.federation_site import FederationSite, federation_site
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.sessions.tickets import Ticket, sign_in_path
from people_site import Visitor

pytestmark = pytest.mark.anyio

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as fake:
        fake.claims = {"preferred_username": "ophelia"}
        yield fake


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    async with federation_site(database, vault) as site:
        yield site


async def signed_in(site: FederationSite, fake: FakeProvider, sid: str, sub: str = "subject-1") -> Visitor:
    fake.claims |= {"sid": sid, "sub": sub}
    fake.userinfo = {"sub": sub}
    visitor = site.visitor()
    await site.sign_in(visitor, fake)
    assert await site.is_signed_in(visitor)
    return visitor


def logout_token(fake: FakeProvider, *, typ: str = "logout+jwt", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": fake.issuer,
        "aud": fake.client_id,
        "iat": now,
        "exp": now + 120,
        "jti": f"jti-{time.time_ns()}",
        "sub": "subject-1",
        "sid": "there-1",
        "events": {EVENT: {}},
        **changes,
    }
    return fake.signed({name: value for name, value in claims.items() if value is not None}, typ=typ)


async def tell(site: FederationSite, token: str) -> httpx.Response:
    return await site.visitor().http.post("/federation/corp/backchannel-logout", data={"logout_token": token})


@pytest.mark.spec("OIDC Back-Channel Logout §2.7")
async def test_the_provider_ends_the_session_it_names_and_no_other(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    one = await signed_in(site, fake, "there-1")
    two = await signed_in(site, fake, "there-2")

    answer = await tell(site, logout_token(fake))

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert [await site.is_signed_in(one), await site.is_signed_in(two)] == [False, True]


async def test_without_sid_every_session_of_the_person_there_ends(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    one = await signed_in(site, fake, "there-1")
    two = await signed_in(site, fake, "there-2")
    other = await signed_in(site, fake, "there-3", sub="subject-2")

    answer = await tell(site, logout_token(fake, sid=None))

    assert answer.status_code == 200
    assert [await site.is_signed_in(each) for each in (one, two, other)] == [False, False, True]


async def test_with_sid_alone_that_session_ends(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    one = await signed_in(site, fake, "there-1")

    answer = await tell(site, logout_token(fake, sub=None))

    assert answer.status_code == 200
    assert not await site.is_signed_in(one)


@pytest.mark.spec("OIDC Back-Channel Logout §2.6")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"},
        {"aud": "somebody-else"},
        {"events": {}},
        {"events": None},
        {"nonce": "an-id-token"},
        {"sub": None, "sid": None},
        {"jti": None},
        {"iat": int(time.time()) - 7200},
        {"exp": int(time.time()) - 3600},
        {"typ": "at+jwt"},
    ],
)
async def test_a_logout_token_that_is_none_is_refused(
    site: FederationSite, fake: FakeProvider, changes: dict[str, Any]
) -> None:
    await site.provider(fake)
    visitor = await signed_in(site, fake, "there-1")

    answer = await tell(site, logout_token(fake, **changes))

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert await site.is_signed_in(visitor)


async def test_a_logout_token_counts_once_and_unsigned_ones_never(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    await signed_in(site, fake, "there-1")
    token = logout_token(fake)
    fake.sign = unsigned
    forged = logout_token(fake)

    answers = [await tell(site, one) for one in (token, token, forged, "nonsense")]

    assert [answer.status_code for answer in answers] == [200, 400, 400, 400]


async def test_the_sign_in_page_offers_providers(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    await site.provider(fake, "hidden", shown=False)
    await site.provider(fake, "off", enabled=False)

    page = await site.visitor().get("/signin?next=/account/linked")

    assert "Sign in with Corp" in page.text
    assert 'href="/federation/corp/start?next=' in page.text
    assert "/federation/hidden/" not in page.text
    assert "/federation/off/" not in page.text


async def test_an_address_of_a_home_domain_leads_to_its_provider(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, home_domains=("Corp.example",))
    visitor = site.visitor()

    led = await visitor.post("/signin", {"username": "Ophelia@corp.EXAMPLE"}, page="/signin?next=/account/linked")
    stays = await visitor.post("/signin", {"username": "ophelia@other.example"}, page="/signin")
    away = await visitor.get(led.headers["location"])

    assert urlsplit(led.headers["location"]).path == "/federation/corp/start"
    assert stays.status_code == 422
    # A page in between: browsers hold the redirects after a form to form-action.
    assert away.status_code == 200
    url = away.text.split("url=")[1].split('"')[0].replace("&amp;", "&")
    assert parse_qs(urlsplit(url).query)["login_hint"] == ["Ophelia@corp.EXAMPLE"]
    answer = await site.come_back(visitor, fake.answer(url))
    assert answer.url.path == "/account/linked"


async def test_a_verified_domain_of_an_organisation_leads_to_its_provider(
    site: FederationSite, fake: FakeProvider
) -> None:
    from kronborg.accounts.organisations import OrganisationDraft, create_organisation
    from kronborg.core import clock

    await site.provider(fake)
    draft = OrganisationDraft(
        "elsinore", "Elsinore", "corp", domains=("castle.example", "moat.example"), verified=("castle.example",)
    )
    async with site.database.write() as session:
        await create_organisation(session, draft, actor="test", now=clock.now())
    visitor = site.visitor()

    led = await visitor.post("/signin", {"username": "o@castle.example"}, page="/signin")
    unproved = await visitor.post("/signin", {"username": "o@moat.example"}, page="/signin")

    assert led.headers["location"].startswith("/federation/corp/start")
    assert unproved.status_code == 422


async def test_a_hint_leads_to_the_provider_at_once_and_back_to_a_choice(
    site: FederationSite, fake: FakeProvider
) -> None:
    await site.provider(fake)
    vault = site.people.parts.vault
    path = sign_in_path(vault, "/account/linked", Ticket(client_name="Shop", provider="corp"))
    unknown = sign_in_path(vault, "/account/linked", Ticket(provider="nobody"))
    visitor = site.visitor()

    led = await visitor.get(path)
    local = await visitor.get(f"{path}&way=local")
    stays = await visitor.get(unknown)
    forged = await visitor.get("/signin?next=/account/linked&ticket=W251bGwsW10sZmFsc2UsIiIsMCxmYWxzZSwiY29ycCJd.x")

    assert led.headers["location"].startswith("/federation/corp/start?")
    assert [page.status_code for page in (local, stays, forged)] == [200, 200, 200]


@pytest.mark.parametrize("wished", [False, True])
async def test_who_signs_out_here_is_led_to_sign_out_there_if_that_is_wished(
    site: FederationSite, fake: FakeProvider, wished: bool
) -> None:
    await site.provider(fake, logout=wished)
    visitor = await signed_in(site, fake, "there-1")

    answer = await visitor.post("/signout")

    there = fake.there.url("/logout?client_id=kronborg&amp;post_logout_redirect_uri=")
    assert (there in answer.text) == wished
    assert not await site.is_signed_in(visitor)
