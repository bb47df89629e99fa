"""Client certificates, as a trusted proxy passes them on: authentication, bound tokens, and what is not believed."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from starlette.applications import Starlette

from client_certificates import Certified, certify
from kronborg.clients.settings import ClientSettings
from kronborg.core.client_certificate import Authorities, MutualTls
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Invalid
from kronborg.core.forwarded import Forwarded
from kronborg.core.forwarded_certificate import CertificateHeader, forwarded_certificates
from kronborg.oauth.api import protocol_routes
from kronborg.oauth.mtls import thumbprint
from oauth.proofs import Prover
from token_site import ISSUER, Site, basic, claims_of, token_site

pytestmark = pytest.mark.anyio

PROXY, STRANGER = "10.0.0.1", "203.0.113.7"
URL = "https://mtls.id.example"
SUBJECT = "CN=batch,OU=Billing,O=Shop\\, Ltd.,C=DK"
XFCC: CertificateHeader = "x-forwarded-client-cert"


@dataclass
class Tls:
    """The server behind a proxy that passes certificates on, and an authority of its own."""

    site: Site
    authority: Certified
    app: Starlette

    async def ask(
        self, *certificates: Certified, address: str = PROXY, headers: Sequence[tuple[str, str]] = (), **form: str
    ) -> httpx.Response:
        """A token by client credentials, or as `form` says, over a connection with these certificates."""
        return await self.post("/oauth/token", *certificates, address=address, headers=headers, **form)

    async def post(
        self,
        path: str,
        *certificates: Certified,
        address: str = PROXY,
        headers: Sequence[tuple[str, str]] = (),
        **form: str,
    ) -> httpx.Response:
        sent = [*headers, *([("x-forwarded-client-cert", xfcc(*certificates))] if certificates else [])]
        usual = {"grant_type": "client_credentials", "scope": "catalogue:read", "client_id": "batch"}
        transport = httpx.ASGITransport(Forwarded(self.app, ["10.0.0.0/8"], certificates=XFCC), client=(address, 40000))
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER, trust_env=False) as http:
            return await http.post(path, data={**usual, **form}, headers=sent)

    async def pki_client(self, client_id: str = "batch", **settings: Any) -> None:
        named = settings or {"tls_client_auth_subject_dn": SUBJECT}
        await self.site.client(client_id, auth_method="tls_client_auth", settings=ClientSettings(**named))


def xfcc(*certificates: Certified) -> str:
    own, chain = certificates[0], b"".join(one.pem for one in certificates)
    return (
        f'By=spiffe://shop.example/proxy;Hash=00;Cert="{quote(own.pem, safe="")}";Chain="{quote(chain, safe="")}";'
        f'Subject="CN=a\\"b,O=c;d";URI=;DNS=a.example;DNS=b.example'
    )


@pytest.fixture
async def tls(database: Database, vault: Vault, now: datetime) -> AsyncIterator[Tls]:
    async with token_site(database, vault, now) as site:
        authority = certify("CN=Shop CA,O=Shop", now, authority=True)
        site.engine = replace(site.engine, mutual_tls=MutualTls(URL, Authorities(authority.pem)))
        yield Tls(site, authority, Starlette(routes=protocol_routes(site.engine, time=site.clock)))


def error_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.spec("RFC 8705 §2.1")
@pytest.mark.parametrize(
    ("setting", "value", "names"),
    [
        ("tls_client_auth_subject_dn", SUBJECT, ()),
        ("tls_client_auth_san_dns", "Batch.Shop.example", ("dns:other.example", "dns:batch.shop.example")),
        ("tls_client_auth_san_uri", "spiffe://shop.example/batch", ("uri:spiffe://shop.example/batch",)),
        ("tls_client_auth_san_ip", "2001:db8:0::7", ("ip:2001:db8::7",)),
        ("tls_client_auth_san_email", "batch@shop.example", ("email:batch@shop.example",)),
    ],
)
async def test_a_name_in_a_certificate_of_an_authority_proves_the_client(
    tls: Tls, setting: str, value: str, names: tuple[str, ...]
) -> None:
    now = tls.site.clock.now
    await tls.pki_client(**{setting: value})
    right = certify(SUBJECT, now, by=tls.authority, names=names)
    other = certify(
        "CN=other", now, by=tls.authority, names=("dns:x.example", "uri:urn:x", "ip:10.0.0.9", "email:x@x.example")
    )

    answers = [await tls.ask(right), await tls.ask(other), await tls.ask()]

    assert [error_of(answer) for answer in answers] == [(200, ""), *[(401, "invalid_client")] * 2]


@pytest.mark.spec("RFC 8705 §2.1")
async def test_a_certificate_that_no_authority_vouches_for_proves_nothing(tls: Tls) -> None:
    await tls.pki_client()
    now, ours = tls.site.clock.now, tls.authority
    namesake = certify("CN=Shop CA,O=Shop", now, authority=True)
    below = certify("CN=Below,O=Shop", now, by=ours, authority=True)
    no_authority = certify(SUBJECT, now, by=ours)
    wrong = {
        "self-signed": (certify(SUBJECT, now),),
        "an authority of the same name": (certify(SUBJECT, now, by=namesake),),
        "with that authority sent along": (certify(SUBJECT, now, by=namesake), namesake),
        "by one that is no authority": (certify(SUBJECT, now, by=no_authority), no_authority),
        "expired": (certify(SUBJECT, now - timedelta(days=40), by=ours),),
        "for servers": (certify(SUBJECT, now, by=ours, usage=ExtendedKeyUsageOID.SERVER_AUTH),),
        "parts in another order": (certify("C=DK,O=Shop\\, Ltd.,OU=Billing,CN=batch", now, by=ours),),
        "less of the name": (certify("CN=batch,O=Shop\\, Ltd.,C=DK", now, by=ours),),
    }

    # Each from an address of its own: who fails too often has to wait.
    answers = {
        name: error_of(await tls.ask(*chain, address=f"10.0.1.{number}"))
        for number, (name, chain) in enumerate(wrong.items())
    }
    chained = await tls.ask(certify(SUBJECT, now, by=below), below)

    assert answers == dict.fromkeys(wrong, (401, "invalid_client"))
    assert chained.status_code == 200, chained.text


async def test_what_an_authority_said_is_not_believed_beyond_its_time(tls: Tls) -> None:
    await tls.pki_client()
    short = certify(SUBJECT, tls.site.clock.now, by=tls.authority, days=1)

    before = await tls.ask(short)
    tls.site.clock.pass_by(days=1, seconds=1)
    after = await tls.ask(short)

    assert (before.status_code, after.status_code) == (200, 401)


@pytest.mark.spec("RFC 8705 §2.2")
async def test_a_registered_self_signed_certificate_proves_the_client(tls: Tls) -> None:
    now = tls.site.clock.now
    own, stranger = certify("CN=anything", now), certify("CN=anything", now)
    again = Certified(own.key, certify("CN=anything", now).certificate)
    await tls.site.client("batch", auth_method="self_signed_tls_client_auth", jwks={"keys": [stranger.jwk, own.jwk]})
    await tls.site.client("other", auth_method="self_signed_tls_client_auth", jwks={"keys": [stranger.jwk]})

    right, wrong = await tls.ask(own), await tls.ask(again)
    of_another = await tls.ask(own, client_id="other")
    tls.site.clock.pass_by(days=31)
    expired = await tls.ask(own)

    assert right.status_code == 200, right.text
    assert [error_of(answer) for answer in (wrong, of_another, expired)] == [(401, "invalid_client")] * 3


async def test_a_self_signed_certificate_proves_no_client_of_an_authority_and_the_reverse(tls: Tls) -> None:
    now = tls.site.clock.now
    forged, issued = certify(SUBJECT, now, authority=True), certify(SUBJECT, now, by=tls.authority)
    await tls.pki_client()
    await tls.site.client("mallory", auth_method="self_signed_tls_client_auth", jwks={"keys": [forged.jwk]})

    answers = [
        await tls.ask(forged),
        await tls.ask(certify(SUBJECT, now, by=forged), forged),
        await tls.ask(issued, client_id="mallory"),
    ]

    assert [error_of(answer) for answer in answers] == [(401, "invalid_client")] * 3
    assert (await tls.ask(forged, client_id="mallory")).status_code == 200


@pytest.mark.spec("RFC 9440 §4")
async def test_only_trusted_proxies_are_believed(tls: Tls) -> None:
    await tls.pki_client()
    own = certify(SUBJECT, tls.site.clock.now, by=tls.authority)
    other = certify("CN=other", tls.site.clock.now, by=tls.authority)

    spoofed = await tls.ask(own, address=STRANGER)
    twice = await tls.ask(own, headers=[("x-forwarded-client-cert", xfcc(other))])
    appended = await tls.ask(headers=[("x-forwarded-client-cert", f"{xfcc(other)},{xfcc(own)}")])
    another_header = await tls.ask(headers=[("client-cert", f":{base64.b64encode(own.der).decode()}:")])
    right = await tls.ask(own)

    for answer in (spoofed, twice, appended, another_header):
        assert error_of(answer) == (401, "invalid_client")
    assert right.status_code == 200


@pytest.mark.spec("RFC 8705 §2")
async def test_a_certificate_beside_a_secret_does_not_weaken_the_secret(tls: Tls) -> None:
    own = certify(SUBJECT, tls.site.clock.now, by=tls.authority)
    await tls.pki_client()
    await tls.site.client("secretive")

    no_secret = await tls.ask(own, client_id="secretive")
    with_secret = await tls.ask(
        own, client_id="secretive", headers=[("authorization", basic("secretive", tls.site.secrets["secretive"]))]
    )
    a_secret_of_its_own = await tls.ask(own, client_secret="s" * 40)

    assert error_of(no_secret) == (401, "invalid_client")
    assert with_secret.status_code == 200
    assert error_of(a_secret_of_its_own) == (401, "invalid_client")


@pytest.mark.spec("RFC 8705 §3.1")
@pytest.mark.spec("RFC 8705 §3.2")
async def test_tokens_are_bound_to_the_certificate(tls: Tls) -> None:
    own = certify(SUBJECT, tls.site.clock.now, by=tls.authority)
    await tls.pki_client(tls_client_auth_subject_dn=SUBJECT, tls_client_certificate_bound_access_tokens=True)

    answers = [await tls.ask(own), await tls.ask(own, scope="cart:read")]

    cnf = {"x5t#S256": thumbprint(own.der)}
    jwt, reference = (answer.json()["access_token"] for answer in answers)
    assert claims_of(jwt)["cnf"] == cnf
    assert [answer.json()["token_type"] for answer in answers] == ["Bearer", "Bearer"]
    assert (await tls.site.introspect(jwt))["cnf"] == cnf
    assert (await tls.site.introspect(reference, auth="cart-api"))["cnf"] == cnf


@pytest.mark.spec("RFC 8705 §4")
async def test_refresh_tokens_of_public_clients_are_bound_to_the_certificate(tls: Tls) -> None:
    site, now = tls.site, tls.site.clock.now
    own, thief = certify("CN=phone", now), certify("CN=phone", now)
    await site.web_client(settings=ClientSettings(tls_client_certificate_bound_access_tokens=True))
    form: dict[str, Any] = {
        "grant_type": "authorization_code",
        "redirect_uri": "https://app.example/callback",
        "code_verifier": "a-code-verifier-of-at-least-forty-three-characters",
        "client_id": "web",
        "scope": "",
    }
    code = await site.code(await site.person())

    without = await tls.ask(**form, code=code)
    first = await tls.ask(own, **form, code=code)
    refresh: dict[str, Any] = {"grant_type": "refresh_token", "client_id": "web", "scope": ""}
    refresh["refresh_token"] = first.json()["refresh_token"]
    stolen = await tls.ask(thief, **refresh)
    right = await tls.ask(own, **refresh)

    assert error_of(without) == (400, "invalid_request")
    assert error_of(stolen) == (400, "invalid_grant")
    assert claims_of(right.json()["access_token"])["cnf"] == {"x5t#S256": thumbprint(own.der)}


async def test_certificates_prove_clients_at_every_endpoint(tls: Tls) -> None:
    own = certify(SUBJECT, tls.site.clock.now, by=tls.authority)
    await tls.pki_client()
    token = (await tls.ask(own)).json()["access_token"]

    told = await tls.post("/oauth/introspect", own, token=token)
    refused = await tls.post("/oauth/introspect", token=token)
    revoked = await tls.post("/oauth/revoke", own, token=token)

    assert (told.json()["active"], refused.status_code, revoked.status_code) == (True, 401, 200)
    assert (await tls.site.introspect(token)) == {"active": False}


@pytest.mark.spec("RFC 8705 §5")
async def test_a_proof_may_be_for_the_address_of_clients_with_certificates(tls: Tls) -> None:
    await tls.pki_client()
    own, prover = certify(SUBJECT, tls.site.clock.now, by=tls.authority), Prover()
    proofs = [prover.proof(tls.site.clock.now, f"{base}/oauth/token") for base in (URL, ISSUER, "https://x.example")]

    answers = [await tls.ask(own, headers=[("dpop", proof)]) for proof in proofs]

    assert [answer.status_code for answer in answers] == [200, 200, 400]


@pytest.mark.parametrize(
    ("method", "settings", "where"),
    [
        ("tls_client_auth", {}, "settings.tls_client_auth_subject_dn"),
        (
            "tls_client_auth",
            {"tls_client_auth_san_dns": "a.example", "tls_client_auth_san_ip": "10.0.0.1"},
            "settings.tls_client_auth_subject_dn",
        ),
        ("tls_client_auth", {"tls_client_auth_subject_dn": "nonsense"}, "settings.tls_client_auth_subject_dn"),
        ("tls_client_auth", {"tls_client_auth_san_ip": "300.1.1.1"}, "settings.tls_client_auth_san_ip"),
        ("tls_client_auth", {"tls_client_auth_san_dns": "*.example"}, "settings.tls_client_auth_san_dns"),
        ("client_secret_basic", {"tls_client_auth_san_dns": "a.example"}, "settings.tls_client_auth_san_dns"),
        ("self_signed_tls_client_auth", {}, "jwks"),
    ],
)
async def test_what_cannot_name_one_certificate_is_not_registered(
    tls: Tls, method: str, settings: dict[str, Any], where: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await tls.site.client("batch", auth_method=method, settings=ClientSettings(**settings))

    assert where in {problem.where for problem in refused.value.problems}


@pytest.mark.spec("RFC 9440 §2")
def test_rfc9440_headers_are_read(now: datetime) -> None:
    own, above = certify("CN=a", now), certify("CN=b", now, authority=True)
    one, two = (f":{base64.b64encode(each.der).decode()}:".encode() for each in (own, above))

    read = [
        forwarded_certificates("client-cert", headers)
        for headers in (
            [(b"client-cert", one)],
            [(b"client-cert", one), (b"client-cert-chain", two)],
            [(b"client-cert", one), (b"client-cert-chain", two + b", " + two)],
            [(b"client-cert", one), (b"client-cert", two)],
            [(b"client-cert", one + b", " + two)],
            [(b"client-cert", one.strip(b":"))],
            [(b"client-cert", b":!:")],
            [(b"client-cert", b":" + b"A" * 60_000 + b":")],
            [(b"x-forwarded-client-cert", one)],
            [],
        )
    ]

    assert read[:3] == [(own.der,), (own.der, above.der), (own.der, above.der, above.der)]
    assert read[3:] == [()] * 7


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Cert=",
        'Cert="x"',
        "Hash=00;Subject=a",
        'Cert="-----BEGIN%20CERTIFICATE-----',
        'Cert="-----BEGIN%20CERTIFICATE-----%0A!!!%0A-----END%20CERTIFICATE-----"',
        "\x00",
    ],
)
def test_a_header_that_is_not_well_formed_tells_no_certificate(value: str) -> None:
    assert forwarded_certificates(XFCC, [(XFCC.encode(), value.encode())]) == ()


def test_the_header_of_nginx_is_read(now: datetime) -> None:
    own = certify("CN=a", now)
    pem = "-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(own.der).decode() + "-----END CERTIFICATE-----\n"
    one = quote(pem, safe="").encode()

    read = [
        forwarded_certificates("x-ssl-client-cert", [(b"x-ssl-client-cert", value)])
        for value in (one, one + one, one[:-30], b"", b"%", pem.encode().replace(b"\n", b" "))
    ]

    assert [len(found) for found in read] == [1, 0, 0, 0, 0, 1]
    assert read[0] == (own.der,)
