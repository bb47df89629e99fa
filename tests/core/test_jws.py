"""Signing with our own keys: what is written verifies elsewhere, whatever the numbers look like."""

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from hypothesis import example, given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import import_key

from kronborg.core.jws import SIGNING, Line, LocalSigner, SigningKey, export, generate, public_jwk, raw_ecdsa, restore

NUMBERS = st.integers(min_value=1, max_value=(1 << 256) - 1)


@pytest.mark.spec("RFC 7518 §3.4")
@given(NUMBERS, NUMBERS)
@example(1, 1)
@example(0x7F << 248, 0x80 << 248)
@example((1 << 256) - 1, 1 << 255)
def test_r_and_s_are_written_with_32_bytes_each(r: int, s: int) -> None:
    raw = raw_ecdsa(encode_dss_signature(r, s))

    assert (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"), len(raw)) == (r, s, 64)


@pytest.mark.parametrize("line", SIGNING)
def test_what_is_signed_here_verifies_with_another_library(line: Line) -> None:
    private = generate(line)
    jwk = public_jwk(private, line)
    key = SigningKey(jwk["kid"], line, LocalSigner(line, restore(export(private))))

    token = jwt.decode(
        key.compact({"sub": "somebody"}, typ="JWT"), import_key({**jwk, "key_ops": ["verify"]}), algorithms=[line]
    )

    assert token.header == {"alg": line, "typ": "JWT", "kid": jwk["kid"]}
    assert token.claims == {"sub": "somebody"}


def test_a_signature_is_of_the_usual_form() -> None:
    signer = LocalSigner("ES256", generate("ES256"))

    raw = signer.sign(b"message")

    assert decode_dss_signature(encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")))
    assert len(raw) == 64
