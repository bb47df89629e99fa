"""From the text of a token to what it proves, for simulation. The text is neither kept nor logged."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Literal

from kronborg.api_keys.exchange import Uses, exchange_key
from kronborg.api_keys.keys import digest_of
from kronborg.api_keys.model import kind_of
from kronborg.api_keys.store import find_by_digest
from kronborg.core import opaque
from kronborg.core.jose import BadJwt, parse, verify
from kronborg.core.json import JsonValue
from kronborg.gateway.model import Snapshot
from kronborg.gateway.simulate_issuer import signed_by
from kronborg.gateway.simulate_nouns import Held, Unfit
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.reference import resolve_jwt, resolve_reference

LONGEST = 16_384
_ANY_TYPE = (ACCESS_TYPE, "jwt", "logout+jwt", "secevent+jwt")


async def token_of(
    engine: Engine, text: str, snapshot: Snapshot, *, audience: str = "", address: str = "", now: datetime
) -> tuple[Held | Unfit | None, bool]:
    """What a token or a key proves, and whether it was revoked (it, its session, grant, client or user).

    `text` may begin with a scheme. `audience` is the API that the route is for, `address` where the request is from:
    a key is good for some of either.
    """
    scheme, token = _apart(text)
    if not token:
        return None, False
    if len(token) > LONGEST:
        return Unfit("something longer than any token"), False
    if token.startswith(opaque.ACCESS):
        reference = await _reference(engine, token, snapshot, now=now)
        return (reference if isinstance(reference, Unfit) else replace(reference, scheme=scheme)), False
    if token.startswith((opaque.API_KEY, opaque.PERSONAL)):
        return await _key(engine, token, audience, address, now=now), False
    found, revoked = await _jwt(engine, token, snapshot, now=now)
    return (found if isinstance(found, Unfit) else replace(found, scheme=scheme)), revoked


def _apart(text: str) -> tuple[Literal["", "bearer", "dpop"], str]:
    head, space, rest = text.strip().partition(" ")
    match (head.lower(), space):
        case ("bearer", " "):
            return "bearer", rest.strip()
        case ("dpop", " "):
            return "dpop", rest.strip()
    return "", text.strip()


async def _key(engine: Engine, text: str, audience: str, address: str, *, now: datetime) -> Held | Unfit:
    """What the exchange says of a key at this moment; it is not noted as used."""
    kind = kind_of(text)
    key = None if kind is None else await find_by_digest(engine.database.lookup, digest_of(engine.vault, text))
    if key is None:
        return Unfit("a key that is unknown")
    if not key.stands(now):
        return Unfit("a key that is revoked or expired")
    if audience not in key.audiences:
        return Unfit("a key for other APIs")
    found = await exchange_key(engine, Uses(), text, audience=audience, address=address, now=now)
    if found is None:
        return Unfit("a key that is not good from this address, or whose owner may not use it now")
    return Held(parse(found[0].token).claims, credential=key.kind)


async def _jwt(engine: Engine, text: str, snapshot: Snapshot, *, now: datetime) -> tuple[Held | Unfit, bool]:
    try:
        jwt = parse(text)
    except BadJwt:
        return Unfit("something that is no JWT"), False
    typ = jwt.header.get("typ")
    held = Held(jwt.claims, typ if isinstance(typ, str) else None)
    source = next((one for one in snapshot.issuers if one.issuer == jwt.claims.get("iss") and one.jwks), None)
    if source is not None:
        if signed_by(jwt, source):
            return held, False
        return Unfit("a JWT that no key of its issuer signed"), False
    keys = await engine.keys.current(now=now)
    try:
        verify(jwt, keys.public, types=_ANY_TYPE)
    except BadJwt:
        return Unfit("a JWT that no key of ours signed, or of no type that we sign"), False
    expires = jwt.claims.get("exp")
    living = isinstance(expires, (int, float)) and expires > now.timestamp()
    revoked = living and held.typ == ACCESS_TYPE and await resolve_jwt(engine, text, now=now) is None
    return held, revoked


async def _reference(engine: Engine, text: str, snapshot: Snapshot, *, now: datetime) -> Held | Unfit:
    """What the gateway is given in exchange for a reference token."""
    access = await resolve_reference(engine, text, now=now)
    if access is None:
        return Unfit("a reference token that is unknown, expired or revoked")
    if not any(one.reference and one.uri == access.audience for one in snapshot.audiences):
        return Unfit("a reference token for an API whose tokens are JWTs")
    claims: dict[str, JsonValue] = {
        "iss": snapshot.issuer,
        "aud": access.audience,
        "sub": access.subject,
        "client_id": access.client_id,
        "scope": " ".join(access.scopes),
        "roles": list(access.roles),
        "jti": access.jti,
        "iat": access.issued_at.timestamp(),
        "exp": access.expires_at.timestamp(),
        **access.claims,
    }
    if access.auth_time is not None:
        claims["auth_time"] = access.auth_time.timestamp()
    return Held(claims)
