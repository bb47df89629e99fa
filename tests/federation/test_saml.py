"""Sign-in by SAML 2.0: with pysaml2's identity provider, and with what attackers make of its answers."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from federation.federation_site import FederationSite, federation_site
from federation.saml_provider import ENTITY, SSO, SamlProvider, encoded, saml_provider
from kronborg.core import clock
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.federation import saml, saml_pages
from kronborg.federation.model import ProviderDraft, ProviderSettings
from kronborg.federation.providers import save_provider
from people_site import Visitor

pytestmark = [
    pytest.mark.anyio,
    # In CI they run and fail: a machine that lost a package must not pass for want of tests.
    pytest.mark.skipif(not saml.is_installed() and not os.environ.get("CI"), reason="needs the extra saml and xmlsec1"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

METADATA = "/federation/corp/metadata"


@pytest.fixture
async def site(database: Database, vault: Vault) -> AsyncIterator[FederationSite]:
    async with federation_site(database, vault) as site:
        site.people.app.router.routes.extend(saml_pages.routes())
        yield site


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> SamlProvider:
    from kronborg.core.db import from_micros
    from kronborg.federation.model import Provider
    from kronborg.federation.presets import known

    never = from_micros(0)
    ours = known(Provider("corp", "saml", "Corp", ProviderSettings(), None, never, never))
    return saml_provider(tmp_path_factory.mktemp("idp"), saml.metadata(ours, "http://localhost:8081"))


async def register(site: FederationSite, idp: SamlProvider, **settings: Any) -> None:
    known = {"issuer": ENTITY, "sso_url": SSO, "certificates": (idp.certificate,), "trust_email": True}
    draft = ProviderDraft("corp", "saml", "Corp", ProviderSettings(**{**known, **settings}))
    async with site.database.write() as session:
        await save_provider(session, site.people.parts.vault, draft, actor="test", now=clock.now())


async def posted(site: FederationSite, visitor: Visitor, location: str, xml: bytes, **fields: str) -> httpx.Response:
    """The provider's page posts to us, from its own site: without our cookies; what follows is with them."""
    [state] = parse_qs(urlsplit(location).query)["RelayState"]
    stranger = site.visitor()
    body = {"SAMLResponse": encoded(xml), "RelayState": state, **fields}
    answer = await stranger.http.post("/federation/corp/acs", data=body, headers={"origin": "https://idp.corp.example"})
    if not answer.is_redirect:
        return answer
    return await site.come_back(visitor, answer.headers["location"])


@pytest.mark.spec("SAML profiles §4.1")
async def test_somebody_signs_in_by_saml(site: FederationSite, idp: SamlProvider) -> None:
    await register(site, idp)
    visitor = site.visitor()
    location = await site.go(visitor)

    answer = await posted(site, visitor, location, idp.respond(location))

    assert location.startswith(f"{SSO}?SAMLRequest=")
    assert answer.status_code == 200
    assert await site.is_signed_in(visitor)
    user = await site.found("ophelia")
    assert user is not None
    assert (user.email, user.email_verified) == ("ophelia@corp.example", True)
    assert [one.subject for one in await site.links(user.id)] == ["persistent-1"]


async def test_our_metadata_says_where_assertions_go(site: FederationSite, idp: SamlProvider) -> None:
    await register(site, idp)

    answer = await site.visitor().get(METADATA)

    assert answer.headers["content-type"].startswith("application/samlmetadata+xml")
    assert 'WantAssertionsSigned="true"' in answer.text
    assert 'Location="http://localhost:8081/federation/corp/acs"' in answer.text


async def test_a_request_is_posted_where_that_is_wished(site: FederationSite, idp: SamlProvider) -> None:
    await register(site, idp, sso_binding="post")

    page = await site.visitor().get("/federation/corp/start")

    assert f'action="{SSO}"' in page.text
    assert 'name="SAMLRequest"' in page.text
    assert "form-action 'self' https://idp.corp.example" in page.headers["content-security-policy"]


@pytest.mark.spec("SAML profiles §4.1.4.2")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"sign": False}, id="unsigned"),
        pytest.param({"request_id": "id-unknown"}, id="answers-another-request"),
        pytest.param({"request_id": ""}, id="unsolicited"),
        pytest.param({"destination": "https://elsewhere.example/acs"}, id="another-recipient"),
        pytest.param({"sign_alg": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}, id="sha-1"),
        pytest.param({"digest_alg": "http://www.w3.org/2000/09/xmldsig#sha1"}, id="sha-1-digest"),
        pytest.param({"name_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, id="passing-name"),
    ],
)
async def test_an_assertion_that_was_not_made_for_this_is_refused(
    site: FederationSite, idp: SamlProvider, wrong: dict[str, Any]
) -> None:
    await register(site, idp)
    visitor = site.visitor()
    location = await site.go(visitor)

    answer = await posted(site, visitor, location, idp.respond(location, **wrong))

    assert answer.status_code == 400
    assert not await site.is_signed_in(visitor)


def _wrapped_beside(xml: bytes) -> bytes:
    """A forged assertion before the signed one."""
    [signed] = re.findall(rb"<(?:\w+:)?Assertion .*?</(?:\w+:)?Assertion>", xml, re.S)
    forged = re.sub(rb"<(\w+:)?Signature .*?</(\w+:)?Signature>", b"", signed, flags=re.S)
    forged = forged.replace(b"persistent-1", b"victim").replace(b' ID="', b' ID="forged-')
    return xml.replace(signed, forged + signed)


def _wrapped_inside(xml: bytes) -> bytes:
    """The signed assertion moved into the signature of a forged one."""
    [signed] = re.findall(rb"<(?:\w+:)?Assertion .*?</(?:\w+:)?Assertion>", xml, re.S)
    forged = signed.replace(b"persistent-1", b"victim").replace(b' ID="', b' ID="forged-', 1)
    prefix = re.search(rb"<(\w+:)?Signature ", signed)
    assert prefix is not None
    name = prefix[1] or b""
    end = b"</" + name + b"Signature>"
    return xml.replace(signed, forged.replace(end, b"<" + name + b"Object>" + signed + b"</" + name + b"Object>" + end))


def _same_id(xml: bytes) -> bytes:
    return _wrapped_beside(xml).replace(b"forged-", b"")


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(lambda xml: xml.replace(b"persistent-1", b"victim"), id="altered"),
        pytest.param(lambda xml: xml.replace(b"ophelia@corp.example", b"victim@corp.example"), id="altered-attribute"),
        pytest.param(_wrapped_beside, id="wrapped-beside"),
        pytest.param(_wrapped_inside, id="wrapped-inside"),
        pytest.param(_same_id, id="same-id"),
        pytest.param(
            lambda xml: (
                b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + xml.replace(b"persistent-1", b"&x;")
            ),
            id="xxe",
        ),
        pytest.param(lambda xml: b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + xml, id="billion-laughs"),
        pytest.param(lambda xml: xml.replace(ENTITY.encode(), b"https://evil.example"), id="another-issuer"),
        pytest.param(lambda _xml: b"<not-xml", id="no-xml"),
        pytest.param(lambda _xml: b"", id="nothing"),
    ],
)
async def test_what_is_around_the_signature_is_not_believed(
    site: FederationSite, idp: SamlProvider, attack: Callable[[bytes], bytes]
) -> None:
    await register(site, idp)
    visitor = site.visitor()
    location = await site.go(visitor)
    xml = re.sub(rb"^<\?xml.*?\?>\s*", b"", idp.respond(location))

    answer = await posted(site, visitor, location, attack(xml))

    assert answer.status_code == 400
    assert not await site.is_signed_in(visitor)


@pytest.mark.spec("SAML profiles §4.1.4.5")
async def test_an_assertion_counts_once(site: FederationSite, idp: SamlProvider) -> None:
    await register(site, idp)
    visitor = site.visitor()
    location = await site.go(visitor)
    xml = idp.respond(location)

    first = await posted(site, visitor, location, xml)
    again = await posted(site, site.visitor(), location, xml)

    assert (first.status_code, again.status_code) == (200, 400)


async def test_login_csrf__an_assertion_of_the_attacker_does_not_sign_in_the_victim(
    site: FederationSite, idp: SamlProvider
) -> None:
    await register(site, idp)
    attacker, victim = site.visitor(), site.visitor()
    await victim.get("/signin")
    location = await site.go(attacker)

    answer = await posted(site, victim, location, idp.respond(location))

    assert answer.status_code == 400
    assert not await site.is_signed_in(victim)


async def test_an_assertion_for_another_service_provider_is_refused(site: FederationSite, idp: SamlProvider) -> None:
    await register(site, idp, client_id="https://another.example/sp")
    visitor = site.visitor()
    await register(site, idp)
    location = await site.go(visitor)
    xml = idp.respond(location)
    await register(site, idp, client_id="https://another.example/sp")

    answer = await posted(site, visitor, location, xml)

    assert answer.status_code == 400


async def test_keys_that_are_not_registered_sign_nothing(
    site: FederationSite, idp: SamlProvider, tmp_path: Path
) -> None:
    await register(site, idp)
    other = saml_provider(tmp_path, (await site.visitor().get(METADATA)).content)
    visitor = site.visitor()
    location = await site.go(visitor)

    answer = await posted(site, visitor, location, other.respond(location))

    assert answer.status_code == 400


async def test_without_the_extra_the_error_says_what_to_install(
    site: FederationSite, idp: SamlProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kronborg.federation.saml.shutil.which", lambda _name: None)

    with pytest.raises(Invalid) as refused:
        await register(site, idp)

    assert "xmlsec1" in refused.value.problems[0].mend
