"""Signed JWTs (RFC 7515, 7519): one strict policy over the primitives of `cryptography`.

No JOSE library is strict enough alone, so the parsing is ours: canonical base64url only, no duplicate members, no
`crit`, bounded size; the algorithm belongs to the key, never to the token (RFC 8725 §3.1); keys named or carried by a
token (`jku`, `jwk`, `x5u`, `x5c`) are never looked at; and each kind of JWT has its own `typ` (RFC 8725 §3.11).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from kronborg.core.json import JsonObject, JsonValue

MAX_TOKEN = 8192
ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_ES256 = ECDSA(SHA256())
_PSS = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)


class BadJwt(Exception):
    """Not a JWT that we believe. The text says why, for tests and logs; it never echoes the token."""


class BadKey(ValueError):
    """A JWK that we do not take. The text says why, without echoing it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key to verify with. `algorithms` are the only names it answers to."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey


@dataclass(frozen=True, slots=True)
class Jwt:
    """A parsed JWT. Nothing in it may be believed before `verify`."""

    header: JsonObject
    claims: JsonObject
    signed: bytes
    signature: bytes


def b64(raw: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The bytes of unpadded, canonical base64url. Raises `BadJwt`."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadJwt("not base64url") from error
    if b64(raw) != text:
        raise BadJwt("base64url is not canonical")
    return raw


def parse(token: str) -> Jwt:
    """Take a compact JWT apart. Raises `BadJwt`."""
    if len(token) > MAX_TOKEN:
        raise BadJwt("too long")
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise BadJwt("not three base64url parts")
    header, claims = _object(unb64(parts[1])), _object(unb64(parts[2]))
    # RFC 7515 §4.1.11: an extension that is not understood is refused; we understand none.
    if "crit" in header or "b64" in header:
        raise BadJwt("unknown critical header")
    return Jwt(header, claims, token[: parts.end(2)].encode(), unb64(parts[3]))


def verify(jwt: Jwt, keys: Sequence[PublicKey], *, types: Sequence[str]) -> None:
    """Check type, algorithm and signature. Raises `BadJwt`."""
    typ = jwt.header.get("typ")
    # RFC 7515 §4.1.9: "application/" may be left out, and case does not count.
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in types:
        raise BadJwt("wrong type")
    algorithm, kid = jwt.header.get("alg"), jwt.header.get("kid")
    for key in keys:
        if algorithm in key.algorithms and (kid is None or key.kid is None or kid == key.kid) and _matches(key, jwt):
            return
    raise BadJwt("no key of ours verifies it")


def sign_es256(key: EllipticCurvePrivateKey, header: bytes, claims: JsonObject) -> str:
    """A compact JWT; `header` is the base64url text of the header, which the caller keeps ready."""
    signed = header + b"." + base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
    r, s = decode_dss_signature(key.sign(signed, _ES256))
    signature = base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")
    return (signed + b"." + signature).decode()


def header_bytes(kid: str, typ: str) -> bytes:
    """The base64url text of an ES256 header."""
    return b64(orjson.dumps({"alg": "ES256", "typ": typ, "kid": kid})).encode()


def es256_jwk(key: EllipticCurvePublicKey) -> JsonObject:
    """The public JWK of a P-256 key; its `kid` is its thumbprint (RFC 7638)."""
    numbers = key.public_numbers()
    x, y = b64(numbers.x.to_bytes(32, "big")), b64(numbers.y.to_bytes(32, "big"))
    thumbprint = hashlib.sha256(orjson.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y})).digest()
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": b64(thumbprint), "use": "sig", "alg": "ES256"}


def public_key(jwk: JsonObject) -> PublicKey:
    """The key of a public JWK: P-256, Ed25519, or RSA of at least 2048 bits. Raises `BadKey`."""
    if _PRIVATE & jwk.keys():
        raise BadKey("the key is private: register the public part only")
    if jwk.get("use", "sig") != "sig":
        raise BadKey("the key is not for signatures")
    kid = jwk.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= 200):
        raise BadKey("kid must be text of at most 200 characters")
    key, names = _key(jwk)
    algorithm = jwk.get("alg")
    if algorithm is not None:
        names = tuple(name for name in names if name == algorithm)
    if not names:
        raise BadKey("alg does not fit the key, or is not supported")
    return PublicKey(kid, names, key)


def _key(jwk: JsonObject) -> tuple[EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey, tuple[str, ...]]:
    try:
        match jwk.get("kty"), jwk.get("crv"):
            case "EC", "P-256":
                x, y = _octets(jwk, "x"), _octets(jwk, "y")
                if len(x) != 32 or len(y) != 32:
                    raise BadKey("the coordinates must have 32 octets")
                numbers = EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), SECP256R1())
                return numbers.public_key(), ("ES256",)
            case "OKP", "Ed25519":
                return Ed25519PublicKey.from_public_bytes(_octets(jwk, "x")), ("Ed25519", "EdDSA")
            case "RSA", None:
                modulus, exponent = (int.from_bytes(_octets(jwk, name), "big") for name in ("n", "e"))
                if not 2048 <= modulus.bit_length() <= 4096 or not 3 <= exponent < 1 << 32:
                    raise BadKey("an RSA key must have 2048 to 4096 bits")
                return RSAPublicNumbers(exponent, modulus).public_key(), ("PS256", "RS256")
    except ValueError as error:
        raise error if isinstance(error, BadKey) else BadKey("the key's numbers are wrong") from error
    raise BadKey("the key must be P-256, Ed25519 or RSA")


def _octets(jwk: JsonObject, name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or len(text) > 1024:
        raise BadKey("the key lacks a member")
    try:
        return unb64(text)
    except BadJwt as error:
        raise BadKey("the key's members must be base64url") from error


def _matches(key: PublicKey, jwt: Jwt) -> bool:
    try:
        match key.key:
            case EllipticCurvePublicKey():
                if len(jwt.signature) != 64:
                    return False
                r, s = (int.from_bytes(half, "big") for half in (jwt.signature[:32], jwt.signature[32:]))
                key.key.verify(encode_dss_signature(r, s), jwt.signed, _ES256)
            case Ed25519PublicKey():
                key.key.verify(jwt.signature, jwt.signed)
            case RSAPublicKey():
                scheme = _PSS if jwt.header.get("alg") == "PS256" else padding.PKCS1v15()
                key.key.verify(jwt.signature, jwt.signed, scheme, SHA256())
    except InvalidSignature:
        return False
    return True


def _object(raw: bytes) -> JsonObject:
    try:
        value: JsonValue = json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadJwt("not JSON, or a member stands twice") from error
    if not isinstance(value, dict):
        raise BadJwt("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _no_constant(_name: str) -> JsonValue:
    raise ValueError("NaN and Infinity are not JSON")
