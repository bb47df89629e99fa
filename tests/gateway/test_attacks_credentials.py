"""Attacks with credentials: what the gateway remembers of one must be no use to another."""

from __future__ import annotations

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey

from gateway.live import API, Live, b64
from gateway.test_api_keys import ANY, KEYS, TOKENS, key_of
from kronborg.core import opaque
from kronborg.gateway.access_model import AudienceMapping, TokenIssuer
from kronborg.gateway.model import Path

NAMES = ("{key} {api}", "{key} {api} {address}", "{key}\t{api}", "{key}\\n{api}", "{key}%0a{api}", "{key} {api}/")


PARTNER = "https://partner.example"
THEIRS = ECKey.generate_key("P-256", {"kid": "p1", "alg": "ES256", "use": "sig"})
PARTNERS = replace(TOKENS, name="partner", path=Path("prefix", "/partner"), issuers=("partner",))


@pytest.fixture(scope="module")
def keyed(gateway: Live) -> Live:
    partner = TokenIssuer(
        "partner",
        PARTNER,
        (AudienceMapping(API, "api"),),
        jwks=json.dumps({"keys": [THEIRS.as_dict(private=False)]}),
        algorithms=("ES256",),
        client_claim="azp",
    )
    gateway.deliver(replace(gateway.snapshot(KEYS, ANY, TOKENS, PARTNERS), issuers=(partner,)))
    return gateway


@pytest.mark.parametrize("name", NAMES)
def test_no_header_is_the_name_under_which_a_key_is_remembered(keyed: Live, name: str) -> None:
    key, bound = key_of(keyed), key_of(keyed)
    keyed.exchange.bound.add(bound)
    remembered = [keyed.get("/any", token=one).status for one in (key, bound)]

    # Where keys are not taken at all, and from addresses that the exchange was not asked about.
    guessed = [
        keyed.get(path, token=name.format(key=one, api=API, address="127.0.0.1")).status
        for path in ("/any", "/keys", "/tokens")
        for one in (key, bound)
    ]

    assert remembered == [200, 200]
    assert guessed == [401] * 6


def signed(live: Live, key: ECKey, head: dict[str, object], **claims: object) -> str:
    """Signed as it is told, where a library would refuse."""
    parts = [json.dumps(head).encode(), json.dumps(live.claims(**claims)).encode()]
    text = ".".join(b64(part) for part in parts)
    private = key.private_key
    assert private is not None
    r, s = decode_dss_signature(private.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@pytest.mark.parametrize(
    "more", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"crit": []}, {"crit": "x"}, {"crit": ["x"], "x": 1}]
)
@pytest.mark.spec("RFC 7515 §4.1.11")
def test_rfc7515_4_1_11__what_must_be_understood_and_is_not_closes(keyed: Live, more: dict[str, object]) -> None:
    head: dict[str, object] = {"alg": "ES256", "kid": "key-1", "typ": "at+jwt"}

    plain = keyed.get("/tokens", token=signed(keyed, keyed.key, head))
    critical = keyed.get("/tokens", token=signed(keyed, keyed.key, {**head, **more}))

    assert (plain.status, critical.status) == (200, 401)


@pytest.mark.parametrize("claim", ["sub", "client_id", "scope", "jti", "sid", "gid"])
@pytest.mark.parametrize("end", ["\x00x", "\r\nx-kronborg-grant: g", "\n", "\x7f"])
def test_no_claim_ends_the_header_that_is_made_of_it(keyed: Live, claim: str, end: str) -> None:
    before = len(keyed.requests)

    changed: dict[str, Any] = {claim: f"root{end}"}
    answer = keyed.get("/tokens", token=keyed.token(**changed))

    assert answer.status in (401, 503)
    assert len(keyed.requests) == before


@pytest.mark.parametrize("claim", ["sub", "azp", "scope", "jti"])
def test_no_other_issuer_names_somebody_by_half_a_name(keyed: Live, claim: str) -> None:
    claims: dict[str, Any] = {"iss": PARTNER, "aud": "api", "azp": "app"}

    plain = keyed.get("/partner", token=keyed.token(key=THEIRS, kid="p1", **claims))
    cut = keyed.get("/partner", token=keyed.token(key=THEIRS, kid="p1", **{**claims, claim: "root\x00x"}))

    assert (plain.status, plain.seen("x-kronborg-client")) == (200, ["partner:app"])
    assert cut.status == 401


def asked_from(live: Live, address: str, token: str) -> int:
    """The status of a request from another address of this machine."""
    head = f"GET /any HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    place = ("127.0.0.1", live.proxy.port)
    with socket.create_connection(place, timeout=5, source_address=(address, 0)) as connection:
        connection.sendall(head.encode())
        return int(connection.recv(65_536)[9:12])


def test_whoever_invents_tokens_is_not_asked_about_for_long_and_others_are(keyed: Live) -> None:
    before = len(keyed.exchange.asked)

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        invented = list(pool.map(lambda _: asked_from(keyed, "127.0.0.2", opaque.mint(opaque.API_KEY)), range(400)))
    seconds = int(time.monotonic() - began) + 2
    other = asked_from(keyed, "127.0.0.3", key_of(keyed))

    # A refusal counts when it comes, so what is under way at once comes on top.
    assert len(keyed.exchange.asked) - before <= seconds * (50 + 8) + 1
    assert set(invented) <= {401, 503}
    assert other == 200
