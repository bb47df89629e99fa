"""Who gets into the fleet, and who does not: invitations, certificates, and what a node may say about itself."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from fleet.door_site import SECRET, Site
from kronborg.core.crypto import Vault
from kronborg.core.errors import Conflict, Invalid
from kronborg.fleet import nodes
from kronborg.fleet.authority import LIFETIME, _make, _opened, new_request, read_shown
from kronborg.fleet.link import EdgeSettings, Link, Rejected, join, write_private
from kronborg.fleet.model import Standing
from kronborg.fleet.nodes import JoinToken, NotOfTheFleet
from kronborg.fleet.report_model import encode
from kronborg.fleet.resilience import Known
from kronborg.fleet.store import list_nodes
from kronborg.gateway.breakers_store import Ordered, Stand, put_order, stands_of
from kronborg.gateway.model import Service
from kronborg.gateway.registration_model import Announced
from kronborg.gateway.registration_store import put_announced
from kronborg.gateway.resilience_model import Breaker
from kronborg.gateway.store import put_service

pytestmark = pytest.mark.anyio


async def test_an_invitation_is_good_once(site: Site) -> None:
    token = await site.token()
    await join(token, site.folder / "first", EdgeSettings("", ""))

    with pytest.raises(Rejected):
        await join(token, site.folder / "second", EdgeSettings("", ""))

    async with site.database.read() as session:
        assert [node.name for node in await list_nodes(session)] == ["berlin"]


async def test_of_two_that_show_one_invitation_one_joins(site: Site) -> None:
    token = await site.token()

    tried = await asyncio.gather(
        *(join(token, site.folder / str(n), EdgeSettings("", "")) for n in range(4)), return_exceptions=True
    )

    assert sorted(type(one) is EdgeSettings for one in tried) == [False, False, False, True]


async def test_an_invitation_ends(site: Site) -> None:
    token = await site.token(lifetime=timedelta(minutes=5))
    site.now += timedelta(minutes=5)

    with pytest.raises(Rejected):
        await join(token, site.folder / "late", EdgeSettings("", ""))


async def test_a_newer_invitation_for_the_name_replaces_the_older(site: Site) -> None:
    older, newer = await site.token(), await site.token()

    with pytest.raises(Rejected):
        await join(older, site.folder / "old", EdgeSettings("", ""))

    assert (await join(newer, site.folder / "new", EdgeSettings("", ""))).name == "berlin"
    with pytest.raises(Conflict):
        await site.token()


async def test_whoever_answers_in_place_of_the_control_plane_gets_no_secret(site: Site) -> None:
    token = await site.token()

    with pytest.raises(Rejected, match="not the control plane"):
        await join(replace(token, fingerprint="0" * 64), site.folder / "x", EdgeSettings("", ""))

    # The invitation was not shown, so it is still good.
    assert (await join(token, site.folder / "y", EdgeSettings("", ""))).name == "berlin"


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "kro_gi_x.aHR0cDovL3g.00", "." * 2000])
def test_what_is_no_token_is_refused_before_anybody_is_called(text: str) -> None:
    with pytest.raises(Invalid):
        JoinToken.parse(text)


async def test_the_name_is_the_invitations_whatever_the_request_says(site: Site) -> None:
    token = await site.token("berlin")
    _, request = new_request("gateway-1")

    node, issued = await nodes.join(site.database, site.vault, site.authority, token.secret, request, now=site.now)

    subject = x509.load_pem_x509_certificate(issued.certificate).subject
    assert node.name == "berlin"
    assert [one.value for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["berlin"]


async def test_a_request_that_cannot_be_certified_does_not_cost_the_invitation(site: Site) -> None:
    token = await site.token()
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    weak = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    _, good = new_request("x")
    forged = good.replace(good[60:64], b"AAAA")

    for request in (weak, forged, b"", b"-----BEGIN CERTIFICATE REQUEST-----\n", b"x" * 9000):
        with pytest.raises(Invalid):
            await nodes.join(site.database, site.vault, site.authority, token.secret, request, now=site.now)

    assert (await nodes.join(site.database, site.vault, site.authority, token.secret, good, now=site.now))[0]


async def test_without_a_certificate_of_the_fleet_nothing_is_told(site: Site, tmp_path: Path) -> None:
    trusting = ssl.create_default_context(cadata=site.authority.pem.decode())
    paths = ("/config", "/revocations?after=0", "/nothing")

    async with httpx.AsyncClient(verify=trusting, trust_env=False) as http:
        got = [(await http.get(site.url + path)).status_code for path in paths]
        sent = [(await http.post(f"{site.url}/{path}")).status_code for path in ("exchange", "standing", "renew")]
        authority = await http.get(f"{site.url}/authority")

    assert (got, sent) == ([403] * 3, [403] * 3)
    assert b"PRIVATE" not in authority.content


async def test_a_certificate_of_another_authority_is_refused_in_tls(site: Site, vault: Vault, tmp_path: Path) -> None:
    link = await site.joined()
    stored = _make(vault, now=site.now)
    key = load_pem_private_key(vault.open(stored.sealed_key, context="fleet:authority"), None)
    own_key, request = new_request("berlin")
    shown = read_shown(link.identity.read_bytes()[link.identity.read_bytes().index(b"-----BEGIN CERT") :])
    assert shown is not None
    forged = _opened(stored.certificate.encode(), key).certify(
        request, node_id=shown.node_id, name="berlin", now=site.now
    )
    write_private(link.identity, own_key + forged.certificate)

    with pytest.raises(Exception, match=r"Error|Away"):
        await link.call("GET", "/config")

    await link.close()


async def test_a_removed_node_is_refused_at_once_on_the_open_connection(site: Site) -> None:
    link = await site.joined()
    before = await link.call("GET", "/config")

    await nodes.remove(site.database, "berlin", actor="t", now=site.now)
    statuses = [(await link.call("GET", "/config")).status, (await link.call("POST", "/exchange", b"x")).status]
    # Not even a node that joins under its name later lets the old certificate in again.
    other = Link(site.folder / "other")
    await join(await site.token("berlin"), site.folder / "other", EdgeSettings("", ""))
    again = ((await link.call("GET", "/config")).status, (await other.call("GET", "/config")).status)

    assert before.status == 200
    assert (statuses, again) == ([403, 403], (403, 200))
    await link.close()
    await other.close()


async def test_a_certificate_ends_on_an_open_connection_too(site: Site) -> None:
    link = await site.joined()
    assert (await link.call("GET", "/config")).status == 200

    site.now += LIFETIME

    assert (await link.call("GET", "/config")).status == 403
    await link.close()


async def test_a_node_renews_and_what_it_showed_two_certificates_ago_counts_no_more(site: Site) -> None:
    # TLS looks at the true time, so the days before pass in the past.
    site.now -= 2 * timedelta(days=1, minutes=10)
    link = await site.joined()
    first = link.identity.read_bytes()
    assert not await link.renew_when_due(now=site.now)

    for _ in range(2):
        site.now += timedelta(days=1, minutes=10)
        assert await link.renew_when_due(now=site.now)
        assert (await link.call("GET", "/config")).status == 200
    stolen = Link(site.folder / "thief")
    (site.folder / "thief" / "edge").mkdir(parents=True)
    for name in ("authority.pem", "edge.json"):
        write_private(site.folder / "thief" / "edge" / name, (site.folder / "berlin" / "edge" / name).read_bytes())
    write_private(stolen.identity, first)

    assert (await stolen.call("GET", "/config")).status == 403
    assert (await link.call("GET", "/config")).status == 200
    await stolen.close()
    await link.close()


async def test_a_node_says_what_it_is_like_and_nothing_about_who_it_is(site: Site) -> None:
    link = await site.joined("berlin")
    await (await site.joined("paris")).close()
    said = {**encode(Standing(site.now + timedelta(seconds=42), envoy="1.40.0")), "name": "paris", "id": "x"}

    told = await link.call("POST", "/standing", orjson.dumps(said))
    wrong = [
        (await link.call("POST", "/standing", body)).status
        for body in (
            b"",
            b"[]",
            b"{}",
            orjson.dumps({**said, "version": -7}),
            orjson.dumps({**said, "reason": "x" * 3000}),
        )
    ]

    async with site.database.read() as session:
        found = {node.name: node for node in await list_nodes(session)}
    assert told.status == 200
    assert wrong == [422] * 5
    assert found["paris"].standing is None
    assert found["berlin"].skew == timedelta(seconds=42)
    await link.close()


async def test_a_relayed_question_says_who_asks_and_cannot_say_another(site: Site) -> None:
    link = await site.joined()
    lies = ((b"x-kronborg-node", b"paris"), (b"x-kronborg-exchange", b"guess"), (b"x-kronborg-audience", b"a"))

    told = await link.call("POST", "/exchange", b"kro_at_x", headers=lies)
    elsewhere = [
        (await link.call("POST", path, b"x")).status for path in ("/metrics", "/standing/../metrics", "/readyz")
    ]

    shown = orjson.loads(told.body)
    assert (shown["x-kronborg-node"], shown["x-kronborg-exchange"]) == ("berlin", SECRET)
    assert (shown["x-kronborg-audience"], shown["body"]) == ("a", "kro_at_x")
    assert elsewhere == [404] * 3
    await link.close()


async def test_what_gateways_are_told_holds_no_secret(site: Site) -> None:
    link = await site.joined()

    told = await link.call("GET", "/config")

    assert set(orjson.loads(told.body)) == {"version", "digest", "keys", "snapshot", "revocation"}
    for word in (b"PRIVATE", b"secret", b"sealed", b'"d":'):
        assert word not in told.body
    await link.close()


async def test_nobody_without_a_certificate_is_recognised(site: Site) -> None:
    for certificate in (None, b"", b"junk", site.authority.pem):
        with pytest.raises(NotOfTheFleet):
            await nodes.recognise(site.database, certificate, now=site.now)


async def test_breakers_and_announced_endpoints_reach_a_gateway_elsewhere(site: Site) -> None:
    link = await site.joined()
    known = Known(link)
    one = Announced("shop", "a", "203.0.113.7", 8000, 1, "shop", site.now, site.now + timedelta(minutes=1))
    async with site.database.write() as session:
        await put_service(session, Service("shop", ("http://127.0.0.1:9",), breaker=Breaker()), now=site.now)
        await put_order(session, Ordered("shop", "open", "t", site.now))
        await put_announced(session, one)

    await known.ask()
    await known.tell(Stand("paris", "shop", "open", site.now), "too many failures")
    wrong = [(await link.call("POST", "/breakers", body)).status for body in (b"", b"{}", b'{"phase":"ajar"}')]

    async with site.database.read() as session:
        stands = await stands_of(session, "berlin")
    assert await known.orders() == {"shop": "open"}
    assert [found.address for found in (await known.living(site.now))["shop"]] == ["203.0.113.7"]
    assert [(stand.proxy, stand.phase) for stand in stands] == [("berlin", "open")]
    assert wrong == [422] * 3
    await link.close()
