"""Sign-in by an OpenID Connect provider: the flow itself, and what it must not be talked into."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from federation.fake_provider import (
    FakeProvider,
    basic_of,
    fake_provider,
    signed_by_another,
    signed_by_text,
    unsigned,
)
from federation.federation_site import FederationSite, federation_site
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.federation.parts import STARTS
from outside import Answer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as fake:
        fake.claims = {"preferred_username": "ophelia", "name": "Ophelia", "email": "ophelia@corp.example"}
        fake.claims["email_verified"] = True
        yield fake


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    async with federation_site(database, vault) as site:
        yield site


@pytest.mark.spec("OIDC Core §3.1")
async def test_somebody_new_gets_an_account_and_is_signed_in(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, trust_email=True)
    visitor = site.visitor()

    answer = await site.sign_in(visitor, fake)

    assert answer.status_code == 200
    assert await site.is_signed_in(visitor)
    user = await site.found("ophelia")
    assert user is not None
    assert (user.email, user.email_verified, user.managed_by) == ("ophelia@corp.example", True, "provider:corp")
    assert [(one.provider, one.subject) for one in await site.links(user.id)] == [("corp", "subject-1")]


@pytest.mark.spec("RFC 7636 §4")
@pytest.mark.spec("OIDC Core §3.1.2.1")
async def test_the_request_carries_state_nonce_and_challenge(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    visitor = site.visitor()

    location = await site.go(visitor, query="next=/account/linked&login_hint=ophelia@corp.example")
    await site.come_back(visitor, fake.answer(location))

    asked = {name: value for name, [value] in parse_qs(urlsplit(location).query).items()}
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == "http://localhost:8081/federation/corp/callback"
    assert asked["scope"] == "openid profile email"
    assert asked["login_hint"] == "ophelia@corp.example"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    [redeemed] = fake.redeemed
    assert len(redeemed["code_verifier"]) >= 43
    assert basic_of(redeemed["authorization"]) == (fake.client_id, fake.secret)


async def test_the_same_identity_leads_to_the_same_account(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, trust_email=True)
    await site.sign_in(site.visitor(), fake)
    first = await site.found("ophelia")
    assert first is not None
    fake.claims |= {"email": "o@new.example", "name": "Ophelia of Elsinore"}

    await site.sign_in(site.visitor(), fake)

    again = await site.by_id(first.id)
    assert (again.name, again.email, again.email_verified) == ("Ophelia of Elsinore", "o@new.example", True)


def _set(**changes: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda claims, _header: claims.update(changes)


def _drop(name: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda claims, _header: claims.pop(name, None)


@pytest.mark.spec("OIDC Core §3.1.3.7")
@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(_set(iss="https://evil.example"), id="another-issuer"),
        pytest.param(_set(aud="somebody-else"), id="another-audience"),
        pytest.param(_set(aud=["kronborg", "somebody-else"]), id="two-audiences"),
        pytest.param(_set(azp="somebody-else"), id="another-party"),
        pytest.param(_set(nonce="replayed"), id="another-nonce"),
        pytest.param(_drop("nonce"), id="no-nonce"),
        pytest.param(_set(exp=int(time.time()) - 3600), id="expired"),
        pytest.param(_drop("exp"), id="no-expiry"),
        pytest.param(_set(iat=int(time.time()) - 7200), id="old"),
        pytest.param(_set(iat=int(time.time()) + 7200), id="from-the-future"),
        pytest.param(_set(nbf=int(time.time()) + 7200), id="not-yet"),
        pytest.param(_set(at_hash="AAAAAAAAAAAAAAAAAAAAAA"), id="another-access-token"),
        pytest.param(_drop("sub"), id="nobody"),
        pytest.param(_set(sub="x" * 300), id="endless-subject"),
        pytest.param(lambda _claims, header: header.update(typ="at+jwt"), id="another-kind-of-jwt"),
    ],
)
async def test_an_id_token_that_was_not_made_for_this_is_refused(
    site: FederationSite, fake: FakeProvider, tamper: Callable[[dict[str, Any], dict[str, Any]], None]
) -> None:
    await site.provider(fake)
    fake.tamper = tamper
    visitor = site.visitor()

    answer = await site.sign_in(visitor, fake)

    assert answer.status_code == 400
    assert not await site.is_signed_in(visitor)
    assert await site.found("ophelia") is None


@pytest.mark.spec("RFC 8725 §3.1")
@pytest.mark.parametrize("attack", ["none", "public-key", "client-secret", "foreign-key", "foreign-key-same-kid"])
async def test_algorithm_confusion_is_refused(site: FederationSite, fake: FakeProvider, attack: str) -> None:
    await site.provider(fake)
    fake.sign = {
        "none": unsigned,
        "public-key": signed_by_text(fake.key.as_pem(private=False)),
        "client-secret": signed_by_text(fake.secret.encode()),
        "foreign-key": signed_by_another("unknown"),
        "foreign-key-same-kid": signed_by_another(fake.key.kid),
    }[attack]
    visitor = site.visitor()

    answer = await site.sign_in(visitor, fake)

    assert answer.status_code == 400
    assert not await site.is_signed_in(visitor)


@pytest.mark.spec("RFC 6749 §10.12")
async def test_an_answer_counts_in_the_browser_that_asked_and_once(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    attacker, victim = site.visitor(), site.visitor()
    await victim.get("/signin")
    path = fake.answer(await site.go(attacker))

    in_another_browser = await site.come_back(victim, path)
    at_home = await site.come_back(attacker, path)
    once_more = await site.come_back(attacker, path)

    assert in_another_browser.status_code == 400
    assert not await site.is_signed_in(victim)
    assert at_home.status_code == 200
    assert once_more.status_code == 400


@pytest.mark.parametrize("changes", [{"state": None}, {"state": "guessed"}, {"state": ""}, {"code": None}])
async def test_an_answer_without_its_state_or_code_is_refused(
    site: FederationSite, fake: FakeProvider, changes: dict[str, Any]
) -> None:
    await site.provider(fake)
    visitor = site.visitor()

    answer = await site.sign_in(visitor, fake, **changes)

    assert answer.status_code == 400
    assert fake.redeemed == []


@pytest.mark.spec("RFC 9700 §4.5")
async def test_a_code_of_another_attempt_is_of_no_use(site: FederationSite, fake: FakeProvider) -> None:
    """Code injection: the attacker's own answer with the victim's code, which PKCE binds to the victim's attempt."""
    await site.provider(fake)
    victim, attacker = site.visitor(), site.visitor()
    stolen = dict(parse_qsl(urlsplit(fake.answer(await site.go(victim))).query))["code"]
    location = await site.go(attacker)

    answer = await site.come_back(attacker, fake.answer(location, code=stolen))

    assert answer.status_code == 400
    assert not await site.is_signed_in(attacker)


@pytest.mark.spec("RFC 9207 §2.4")
@pytest.mark.parametrize("issuer", ["https://evil.example", ""])
async def test_mix_up__the_answer_of_another_issuer_is_refused_and_its_code_not_sent_on(
    site: FederationSite, fake: FakeProvider, issuer: str
) -> None:
    await site.provider(fake)
    visitor = site.visitor()

    answer = await site.sign_in(visitor, fake, iss=issuer or None)

    assert answer.status_code == 400
    assert fake.redeemed == []


@pytest.mark.spec("RFC 9700 §4.4.2")
async def test_mix_up__an_answer_at_the_address_of_another_provider_is_refused(
    site: FederationSite, fake: FakeProvider
) -> None:
    async with fake_provider() as honest:
        await site.provider(honest, "honest")
        await site.provider(fake, "evil")
        visitor = site.visitor()
        path = honest.answer(await site.go(visitor, "honest"))

        answer = await site.come_back(visitor, path.replace("/honest/", "/evil/"))

        assert answer.status_code == 400
        assert (honest.redeemed, fake.redeemed) == ([], [])


@pytest.mark.spec("OIDC Discovery §4.3")
async def test_discovery_that_names_another_issuer_is_refused(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    fake.metadata = {"issuer": "https://evil.example"}
    visitor = site.visitor()

    answer = await visitor.get("/federation/corp/start")

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest", "https://10.0.0.1", "http://[::ffff:10.0.0.1]", "https://localhost.evil.example"],
)
async def test_ssrf__discovery_and_what_it_names_call_nothing_inside(
    site: FederationSite, fake: FakeProvider, url: str
) -> None:
    await site.provider(fake)
    fake.metadata = {"token_endpoint": f"{url}/token", "jwks_uri": f"{url}/jwks"}
    visitor = site.visitor()

    start = await visitor.get("/federation/corp/start")
    answer = await visitor.get(fake.answer(start.headers["location"])) if start.is_redirect else start

    assert answer.status_code == 400
    assert fake.redeemed == []


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
async def test_open_redirect__nobody_is_sent_elsewhere_after_signing_in(
    site: FederationSite, fake: FakeProvider, target: str
) -> None:
    await site.provider(fake)
    visitor = site.visitor()
    path = fake.answer(await site.go(visitor, query=f"next={target}"))

    answer = await site.come_back(visitor, path)

    assert (answer.url.host, answer.url.path) == ("localhost", "/account")


async def test_what_the_provider_refuses_is_told_without_its_words(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    visitor = site.visitor()

    answer = await site.sign_in(
        visitor, fake, code=None, error="access_denied", error_description="<b>call 555-1234</b>"
    )

    assert answer.status_code == 400
    assert "555-1234" not in answer.text


@pytest.mark.spec("OIDC Core §5.3.2")
async def test_userinfo_of_somebody_else_is_refused(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    fake.claims = {}
    fake.userinfo = {"sub": "somebody-else", "email": "victim@corp.example", "email_verified": True}

    answer = await site.sign_in(site.visitor(), fake)

    assert answer.status_code == 400


async def test_userinfo_says_what_the_id_token_does_not(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, trust_email=True)
    fake.claims = {}
    fake.userinfo = {"sub": "subject-1", "preferred_username": "laertes", "email": "l@corp.example"}
    fake.userinfo["email_verified"] = True

    await site.sign_in(site.visitor(), fake)

    user = await site.found("laertes")
    assert user is not None
    assert user.email == "l@corp.example"


@pytest.mark.spec("OIDC Core §3.1.2.1")
@pytest.mark.parametrize(("auth_time", "status"), [(0, 200), (-3600, 400), (None, 400)])
async def test_who_must_be_asked_again_is_asked_there(
    site: FederationSite, fake: FakeProvider, auth_time: int | None, status: int
) -> None:
    from kronborg.sessions.tickets import Ticket, sign_in_path

    await site.provider(fake)
    fake.tamper = _drop("auth_time") if auth_time is None else _set(auth_time=int(time.time()) + auth_time)
    path = sign_in_path(site.people.parts.vault, "/account/linked", Ticket(again=True))
    visitor = site.visitor()
    location = await site.go(visitor, query=urlsplit(path).query)

    answer = await site.come_back(visitor, fake.answer(location))

    asked = dict(parse_qsl(urlsplit(location).query))
    assert (asked["prompt"], asked["max_age"]) == ("login", "0")
    assert answer.status_code == status


async def test_a_disabled_account_is_refused(site: FederationSite, fake: FakeProvider) -> None:
    from kronborg.accounts.users import disable_user
    from kronborg.core import clock

    await site.provider(fake)
    await site.sign_in(site.visitor(), fake)
    user = await site.found("ophelia")
    assert user is not None
    async with site.database.write() as session:
        await disable_user(session, user.id, actor="test", now=clock.now())
    visitor = site.visitor()

    answer = await site.sign_in(visitor, fake)

    assert answer.status_code == 403
    assert not await site.is_signed_in(visitor)


async def test_a_provider_that_is_switched_off_or_unknown_is_not_there(
    site: FederationSite, fake: FakeProvider
) -> None:
    await site.provider(fake, enabled=False)
    visitor = site.visitor()

    answers = [await visitor.get(f"/federation/{key}/start") for key in ("corp", "unknown")]

    assert [answer.status_code for answer in answers] == [404, 404]


async def test_a_provider_that_does_not_answer_is_told_and_the_page_stays(
    site: FederationSite, fake: FakeProvider
) -> None:
    await site.provider(fake)
    fake.there.answers["/.well-known/openid-configuration"] = Answer(b"", status=500)
    visitor = site.visitor()

    answer = await visitor.get("/federation/corp/start")

    assert answer.status_code == 400
    assert "cannot be reached" in answer.text
    assert (await visitor.get("/signin")).status_code == 200


async def test_one_network_begins_only_so_many_ways_to_a_provider(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake)
    flooding, other = site.visitor(), site.people.visitor(address="198.51.100.9")
    for _ in range(STARTS):
        await flooding.get("/federation/nobody/start")

    refused = await flooding.get("/federation/corp/start")
    allowed = await other.get("/federation/corp/start")

    assert (refused.status_code, allowed.status_code) == (429, 303)
    assert int(refused.headers["retry-after"]) > 0
