"""Proofs of DPoP keys (RFC 9449), and the nonces that make them fresh.

A proof is checked in every respect here, except that it comes for the first time: `Proof.spend` sees to that, in the
transaction that stores what the proof buys, on every node alike. Nonces are not stored: each node computes the same one
for the same minute from the master key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import orjson

from kronborg.clients.model import Client
from kronborg.core.base64url import b64
from kronborg.core.crypto import Vault
from kronborg.core.group_writer import Execute
from kronborg.core.jose import BadJwt, BadKey, Jwt, PublicKey, numeric_date, parse, public_key, unb64, verify
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.errors import InvalidDpopProof, UseDpopNonce
from kronborg.oauth.requests import Headers
from kronborg.tokens import proofs_store

PROOF_TYPE: Final = "dpop+jwt"
MAX_PROOF = 4096
MAX_JTI = 256
LIFETIME = timedelta(seconds=60)
"""How old a proof may be."""
SKEW = timedelta(seconds=10)
"""By how much the clock of a client may be ahead of ours."""
NONCE_WINDOW = timedelta(seconds=60)
"""A nonce is taken in the window in which it was given, and in the next one."""
NONCE_CONTEXT = "dpop-nonce"

# RFC 7638 §3.2: the members that make a thumbprint, in lexicographic order.
_THUMBPRINT = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_JKT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that is right in itself. `digest` stands for its `jti`, which may be used once until `expires_at`."""

    jkt: str
    digest: bytes
    expires_at: datetime
    nonce: str | None
    alg: str = ""

    def spend(self, execute: Execute) -> None:
        """Use the proof up; part of a unit, before anything else. Raises `InvalidDpopProof` the second time."""
        # RFC 9449 §11.1
        if not proofs_store.use_proof(execute, self.digest, expires_at=self.expires_at):
            raise InvalidDpopProof("the DPoP proof was used before")


def sent_proof(headers: Headers) -> bytes | None:
    """The DPoP header, None when there is none. Raises `InvalidDpopProof` when there are several."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"dpop":
            # RFC 9449 §4.3, check 1
            if found is not None:
                raise InvalidDpopProof("there is more than one DPoP header")
            found = value
    return found


def read_proof(
    text: bytes, *, method: str, urls: Collection[str], now: datetime, access_token: str | None = None
) -> Proof:
    """What a proof for this request proves (RFC 9449 §4.3). Raises `InvalidDpopProof`.

    `urls` are the addresses of the endpoint, without query and fragment. With `access_token` the proof must be for it.
    """
    try:
        jwt, jkt = _verified(text)
    except (BadJwt, BadKey) as error:
        raise InvalidDpopProof("the DPoP proof is malformed, or its signature is wrong") from error
    claims = jwt.claims
    # Check 8: the method as it stands in the request line.
    if claims.get("htm") != method:
        raise InvalidDpopProof("the DPoP proof is for another method")
    # Check 9: query and fragment do not count.
    htu = claims.get("htu")
    if htu not in urls and not (isinstance(htu, str) and normalised(htu) in {normalised(url) for url in urls}):
        raise InvalidDpopProof("the DPoP proof is for another URL")
    # Check 11
    expires_at = _fresh_until(claims, now=now)
    # Check 12: the proof belongs to this very token.
    if access_token is not None and not _names(claims.get("ath"), access_token):
        raise InvalidDpopProof("the DPoP proof is for another access token")
    jti, nonce = claims.get("jti"), claims.get("nonce")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI or not jti.isprintable():
        raise InvalidDpopProof("the DPoP proof lacks a usable jti")
    if nonce is not None and not (isinstance(nonce, str) and nonce.isascii()):
        raise InvalidDpopProof("the nonce of the DPoP proof is not of ours")
    digest = hashlib.sha256(f"{jkt}\n{jti}".encode()).digest()
    return Proof(jkt, digest, expires_at, nonce, str(jwt.header["alg"]))


def check_nonce(vault: Vault, proof: Proof, *, required: bool, now: datetime) -> None:
    """Raise `UseDpopNonce`, with a nonce to use, when the proof has none that it needs, or an old or foreign one."""
    # RFC 9449 §4.3, check 10, and §8
    if proof.nonce is None and not required:
        return
    if proof.nonce is None or not _is_ours(vault, proof.nonce, now=now):
        raise UseDpopNonce(current_nonce(vault, now=now))


def check_algorithm(client: Client, proof: Proof) -> None:
    """Raise `InvalidDpopProof` when the proof is signed more weakly than the client may sign."""
    if not client.settings.takes(proof.alg):
        raise InvalidDpopProof("the DPoP proof is signed with an algorithm that the client may not use")


def current_nonce(vault: Vault, *, now: datetime) -> str:
    """The nonce that every node gives at this moment."""
    return _nonce(vault, _window(now))


def is_thumbprint(text: str) -> bool:
    """Whether the text can be the thumbprint of a key, as `dpop_jkt` must (RFC 9449 §10)."""
    return _JKT.fullmatch(text) is not None


def normalised(url: str) -> str:
    """A URL without query and fragment, in the normal form of RFC 3986 §6.2.2 and §6.2.3; empty for no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc:
        return ""
    if ":" in host:
        host = f"[{host}]"
    authority = host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}"
    return f"{parts.scheme}://{authority}{_without_dots(_ENCODED.sub(_decoded, parts.path)) or '/'}"


def _verified(text: bytes) -> tuple[Jwt, str]:
    """The parsed proof, signed by the key in it, and the thumbprint of that. Raises `BadJwt`, `BadKey`."""
    # Check 2: a single, well-formed JWT. Ours to bound before anything is parsed.
    if len(text) > MAX_PROOF:
        raise BadJwt("too long")
    jwt = parse(text.decode("latin-1"))
    jwk = jwt.header.get("jwk")
    if not isinstance(jwk, Mapping):
        raise BadJwt("no key")
    try:
        canonical = orjson.dumps(jwk)
    except TypeError as error:
        raise BadJwt("no key") from error
    # Checks 4 to 7: type, an asymmetric algorithm of ours that fits the key, the signature, no private key.
    key, jkt = _key(canonical)
    verify(jwt, (key,), types=(PROOF_TYPE,))
    return jwt, jkt


@lru_cache(maxsize=1024)
def _key(jwk: bytes) -> tuple[PublicKey, str]:
    """The key of a JWK, with its thumbprint (RFC 7638). Raises `BadJwt`, `BadKey`.

    Clients send the same key again and again; what is remembered of them is bounded, as anyone may send one.
    """
    parsed: JsonObject = orjson.loads(jwk)
    key = public_key(parsed)
    members = {name: str(parsed[name]) for name in _THUMBPRINT[str(parsed["kty"])]}
    for name, value in members.items():
        # Each number has one spelling, so that each key has one thumbprint.
        if name not in ("kty", "crv"):
            unb64(value)
    return key, b64(hashlib.sha256(orjson.dumps(members)).digest())


def _fresh_until(claims: Mapping[str, JsonValue], *, now: datetime) -> datetime:
    """Until when the proof would be taken. Raises `InvalidDpopProof` when it is too old or ahead of its time."""
    issued_at = numeric_date(claims.get("iat"))
    if issued_at is None or not now - LIFETIME - SKEW <= issued_at <= now + SKEW:
        raise InvalidDpopProof("iat of the DPoP proof is not of this moment")
    for name, wrong in (("exp", -SKEW), ("nbf", SKEW)):
        if name in claims:
            moment = numeric_date(claims[name])
            if moment is None or (moment <= now + wrong if name == "exp" else moment > now + wrong):
                raise InvalidDpopProof("the DPoP proof has expired, or is not valid yet")
    return issued_at + LIFETIME + SKEW + timedelta(seconds=1)


def _names(ath: JsonValue, access_token: str) -> bool:
    # RFC 9449 §4.2: the hash of the token as it is sent.
    wanted = b64(hashlib.sha256(access_token.encode()).digest())
    return isinstance(ath, str) and ath.isascii() and hmac.compare_digest(ath, wanted)


def _window(now: datetime) -> int:
    return int(now.timestamp() // NONCE_WINDOW.total_seconds())


def _nonce(vault: Vault, window: int) -> str:
    return b64(vault.digest(str(window), context=NONCE_CONTEXT)[:18])


def _is_ours(vault: Vault, nonce: str, *, now: datetime) -> bool:
    """Given in this window or the one before, or by a node whose clock is ahead."""
    window = _window(now)
    known = [_nonce(vault, window + offset) for offset in (0, -1, 1)]
    return any(hmac.compare_digest(nonce, one) for one in known)


def _decoded(match: re.Match[str]) -> str:
    octet = int(match[1], 16)
    return chr(octet) if octet in _UNRESERVED else f"%{match[1].upper()}"


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4"""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)
