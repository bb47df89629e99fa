"""Encrypted JWTs (RFC 7516): one strict policy in front of joserfc.

Two ways to agree on a key (RSA-OAEP-256 and ECDH-ES, bare or with A256KW), four ciphers, nothing else: no RSA1_5, no
`dir`, no passwords, no compression (a small token that inflates to a large one), no critical extensions. The keys say
which algorithms they answer to, never the token (RFC 8725 §3.1); every size is bounded before anything is computed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from kronborg.core.jose import BadJwt, BadKey, parse_object, unb64
from kronborg.core.json import JsonObject, JsonValue

KEY_ENCRYPTIONS: Final = ("RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW")
CONTENT_ENCRYPTIONS: Final = ("A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512")
DEFAULT_ENC: Final = "A128CBC-HS256"
"""OIDC Registration §2: what `enc` means when only `alg` was registered."""
MAX_ENCRYPTED = 32_768
_PART = r"([A-Za-z0-9_-]+)"
_COMPACT = re.compile(rf"{_PART}\.([A-Za-z0-9_-]*)\.{_PART}\.{_PART}\.{_PART}", re.ASCII)
_CURVES = ("P-256", "P-384", "P-521")
_EC = ("ECDH-ES", "ECDH-ES+A256KW")
_RSA = ("RSA-OAEP-256",)
_HEADER = frozenset({"alg", "enc", "kid", "cty", "typ", "epk", "apu", "apv"})
_REGISTRIES = {
    (alg, enc): jwe.JWERegistry(algorithms=[alg, enc], strict_check_header=False)
    for alg in KEY_ENCRYPTIONS
    for enc in CONTENT_ENCRYPTIONS
}


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """A key to encrypt to, or with its private part to decrypt with. `algorithms` are the only names it answers to."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: ECKey | RSAKey


def encryption_keys(jwks: JsonObject | None) -> tuple[EncryptionKey, ...]:
    """The keys of a JWK set that may be encrypted to: those marked `enc`, else those that are not marked at all.

    Raises `BadKey` for a set without any, and for such a key that is malformed, private or too small.
    """
    listed = None if jwks is None else jwks.get("keys")
    if not isinstance(listed, (list, tuple)) or not 1 <= len(listed) <= 20:
        raise BadKey("a JWK set has a list of one to twenty keys")
    keys = [key for key in listed if isinstance(key, Mapping)]
    if any("d" in key or "k" in key for key in keys):
        raise BadKey("a key is private: register the public part only")
    chosen = [key for key in keys if key.get("use") == "enc"] or [key for key in keys if "use" not in key]
    found = tuple(encryption_key(key) for key in chosen if key.get("kty") in ("EC", "RSA"))
    if not found:
        raise BadKey("the JWK set has no key for encryption: an EC or RSA key with use enc")
    return found


def encryption_key(jwk: JsonObject, *, private: bool = False) -> EncryptionKey:
    """The key of a JWK: P-256, P-384, P-521, or RSA of 2048 to 4096 bits. Raises `BadKey`."""
    kind, kid, named = jwk.get("kty"), jwk.get("kid"), jwk.get("alg")
    if "d" in jwk and not private:
        raise BadKey("the key is private: register the public part only")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= 200):
        raise BadKey("kid must be text of at most 200 characters")
    if kind == "EC" and jwk.get("crv") not in _CURVES:
        raise BadKey("an EC key for encryption is on P-256, P-384 or P-521")
    names = _RSA if kind == "RSA" else _EC if kind == "EC" else ()
    members = ("kty", "n", "e") if kind == "RSA" else ("kty", "crv", "x", "y")
    numbers = {name: jwk.get(name) for name in (*members, *(("d",) if private else ()))}
    if any(not isinstance(value, str) or not 0 < len(value) <= 1024 for value in numbers.values()):
        raise BadKey("the key lacks a member")
    try:
        key = (RSAKey if kind == "RSA" else ECKey).import_key(cast("dict[str, str | list[str]]", numbers))
        public = key.public_key
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadKey("the key's numbers are wrong") from error
    if isinstance(public, RSAPublicKey) and not 2048 <= public.key_size <= 4096:
        raise BadKey("an RSA key must have 2048 to 4096 bits")
    algorithms = names if named is None else tuple(name for name in names if name == named)
    if not algorithms:
        raise BadKey("alg does not fit the key, or is not supported")
    return EncryptionKey(kid, algorithms, key)


def encrypt(
    plaintext: str | bytes,
    keys: Sequence[EncryptionKey],
    *,
    alg: str | None = None,
    enc: str | None = None,
    cty: str = "",
) -> str:
    """A compact JWE to the first key that answers to `alg` (to any, in our order, without one). Raises `BadKey`.

    `cty` is `JWT` for a nested JWT (RFC 7519 §5.2). `enc` is `A128CBC-HS256` when absent.
    """
    for name in KEY_ENCRYPTIONS if alg is None else (alg,):
        for key in keys:
            if name in key.algorithms:
                cipher = enc or DEFAULT_ENC
                header = {"alg": name, "enc": cipher}
                if cty:
                    header["cty"] = cty
                if key.kid is not None:
                    header["kid"] = key.kid
                return jwe.encrypt_compact(header, plaintext, key.key, registry=_REGISTRIES[name, cipher])
    raise BadKey("none of the keys fits the algorithm")


def is_encrypted(token: str) -> bool:
    """Whether a text has the five parts of a JWE."""
    return token.count(".") == 4


def decrypt(token: str, keys: Sequence[EncryptionKey], *, longest: int = MAX_ENCRYPTED) -> bytes:
    """What a compact JWE holds. Whatever is wrong with it, the `BadJwt` is the same one."""
    if len(token) > longest:
        raise BadJwt("too long")
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise BadJwt("not five base64url parts")
    header: Mapping[str, JsonValue] = parse_object(unb64(parts[1]))
    for part in parts.groups()[1:]:
        unb64(part)
    # RFC 7516 §4.1.3, §4.1.13: compression and extensions are refused, with everything else that we have no use for.
    if not header.keys() <= _HEADER:
        raise BadJwt("a header member that is not supported")
    alg, enc, kid = header.get("alg"), header.get("enc"), header.get("kid")
    registry = _REGISTRIES.get((alg, enc)) if isinstance(alg, str) and isinstance(enc, str) else None
    if registry is None:
        raise BadJwt("an algorithm that is not supported")
    for key in keys:
        if alg in key.algorithms and (kid is None or key.kid is None or kid == key.kid):
            try:
                plaintext = jwe.decrypt_compact(token, key.key, registry=registry).plaintext
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if plaintext is not None:
                return plaintext
    raise BadJwt("no key of ours decrypts it")
