"""ID tokens that come back as hints: who the client believes is here (OIDC Core §3.1.2.1, RP-Initiated Logout §2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kronborg.core.jose import BadJwt, parse, verify
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import ID_TYPE


@dataclass(frozen=True, slots=True)
class Hint:
    """What a genuine ID token of ours says, however old."""

    user_id: str
    client_id: str


async def read_hint(engine: Engine, text: str, *, now: datetime) -> Hint | None:
    """The hint; None for anything that is not an ID token signed by a key we still publish.

    Its expiry does not count: it is meant to be used when the session it tells of is long over.
    """
    keys = await engine.keys.current(now=now)
    try:
        jwt = parse(text)
        verify(jwt, keys.public, types=(ID_TYPE.lower(),))
    except BadJwt:
        return None
    issuer, subject, audience = (jwt.claims.get(name) for name in ("iss", "sub", "aud"))
    if issuer != engine.issuer or not isinstance(subject, str) or not isinstance(audience, str):
        return None
    return Hint(subject, audience)
