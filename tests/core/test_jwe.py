"""Encrypted tokens: what we write others read, what others write wrongly or with bad intent we refuse alike."""

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe as library
from joserfc.jwk import ECKey, OctKey, RSAKey

from kronborg.core import jwe
from kronborg.core.jose import BadJwt, BadKey

EC = ECKey.generate_key("P-256", {"use": "enc", "kid": "ec"})
RSA = RSAKey.generate_key(2048, {"use": "enc", "kid": "rsa"})
PUBLIC = jwe.encryption_keys({"keys": [key.as_dict(private=False) for key in (EC, RSA)]})
PRIVATE = (
    jwe.EncryptionKey("ec", ("ECDH-ES", "ECDH-ES+A256KW"), EC),
    jwe.EncryptionKey("rsa", ("RSA-OAEP-256",), RSA),
)
EVERYTHING = [*jwe.KEY_ENCRYPTIONS, *jwe.CONTENT_ENCRYPTIONS, "RSA-OAEP", "A256KW", "dir", "DEF", "ECDH-ES+A128KW"]


def altered(token: str, header: dict[str, Any]) -> str:
    """The same token under another header."""
    encoded = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return ".".join([encoded, *token.split(".")[1:]])


@pytest.mark.spec("RFC 7516 §7.1")
@pytest.mark.parametrize("enc", jwe.CONTENT_ENCRYPTIONS)
@pytest.mark.parametrize("alg", jwe.KEY_ENCRYPTIONS)
def test_every_pair_of_algorithms_goes_both_ways_with_another_library(alg: str, enc: str) -> None:
    key = RSA if alg.startswith("RSA") else EC

    ours = jwe.encrypt("text", PUBLIC, alg=alg, enc=enc, cty="JWT")
    theirs = library.encrypt_compact({"alg": alg, "enc": enc}, b"text", key, algorithms=EVERYTHING)

    opened = library.decrypt_compact(ours, key, algorithms=EVERYTHING)
    assert opened.plaintext == b"text"
    assert (opened.headers()["cty"], opened.headers()["kid"]) == ("JWT", key.kid)
    assert jwe.decrypt(ours, PRIVATE) == jwe.decrypt(theirs, PRIVATE) == b"text"


@pytest.mark.spec("RFC 8725 §3.1")
@pytest.mark.parametrize(
    ("alg", "enc", "key"),
    [
        ("RSA-OAEP", "A256GCM", RSA),
        ("ECDH-ES+A128KW", "A256GCM", EC),
        ("dir", "A256GCM", OctKey.generate_key(256)),
        ("A256KW", "A256GCM", OctKey.generate_key(256)),
    ],
)
def test_algorithms_that_are_not_on_the_list_are_refused(alg: str, enc: str, key: ECKey | RSAKey | OctKey) -> None:
    token = library.encrypt_compact({"alg": alg, "enc": enc}, b"text", key, algorithms=EVERYTHING)

    with pytest.raises(BadJwt):
        jwe.decrypt(token, PRIVATE)


@pytest.mark.spec("RFC 7516 §4.1.3")
@pytest.mark.spec("RFC 8725 §3.6")
def test_compression_is_refused_before_anything_is_inflated() -> None:
    bomb = zlib.compress(b"\0" * 10_000_000)[2:-4]
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "zip": "DEF"}
    token = library.encrypt_compact(header, b"\0" * 100_000, EC, algorithms=EVERYTHING)

    with pytest.raises(BadJwt, match="not supported"):
        jwe.decrypt(token, PRIVATE)
    assert len(bomb) < jwe.MAX_ENCRYPTED


@pytest.mark.spec("RFC 7516 §4.1.13")
@pytest.mark.parametrize("member", ["crit", "b64", "p2c", "p2s", "jku", "jwk", "x5u", "x5c", "iv", "tag", "skid"])
def test_headers_that_we_have_no_use_for_are_refused(member: str) -> None:
    token = jwe.encrypt("text", PUBLIC, alg="ECDH-ES")
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))

    with pytest.raises(BadJwt, match="not supported"):
        jwe.decrypt(altered(token, {**header, member: "x"}), PRIVATE)


@pytest.mark.parametrize(
    "epk",
    [
        {},
        "text",
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        # RFC 7518 §6.2.1: a point that is not on the curve (invalid curve attack).
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "AQ" + "A" * 41},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
    ],
)
def test_bad_ephemeral_keys_are_refused_like_anything_else(epk: object) -> None:
    token = jwe.encrypt("text", PUBLIC, alg="ECDH-ES")
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))

    with pytest.raises(BadJwt, match="no key of ours"):
        jwe.decrypt(altered(token, {**header, "epk": epk}), PRIVATE)


def test_whatever_is_wrong_inside_is_one_and_the_same_refusal() -> None:
    token = jwe.encrypt("text", PUBLIC, alg="RSA-OAEP-256", enc="A128CBC-HS256")
    parts = token.split(".")
    broken = [".".join([*parts[:n], "AAAA", *parts[n + 1 :]]) for n in range(1, 5)]

    refusals = set()
    for one in broken:
        with pytest.raises(BadJwt) as refused:
            jwe.decrypt(one, PRIVATE)
        refusals.add(str(refused.value))

    # No oracle: padding, tag, key and length say the same.
    assert refusals == {"no key of ours decrypts it"}


@pytest.mark.parametrize(
    "token",
    ["", "a.b.c", "....", "a.b.c.d.e", "e30.AA.AA.AA.AA", "e30=.AA.AA.AA.AA", "A" * 40_000, "e30.AA.AA.AA.AA.AA"],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadJwt):
        jwe.decrypt(token, PRIVATE)


def test_a_key_that_is_named_is_the_only_one_that_is_tried() -> None:
    token = jwe.encrypt("text", PUBLIC, alg="ECDH-ES")
    other = jwe.EncryptionKey("other", ("ECDH-ES",), EC)

    with pytest.raises(BadJwt):
        jwe.decrypt(token, (other,))


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"},
        {"kty": "RSA", "n": "AQAB"},
        {**EC.as_dict(private=True)},
        {**EC.as_dict(private=False), "use": "sig"},
        {**EC.as_dict(private=False), "alg": "RSA-OAEP-256"},
        {**EC.as_dict(private=False), "alg": "RSA1_5"},
        {**EC.as_dict(private=False), "kid": ""},
    ],
)
def test_keys_that_nothing_may_be_encrypted_to_are_refused(jwk: dict[str, Any]) -> None:
    with pytest.raises(BadKey):
        jwe.encryption_keys({"keys": [jwk]})


def test_a_key_marked_for_encryption_goes_before_one_that_is_not_marked() -> None:
    marked = EC.as_dict(private=False)
    unmarked = {name: value for name, value in RSA.as_dict(private=False).items() if name != "use"}

    assert [key.kid for key in jwe.encryption_keys({"keys": [unmarked, marked]})] == ["ec"]
    assert [key.kid for key in jwe.encryption_keys({"keys": [unmarked]})] == ["rsa"]


TOKENS = [jwe.encrypt("text", PUBLIC, alg=alg, cty="JWT") for alg in jwe.KEY_ENCRYPTIONS]


@given(st.sampled_from(TOKENS), st.integers(min_value=0), st.sampled_from("AZaz09-_.=~\u00e9"))
def test_a_token_with_one_character_changed_is_refused_and_nothing_else_happens(
    token: str, place: int, character: str
) -> None:
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]

    if changed != token:
        with pytest.raises(BadJwt):
            jwe.decrypt(changed, PRIVATE)


@given(st.text(max_size=200) | st.lists(st.text("AZaz09-_", max_size=60), min_size=5, max_size=5).map(".".join))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadJwt):
        jwe.decrypt(text, PRIVATE)
