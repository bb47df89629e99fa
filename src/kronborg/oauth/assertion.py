"""Client assertions: `private_key_jwt` (RFC 7523 §3, with the rules of RFC 10070)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from kronborg.clients.keys_of import keys_of
from kronborg.clients.model import Client
from kronborg.core.jose import BadJwt, Jwt, parse, verify
from kronborg.core.json import JsonValue
from kronborg.oauth.errors import InvalidClient
from kronborg.tokens import store
from kronborg.tokens.engine import Engine

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# RFC 10070: an explicit type keeps assertions apart from every other JWT that the client signs.
TYPES = ("client-authentication+jwt",)
LONGEST = timedelta(minutes=5)
SKEW = timedelta(seconds=10)


def claimed_client(assertion: str) -> str:
    """The client an assertion speaks of; nothing is verified yet. Raises `InvalidClient`."""
    try:
        subject = parse(assertion).claims.get("sub")
    except BadJwt as error:
        raise InvalidClient from error
    # What JSON can write and no client id holds (NUL, half a surrogate pair) no database has to see.
    if not isinstance(subject, str) or not 0 < len(subject) <= 200 or not subject.isprintable():
        raise InvalidClient
    return subject


async def check_assertion(engine: Engine, client: Client, assertion: str, *, now: datetime) -> bool:
    """Whether the assertion proves this client, for the first time: its `jti` is spent in the database."""
    try:
        jwt = parse(assertion)
        keys = await keys_of(engine.fetcher, client, now=now, kid=jwt.header.get("kid"))
        verify(jwt, keys, types=TYPES)
        expires_at = _checked(jwt, client.id, engine.issuer, now=now)
    except BadJwt:
        return False
    digest = hashlib.sha256(f"{client.id}\n{jwt.claims['jti']}".encode()).digest()
    return await engine.database.writer.run(
        lambda execute: store.use_assertion(execute, digest, expires_at=expires_at + SKEW)
    )


def _checked(jwt: Jwt, client_id: str, issuer: str, *, now: datetime) -> datetime:
    """When the assertion expires, its claims being right. Raises `BadJwt`."""
    claims, jti = jwt.claims, jwt.claims.get("jti")
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise BadJwt("iss and sub must be the client")
    # RFC 10070: the audience is the issuer alone, as a single string; never a list, never an endpoint.
    if claims.get("aud") != issuer:
        raise BadJwt("aud must be the issuer")
    if not isinstance(jti, str) or not 8 <= len(jti) <= 200 or not jti.isprintable():
        raise BadJwt("jti must be text of 8 to 200 visible characters")
    expires_at = _moment(claims.get("exp"))
    if expires_at is None or not now - SKEW < expires_at <= now + LONGEST + SKEW:
        raise BadJwt("exp must be at most five minutes ahead")
    for name in ("nbf", "iat"):
        moment = _moment(claims.get(name))
        if name in claims and (moment is None or moment > now + SKEW):
            raise BadJwt(f"{name} must not be ahead")
    return expires_at


def _moment(value: JsonValue) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 33:
        return None
    return datetime.fromtimestamp(value, UTC)
