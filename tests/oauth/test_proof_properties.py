"""Whatever somebody sends as a proof or a certificate: it is read or refused, never an error of ours."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws

from client_certificates import certify
from kronborg.core.base64url import b64
from kronborg.core.client_certificate import Authorities
from kronborg.core.forwarded_certificate import CertificateHeader, forwarded_certificates
from kronborg.oauth.dpop import Proof, normalised, read_proof
from kronborg.oauth.errors import InvalidDpopProof
from kronborg.oauth.mtls import registered_certificates
from oauth.proofs import TOKEN, Prover, Unbounded

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
PROVER = Prover()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CLAIMS = st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "exp", "nbf", "ath", "nonce"]), JSON)
MEMBERS = st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "use", "alg", "kid", "x5c"]), JSON)


def read(text: bytes, *, access_token: str | None = None) -> Proof | None:
    try:
        return read_proof(text, method="POST", urls=(TOKEN,), now=NOW, access_token=access_token)
    except InvalidDpopProof:
        return None


@given(st.binary(max_size=300) | st.text(alphabet="AZaz09-_.=", max_size=300).map(str.encode))
def test_any_bytes_are_a_proof_or_refused(text: bytes) -> None:
    assert read(text) is None


@given(CLAIMS)
def test_any_signed_claims_are_a_proof_or_refused(claims: dict[str, Any]) -> None:
    usual = {"jti": "one", "htm": "POST", "htu": TOKEN, "iat": int(NOW.timestamp())}
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": PROVER.key.as_dict(private=False)}
    said = json.dumps({**usual, **claims})
    text = jws.serialize_compact(header, said, PROVER.key, registry=Unbounded(algorithms=["ES256"]))

    found = read(text.encode(), access_token="token" if "ath" in claims else None)

    assert found is None or found.jkt == PROVER.jkt


@given(MEMBERS)
def test_any_key_is_taken_or_refused(members: dict[str, Any]) -> None:
    good = PROVER.proof(NOW).split(".")
    jwk = {**PROVER.key.as_dict(private=False), **members}
    header = b64(json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}).encode())

    # The signature is over another header, so nothing of it may be believed.
    assert read(f"{header}.{good[1]}.{good[2]}".encode()) is None


@given(st.text())
def test_a_normal_form_is_its_own(url: str) -> None:
    once = normalised(url)

    assert normalised(once) == once


@given(st.lists(st.sampled_from(["a", "..", ".", "", "%41", "%2e", "%2F", "b"]), max_size=6))
def test_dots_and_encodings_have_one_normal_form(segments: list[str]) -> None:
    url = "HTTPS://Id.Example:443/" + "/".join(segments) + "?q#f"

    found = normalised(url)

    assert found.startswith("https://id.example/")
    assert normalised(found) == found
    assert not {".", ".."} & set(found.removeprefix("https://id.example").split("/"))


@given(
    st.sampled_from(["x-forwarded-client-cert", "client-cert"]),
    st.lists(
        st.tuples(
            st.sampled_from([b"x-forwarded-client-cert", b"client-cert", b"client-cert-chain"]),
            st.binary(max_size=200) | st.text(alphabet='Certhain="\\;,:%-A ', max_size=100).map(str.encode),
        ),
        max_size=4,
    ),
)
def test_any_header_tells_certificates_or_none(kind: CertificateHeader, headers: list[tuple[bytes, bytes]]) -> None:
    assert isinstance(forwarded_certificates(kind, headers), tuple)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=100), min_size=1, max_size=3))
def test_any_bytes_as_certificates_are_vouched_for_by_nobody(certificates: list[bytes]) -> None:
    authorities = Authorities(certify("CN=CA", NOW, authority=True).pem)

    assert authorities.vouch(tuple(certificates), now=NOW) is False


@given(JSON)
def test_any_registered_keys_have_certificates_or_none(chain: Any) -> None:
    found = list(registered_certificates({"keys": [{"x5c": chain}, {"x5c": [chain]}, chain]}))

    assert all(isinstance(one, bytes) for one in found)


@pytest.mark.parametrize("size", [1, 100])
def test_what_is_remembered_of_certificates_is_bounded(size: int) -> None:
    authority = certify("CN=CA", NOW, authority=True)
    authorities, own = Authorities(authority.pem), certify("CN=a", NOW, by=authority)

    vouched = [authorities.vouch((own.der, base64.b64encode(bytes([n]))), now=NOW) for n in range(size)]

    # What is sent along and is no certificate spoils the chain: it is not remembered either.
    assert vouched == [False] * size
    assert authorities.vouch((own.der,), now=NOW)
