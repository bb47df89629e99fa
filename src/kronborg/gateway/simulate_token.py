"""From the text of a token to what it proves, for simulation. The text is neither kept nor logged."""

from __future__ import annotations

from datetime import datetime

from kronborg.core import opaque
from kronborg.core.jose import BadJwt, parse, verify
from kronborg.core.json import JsonValue
from kronborg.gateway.model import Snapshot
from kronborg.gateway.simulate_nouns import Held, Unfit
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.reference import resolve_jwt, resolve_reference

LONGEST = 16_384
_ANY_TYPE = (ACCESS_TYPE, "jwt", "logout+jwt", "secevent+jwt")


async def token_of(engine: Engine, text: str, snapshot: Snapshot, *, now: datetime) -> tuple[Held | Unfit | None, bool]:
    """What a token proves, and whether it was revoked (it, its session, grant, client or user)."""
    text = text.strip()
    if text[:7].lower() == "bearer ":
        text = text[7:].strip()
    if not text:
        return None, False
    if len(text) > LONGEST:
        return Unfit("something longer than any token"), False
    if text.startswith(opaque.ACCESS):
        return await _reference(engine, text, snapshot, now=now), False
    return await _jwt(engine, text, now=now)


async def _jwt(engine: Engine, text: str, *, now: datetime) -> tuple[Held | Unfit, bool]:
    try:
        jwt = parse(text)
    except BadJwt:
        return Unfit("something that is no JWT"), False
    typ = jwt.header.get("typ")
    keys = await engine.keys.current(now=now)
    try:
        verify(jwt, keys.public, types=_ANY_TYPE)
    except BadJwt:
        return Unfit("a JWT that no key of ours signed, or of no type that we sign"), False
    held = Held(jwt.claims, typ if isinstance(typ, str) else None)
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
