"""The secret by which this server proves itself to a provider: sealed at rest, and what is signed with it."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from kronborg.core.crypto import Vault
from kronborg.core.errors import Invalid, Problem
from kronborg.core.ids import token_id
from kronborg.core.jose import BadKey
from kronborg.core.json import JsonObject
from kronborg.core.jws import Line, LocalSigner, SigningKey, public_jwk, read_private
from kronborg.federation.model import Provider
from kronborg.federation.presets import Known

LIFETIME = timedelta(minutes=5)
MAX_SECRET = 8192
_LINES: tuple[Line, ...] = ("ES256", "PS256", "Ed25519")


def seal_secret(vault: Vault, key: str, secret: str) -> str:
    """The secret of the provider with this key, to be stored."""
    return vault.seal(secret.encode(), context=_context(key))


def open_secret(vault: Vault, provider: Provider) -> str:
    """The secret; empty when there is none."""
    return "" if provider.secret is None else vault.open(provider.secret, context=_context(provider.key)).decode()


def secret_mark(vault: Vault, key: str, secret: str) -> str:
    """By which a file that declares the secret is seen to have changed."""
    return vault.digest(f"{key}\n{secret}", context="federation.secret").hex()


def client_assertion(client_id: str, secret: str, issuer: str, *, now: datetime) -> str:
    """A signed statement of who we are (RFC 7523 §2.2); its audience is the issuer alone (RFC 10070)."""
    issued = int(now.timestamp())
    claims: JsonObject = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": token_id(),
        "iat": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
    }
    return signing_key(secret).compact(claims, typ="client-authentication+jwt")


def signed_secret(known: Known, secret: str, issuer: str, *, now: datetime) -> str:
    """A client secret that is itself a JWT, signed by the team's key."""
    issued = int(now.timestamp())
    settings = known.settings
    claims: JsonObject = {
        "iss": settings.team_id,
        "iat": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
        "aud": issuer,
        "sub": settings.client_id,
    }
    key = signing_key(secret)
    return SigningKey(settings.key_id, key.line, key.signer).compact(claims, typ="JWT")


def published_key(secret: str) -> JsonObject:
    """The public part of a private key, for the provider to fetch."""
    for line in _LINES:
        with suppress(BadKey):
            private, kid = read_private(secret, line)
            return public_jwk(private, line, kid=kid)
    raise BadKey("not a private key")


def signing_key(secret: str) -> SigningKey:
    """The private key that a secret is. Raises `BadKey`."""
    for line in _LINES:
        with suppress(BadKey):
            private, kid = read_private(secret, line)
            return SigningKey(kid or public_jwk(private, line)["kid"], line, LocalSigner(line, private))
    raise BadKey("not a private key")


def check_secret(secret: str, *, key_needed: bool) -> None:
    """Refuse a secret that could never work. Raises `Invalid`."""
    if not 0 < len(secret) <= MAX_SECRET:
        raise Invalid(Problem("secret", "a secret has 1 to 8192 characters"))
    if key_needed:
        try:
            signing_key(secret)
        except BadKey:
            mend = "give a private key as PEM without a passphrase, or as a JWK: P-256, RSA or Ed25519"
            raise Invalid(Problem("secret", "this is no private key", mend)) from None


def _context(key: str) -> str:
    return f"federation.provider:{key}"
