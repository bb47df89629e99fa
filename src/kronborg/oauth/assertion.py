"""Client assertions: `private_key_jwt` and `client_secret_jwt` (RFC 7523 §3, with the rules of RFC 10070)."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

from kronborg.clients.keys_of import keys_of
from kronborg.clients.model import Client, ClientSecret
from kronborg.clients.register import SECRET_SEAL
from kronborg.core.jose import BadJwt, Jwt, PublicKey, numeric_date, parse, unb64, verify
from kronborg.oauth.errors import InvalidClient
from kronborg.oauth.legacy_use import note
from kronborg.tokens import store
from kronborg.tokens.engine import Engine

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RFC 10070: an explicit type keeps assertions apart from every other JWT that the client signs.
TYPES = ("client-authentication+jwt",)
LONGEST = timedelta(minutes=5)
SKEW = timedelta(seconds=10)


def read_assertion(assertion: str) -> Jwt:
    """An assertion taken apart; nothing is verified yet. Raises `InvalidClient`."""
    try:
        return parse(assertion)
    except BadJwt as error:
        raise InvalidClient from error


def claimed_client(jwt: Jwt) -> str:
    """The client an assertion speaks of. Raises `InvalidClient`."""
    subject = jwt.claims.get("sub")
    # What JSON can write and no client id holds (NUL, half a surrogate pair) no database has to see.
    if not isinstance(subject, str) or not 0 < len(subject) <= 200 or not subject.isprintable():
        raise InvalidClient
    return subject


async def check_assertion(
    engine: Engine, client: Client, jwt: Jwt, *, url: str, now: datetime
) -> PublicKey | ClientSecret | None:
    """What the assertion was made with, if it proves this client for the first time; None if it does not.

    `url` is that of the endpoint. The `jti` is spent in the database, so that it counts once on all nodes.
    """
    legacy = client.settings.legacy_client_assertions
    audiences = (engine.issuer, f"{engine.issuer}/oauth/token", url) if legacy else ()
    try:
        by = await _verified(engine, client, jwt, now=now)
        expires_at = _checked(jwt, client.id, engine.issuer, audiences, now=now)
    except BadJwt:
        return None
    if legacy:
        note(client, "client_assertion", now=now)
    digest = hashlib.sha256(f"{client.id}\n{jwt.claims['jti']}".encode()).digest()
    first = await engine.database.writer.run(
        lambda execute: store.use_assertion(execute, digest, expires_at=expires_at + SKEW)
    )
    return by if first else None


async def _verified(engine: Engine, client: Client, jwt: Jwt, *, now: datetime) -> PublicKey | ClientSecret:
    """The key or secret that made the signature. Raises `BadJwt`."""
    wanted = client.settings.token_endpoint_auth_signing_alg
    # RFC 7591 §2: the registered algorithm is the only one.
    if wanted is not None and jwt.header.get("alg") != wanted:
        raise BadJwt("another algorithm is registered")
    legacy = client.settings.legacy_client_assertions
    if legacy and "typ" not in jwt.header:
        jwt = Jwt({**jwt.header, "typ": "jwt"}, jwt.claims, jwt.compact)
    types = (*TYPES, "jwt") if legacy else TYPES
    if client.auth_method == "client_secret_jwt":
        return _by_secret(engine, client, jwt, types, now=now)
    keys = await keys_of(engine.fetcher, client, now=now, kid=jwt.header.get("kid"))
    return verify(jwt, keys, types=types)


def _by_secret(engine: Engine, client: Client, jwt: Jwt, types: tuple[str, ...], *, now: datetime) -> ClientSecret:
    """The secret that made the HMAC (OIDC Core §9, `client_secret_jwt`). Raises `BadJwt`."""
    typ, (signed, _, signature) = jwt.header.get("typ"), jwt.compact.rpartition(".")
    if jwt.header.get("alg") != "HS256" or not isinstance(typ, str):
        raise BadJwt("not HS256")
    if typ.lower().removeprefix("application/") not in types:
        raise BadJwt("wrong type")
    mac, found = unb64(signature), None
    for secret in client.secrets:
        if secret.sealed is not None and secret.is_active(now):
            key = engine.vault.open(secret.sealed, context=f"{SECRET_SEAL}:{secret.id}")
            if hmac.compare_digest(hmac.digest(key, signed.encode(), "sha256"), mac):
                found = secret
    if found is None:
        raise BadJwt("no secret verifies it")
    return found


def _checked(jwt: Jwt, client_id: str, issuer: str, audiences: tuple[str, ...], *, now: datetime) -> datetime:
    """When the assertion expires, its claims being right. Raises `BadJwt`."""
    claims, jti, audience = jwt.claims, jwt.claims.get("jti"), jwt.claims.get("aud")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise BadJwt("iss and sub must be the client")
    # RFC 10070: the audience is the issuer alone, as a single string; never a list, never an endpoint.
    if audience != issuer:
        # Before it, an endpoint would do too, or a list that holds one of these: for those who asked for it only.
        named = audience if isinstance(audience, (list, tuple)) else [audience]
        if not any(one in audiences for one in named if isinstance(one, str)):
            raise BadJwt("aud must be the issuer")
    if not isinstance(jti, str) or not 8 <= len(jti) <= 200 or not jti.isprintable():
        raise BadJwt("jti must be text of 8 to 200 visible characters")
    expires_at = numeric_date(claims.get("exp"))
    if expires_at is None or not now - SKEW < expires_at <= now + LONGEST + SKEW:
        raise BadJwt("exp must be at most five minutes ahead")
    for name in ("nbf", "iat"):
        moment = numeric_date(claims.get(name))
        if name in claims and (moment is None or moment > now + SKEW):
            raise BadJwt(f"{name} must not be ahead")
    return expires_at
