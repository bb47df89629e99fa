"""ID tokens that come back as hints: who the client believes is here (OIDC Core §3.1.2.1, RP-Initiated Logout §2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kronborg.core.jose import BadJwt, parse, verify
from kronborg.core.jwe import is_encrypted
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import ID_TYPE
from kronborg.tokens.signing import decrypt
from kronborg.tokens.subjects import user_behind


@dataclass(frozen=True, slots=True)
class Hint:
    """What a genuine ID token of ours says, however old."""

    user_id: str
    client_id: str


async def read_hint(engine: Engine, text: str, *, now: datetime) -> Hint | None:
    """The hint; None for anything that is not an ID token signed by a key we still publish.

    Its expiry does not count: it is meant to be used when the session it tells of is long over. One that the client was
    sent encrypted comes back encrypted to us (§3.1.2.1), or decrypted.
    """
    keys = await engine.keys.current(now=now)
    try:
        jwt = parse((await decrypt(engine, text, now=now)).decode() if is_encrypted(text) else text)
        verify(jwt, keys.public, types=(ID_TYPE.lower(),))
    except (BadJwt, UnicodeDecodeError):
        return None
    issuer, subject, audience = (jwt.claims.get(name) for name in ("iss", "sub", "aud"))
    if issuer != engine.issuer or not isinstance(subject, str) or not isinstance(audience, str):
        return None
    client = await engine.directory.client(audience, now=now)
    user_id = subject if client is None else user_behind(engine.vault, client, subject)
    return None if user_id is None else Hint(user_id, audience)
