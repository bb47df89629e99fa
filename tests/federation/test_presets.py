"""Providers that everybody knows, each as a local fake that answers as it documents."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import ECKey

from federation.fake_provider import FakeProvider, fake_provider
from federation.federation_site import FederationSite, federation_site
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.jose import parse
from kronborg.federation.model import KINDS, ProviderDraft, ProviderSettings
from kronborg.federation.presets import PRESETS, draft_of
from kronborg.federation.providers import provider_problems, save_provider
from outside import Answer

pytestmark = pytest.mark.anyio

TENANT = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as fake:
        yield fake


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    async with federation_site(database, vault) as site:
        yield site


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_lacks_nothing_but_the_client(name: str) -> None:
    draft = draft_of(name)
    more: dict[str, Any] = {"team_id": "T1", "key_id": "K1"} if name == "apple" else {}

    whole = replace(draft, settings=replace(draft.settings, client_id="kronborg", **more))

    assert draft.kind in KINDS
    assert provider_problems(whole) == ()


async def _github(site: FederationSite, fake: FakeProvider, **settings: Any) -> None:
    await site.provider(
        fake,
        "github",
        kind="oauth2",
        preset="github",
        authorization_endpoint=fake.there.url("/authorize"),
        token_endpoint=fake.there.url("/token"),
        userinfo_endpoint=fake.there.url("/userinfo"),
        trust_email=True,
        **settings,
    )
    fake.tells_issuer, fake.with_id_token = False, False
    fake.userinfo = {"id": 583231, "login": "octo", "name": "Octo", "email": "written@by.example"}


async def test_github__the_primary_verified_address_counts_and_not_the_one_of_the_profile(
    site: FederationSite, fake: FakeProvider
) -> None:
    await _github(site, fake)
    fake.emails = [
        {"email": "old@corp.example", "primary": False, "verified": True},
        {"email": "octo@corp.example", "primary": True, "verified": True},
    ]

    await site.sign_in(site.visitor(), fake, "github")

    user = await site.found("octo")
    assert user is not None
    assert user.email == "octo@corp.example"
    assert [one.subject for one in await site.links(user.id)] == ["583231"]
    [redeemed] = fake.redeemed
    assert redeemed["client_secret"] == fake.secret
    profile = next(asked for asked in fake.there.asked if asked.path == "/userinfo")
    assert profile.headers["authorization"].startswith("Bearer ")


@pytest.mark.parametrize("emails", [[], [{"email": "octo@corp.example", "primary": True, "verified": False}]])
async def test_github__an_address_that_is_not_verified_is_not_taken(
    site: FederationSite, fake: FakeProvider, emails: list[dict[str, Any]]
) -> None:
    await _github(site, fake)
    fake.emails = emails

    await site.sign_in(site.visitor(), fake, "github")

    user = await site.found("octo")
    assert user is not None
    assert user.email is None


async def test_github__an_error_comes_with_status_200(site: FederationSite, fake: FakeProvider) -> None:
    await _github(site, fake)
    fake.there.answers["/token"] = Answer(b'{"error": "bad_verification_code"}')

    answer = await site.sign_in(site.visitor(), fake, "github")

    assert answer.status_code == 400


async def _microsoft(site: FederationSite, fake: FakeProvider, tenant: str = "organizations") -> None:
    base = fake.there.url("")
    await site.provider(
        fake,
        "microsoft",
        preset="microsoft",
        issuer=f"{base}/{{tenant}}/v2.0",
        tenant=tenant,
        trust_email=True,
        trusted_domains=("corp.example",),
    )
    said = "{tenantid}" if tenant == "organizations" else tenant
    fake.metadata = {"issuer": f"{base}/{said}/v2.0"}
    path = f"/{tenant}/v2.0/.well-known/openid-configuration"
    fake.there.answers[path] = fake.there.answers["/.well-known/openid-configuration"]
    fake.tells_issuer = False
    fake.claims = {
        "iss": f"{base}/{TENANT}/v2.0",
        "tid": TENANT,
        "preferred_username": "ophelia@corp.example",
        "name": "Ophelia",
        "email": "victim@corp.example",
    }


async def test_microsoft__any_tenant_signs_for_itself(site: FederationSite, fake: FakeProvider) -> None:
    await _microsoft(site, fake)
    visitor = site.visitor()

    await site.sign_in(visitor, fake, "microsoft")

    assert await site.is_signed_in(visitor)
    assert await site.found("ophelia") is not None


@pytest.mark.parametrize("tid", ["99999999-2222-3333-4444-555555555555", "../evil", None])
async def test_microsoft__a_tenant_cannot_speak_for_another(
    site: FederationSite, fake: FakeProvider, tid: str | None
) -> None:
    await _microsoft(site, fake)
    fake.claims["tid"] = tid

    answer = await site.sign_in(site.visitor(), fake, "microsoft")

    assert answer.status_code == 400


async def test_microsoft__one_tenant_lets_no_other_in(site: FederationSite, fake: FakeProvider) -> None:
    await _microsoft(site, fake, TENANT)
    fake.claims["iss"] = fake.there.url("/99999999-2222-3333-4444-555555555555/v2.0")

    answer = await site.sign_in(site.visitor(), fake, "microsoft")

    assert answer.status_code == 400


@pytest.mark.parametrize(("edov", "joined"), [(None, False), (False, False), ("0", False), (True, True), ("1", True)])
async def test_microsoft__noauth__an_address_counts_only_with_xms_edov(
    site: FederationSite, fake: FakeProvider, edov: object, joined: bool
) -> None:
    """Any administrator of any tenant can write any address into the claim email."""
    await _microsoft(site, fake)
    victim = await site.user("victim", email="victim@corp.example", verified=True)
    fake.claims |= {"email_verified": True, **({} if edov is None else {"xms_edov": edov})}

    await site.sign_in(site.visitor(), fake, "microsoft")

    assert bool(await site.links(victim.id)) == joined


async def test_apple__a_signed_secret__a_posted_answer__a_name_beside_the_code(
    site: FederationSite, fake: FakeProvider
) -> None:
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    await site.provider(
        fake, "apple", secret=pem, preset="apple", issuer=fake.issuer, team_id="TEAM", key_id="KEY1", trust_email=True
    )
    fake.tells_issuer = False
    fake.claims = {"email": "o@relay.example", "email_verified": "true"}
    visitor = site.visitor()
    location = await site.go(visitor, "apple")
    asked = dict(parse_qsl(urlsplit(location).query))
    answer = dict(parse_qsl(urlsplit(fake.answer(location)).query))
    answer["user"] = json.dumps({"name": {"firstName": "Ophelia", "lastName": "Elsinore"}, "email": "evil@x.example"})
    stranger = site.visitor()  # the cookie does not come with the POST of another site

    posted = await stranger.http.post("/federation/apple/callback", data=answer)
    await site.come_back(visitor, posted.headers["location"])

    assert (asked["response_mode"], "code_challenge" in asked) == ("form_post", False)
    user = await site.found("o@relay.example")
    assert user is not None
    assert user.name == "Ophelia Elsinore"
    [redeemed] = fake.redeemed
    secret = parse(redeemed["client_secret"])
    assert (secret.header["alg"], secret.header["kid"]) == ("ES256", "KEY1")
    assert (secret.claims["iss"], secret.claims["sub"], secret.claims["aud"]) == ("TEAM", "kronborg", fake.issuer)
    public = ECKey.import_key(key.public_key())
    jws.deserialize_compact(redeemed["client_secret"], public, algorithms=["ES256"])


async def test_apple__a_secret_that_is_no_key_is_refused(site: FederationSite, fake: FakeProvider) -> None:
    with pytest.raises(Invalid):
        await site.provider(fake, "apple", preset="apple", team_id="T", key_id="K")


async def test_facebook__no_address_is_taken_that_nobody_verified(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(
        fake,
        "facebook",
        kind="oauth2",
        preset="facebook",
        authorization_endpoint=fake.there.url("/authorize"),
        token_endpoint=fake.there.url("/token"),
        userinfo_endpoint=fake.there.url("/userinfo?fields=id,name,email"),
        trust_email=True,
    )
    fake.tells_issuer, fake.with_id_token = False, False
    fake.userinfo = {"id": "10", "name": "Ophelia", "email": "victim@corp.example", "email_verified": True}

    await site.sign_in(site.visitor(), fake, "facebook")

    user = await site.found("ophelia")
    assert user is not None
    assert user.email is None


async def test_linkedin__neither_nonce_nor_pkce(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, "linkedin", preset="linkedin", trust_email=True)
    fake.tells_issuer = False
    fake.claims = {"name": "Ophelia", "email": "o@corp.example", "email_verified": True}
    visitor = site.visitor()
    location = await site.go(visitor, "linkedin")

    await site.come_back(visitor, fake.answer(location))

    asked = dict(parse_qsl(urlsplit(location).query))
    assert not {"nonce", "code_challenge"} & asked.keys()
    assert await site.is_signed_in(visitor)


async def test_gitlab__its_nickname_is_the_username(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, "gitlab", preset="gitlab", trust_email=True)
    fake.claims = {"nickname": "ophelia", "name": "O", "email": "o@corp.example", "email_verified": True}

    await site.sign_in(site.visitor(), fake, "gitlab")

    assert await site.found("ophelia") is not None


async def test_google__a_company_links_its_own_domain(site: FederationSite, fake: FakeProvider) -> None:
    await site.provider(fake, "google", preset="google", trust_email=True, trusted_domains=("corp.example",))
    user = await site.user("ophelia", email="o@corp.example", verified=True)
    fake.tells_issuer = False
    fake.claims = {"name": "O", "email": "o@corp.example", "email_verified": True, "preferred_username": "o"}

    await site.sign_in(site.visitor(), fake, "google")

    assert [one.provider for one in await site.links(user.id)] == ["google"]


@pytest.mark.spec("RFC 7523 §2.2")
async def test_private_key_jwt__signed_for_the_issuer_alone_and_the_key_is_published(
    site: FederationSite, fake: FakeProvider
) -> None:
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    await site.provider(fake, secret=pem, auth_method="private_key_jwt")

    await site.sign_in(site.visitor(), fake)
    published = (await site.visitor().get("/federation/corp/jwks")).json()

    [redeemed] = fake.redeemed
    assertion = parse(redeemed["client_assertion"])
    assert assertion.header["typ"] == "client-authentication+jwt"
    assert assertion.claims["aud"] == fake.issuer
    [jwk] = published["keys"]
    assert "d" not in jwk
    jws.deserialize_compact(redeemed["client_assertion"], ECKey.import_key(jwk), algorithms=["ES256"])


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"issuer": "http://plain.example", "client_id": "x"}, "issuer"),
        ({"issuer": "https://idp.example"}, "client_id"),
        ({"issuer": "https://idp.example", "client_id": "x", "algorithms": ("HS256",)}, "algorithms"),
        ({"issuer": "https://idp.example", "client_id": "x", "algorithms": ("none",)}, "algorithms"),
        ({"issuer": "https://idp.example", "client_id": "x", "home_domains": ("*",)}, "home_domains"),
        ({"issuer": "https://idp.example", "client_id": "x", "trusted_domains": ("a.example",)}, "trusted_domains"),
        ({"issuer": "https://idp.example", "client_id": "x", "allowed_domains": ("a.example",)}, "allowed_domains"),
        ({"issuer": "https://idp.example", "client_id": "x", "token_endpoint": "ftp://a.example"}, "token_endpoint"),
        ({"issuer": "https://idp.example", "client_id": "x", "preset": "unknown"}, "preset"),
        ({"issuer": "https://idp.example", "client_id": "x", "multi_factor_acr": ("gold",)}, "multi_factor_acr"),
    ],
)
async def test_settings_that_cannot_be_meant_are_refused(
    site: FederationSite, settings: dict[str, Any], where: str
) -> None:
    draft = ProviderDraft("corp", "oidc", "Corp", ProviderSettings(**settings))

    with pytest.raises(Invalid) as refused:
        async with site.database.write() as session:
            await save_provider(session, site.people.parts.vault, draft, actor="test", now=clock.now())

    assert [problem.where for problem in refused.value.problems] == [where]
