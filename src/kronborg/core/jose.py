"""Signed JWTs (RFC 7515, 7519): one strict policy in front of joserfc.

No JOSE library is strict enough alone, so a token is looked over before the library sees it: canonical base64url
only, no duplicate members, no `crit`, bounded size; the algorithm belongs to the key, never to the token
(RFC 8725 §3.1); keys named or carried by a token (`jku`, `jwk`, `x5u`, `x5c`) are never looked at; and each kind of
JWT has its own `typ` (RFC 8725 §3.11).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey, RSAKey

from kronborg.core.base64url import b64
from kronborg.core.json import JsonObject, JsonValue, NotJson, read_object

MAX_TOKEN = 8192
ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MEMBERS = {"EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x"), "RSA": ("kty", "n", "e")}
_NAMES = {"P-256": ("ES256",), "Ed25519": ("Ed25519", "EdDSA"), "RSA": ("PS256", "RS256")}


class _OneAlgorithm(jws.JWSRegistry):
    """What the library may use for one signature: the algorithm that the key answers to. Sizes are bounded here."""

    max_header_length = MAX_TOKEN

    def get_alg(self, name: str) -> JWSAlgModel:
        # The library warns at each use of the older name of Ed25519 (RFC 9864), which a key has to be registered for.
        if not self.allowed or name not in self.allowed:
            raise UnsupportedAlgorithmError
        return self.algorithms[name]


_REGISTRIES = {name: _OneAlgorithm(algorithms=[name], strict_check_header=False) for name in ALGORITHMS}


class BadJwt(Exception):
    """Not a JWT that we believe. The text says why, for tests and logs; it never echoes the token."""


class BadKey(ValueError):
    """A JWK that we do not take. The text says why, without echoing it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key to verify with. `algorithms` are the only names it answers to."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: ECKey | OKPKey | RSAKey


@dataclass(frozen=True, slots=True)
class Jwt:
    """A parsed JWT. Nothing in it may be believed before `verify`."""

    header: JsonObject
    claims: JsonObject
    compact: str


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
    header, claims = parse_object(unb64(parts[1])), parse_object(unb64(parts[2]))
    unb64(parts[3])
    # RFC 7515 §4.1.11: an extension that is not understood is refused; we understand none.
    if "crit" in header or "b64" in header:
        raise BadJwt("unknown critical header")
    return Jwt(header, claims, token)


def verify(jwt: Jwt, keys: Sequence[PublicKey], *, types: Sequence[str]) -> PublicKey:
    """Check type, algorithm and signature; the key that made it. Raises `BadJwt`."""
    typ = jwt.header.get("typ")
    # RFC 7515 §4.1.9: "application/" may be left out, and case does not count.
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in types:
        raise BadJwt("wrong type")
    algorithm, kid = jwt.header.get("alg"), jwt.header.get("kid")
    for key in keys:
        if algorithm in key.algorithms and (kid is None or key.kid is None or kid == key.kid):
            try:
                jws.deserialize_compact(jwt.compact, key.key, registry=_REGISTRIES[str(algorithm)])
            except (JoseError, ValueError):
                continue
            return key
    raise BadJwt("no key of ours verifies it")


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


def _key(jwk: JsonObject) -> tuple[ECKey | OKPKey | RSAKey, tuple[str, ...]]:
    """The key's numbers alone, checked by the library: what else a JWK says is not taken over."""
    kind = jwk.get("kty")
    name = "RSA" if kind == "RSA" else jwk.get("crv")
    if not isinstance(kind, str) or kind not in _MEMBERS or not isinstance(name, str) or name not in _NAMES:
        raise BadKey("the key must be P-256, Ed25519 or RSA")
    members: dict[str, str | list[str]] = {member: _text(jwk, member) for member in _MEMBERS[kind]}
    try:
        key: ECKey | OKPKey | RSAKey
        match kind:
            case "EC":
                key = ECKey.import_key(members)
            case "OKP":
                key = OKPKey.import_key(members)
            case _:
                key = RSAKey.import_key(members)
        public = key.public_key
    except (JoseError, ValueError, TypeError) as error:
        raise BadKey("the key's numbers are wrong") from error
    if isinstance(public, RSAPublicKey) and not 2048 <= public.key_size <= 4096:
        raise BadKey("an RSA key must have 2048 to 4096 bits")
    return key, _NAMES[name]


def _text(jwk: JsonObject, member: str) -> str:
    text = jwk.get(member)
    if not isinstance(text, str) or not 0 < len(text) <= 1024:
        raise BadKey("the key lacks a member")
    return text


def numeric_date(value: JsonValue) -> datetime | None:
    """The moment that a NumericDate names (RFC 7519 §2), up to the year 2242; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 33:
        return None
    return datetime.fromtimestamp(value, UTC)


def parse_object(raw: bytes) -> JsonObject:
    """A JSON object as we take it from others. Raises `BadJwt`."""
    try:
        return read_object(raw)
    except NotJson as error:
        raise BadJwt(str(error)) from error
