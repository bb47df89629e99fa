"""What the userinfo endpoint tells, and in which form (OIDC Core §5.3.2): JSON, or a JWT signed, encrypted, or both."""

from __future__ import annotations

from datetime import datetime

import orjson

from kronborg.accounts.model import User
from kronborg.clients.model import Client
from kronborg.core.json import JsonObject
from kronborg.oauth.endpoint import Encoded
from kronborg.tokens import store
from kronborg.tokens.claims import asked_by_name, claims_of, client_claims, tells_more, told_attributes
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Access
from kronborg.tokens.signing import encrypt_to, sign
from kronborg.tokens.subjects import subject_for

# RFC 8725 §3.11: no other kind of JWT of ours, an ID token least of all, is taken for it.
TYPE = "userinfo+jwt"
PLAIN = b"application/json"
JWT = b"application/jwt"


async def about(engine: Engine, client: Client, access: Access, user: User, *, now: datetime) -> JsonObject:
    """The claims: by the scopes of the token, and those that the authorization request asked for by name (§5.5)."""
    grant = None
    if access.grant_id is not None:
        grant = await store.find_grant(engine.database.lookup, access.grant_id)
    told = claims_of(user, access.scopes, asked_by_name(grant, "userinfo"), told_attributes(engine))
    if grant is not None and tells_more(client, grant):
        told = {**told, **await client_claims(engine, client, grant, now=now)}
    return {"sub": subject_for(engine.vault, client, user.id), **told}


async def encoded(engine: Engine, client: Client, claims: JsonObject, *, now: datetime) -> Encoded:
    """The claims in the form that the client registered."""
    settings = client.settings
    wrap, enc = settings.userinfo_encrypted_response_alg, settings.userinfo_encrypted_response_enc
    if settings.userinfo_signed_response_alg is None:
        if wrap is None:
            return Encoded(orjson.dumps(claims), PLAIN)
        plain = orjson.dumps(claims)
        return Encoded((await encrypt_to(engine, client, plain, alg=wrap, enc=enc, cty="", now=now)).encode(), JWT)
    # §5.3.2: a signed answer says who speaks, and to whom.
    told = {**claims, "iss": engine.issuer, "aud": client.id}
    token = await sign(engine, told, typ=TYPE, alg=settings.userinfo_signed_response_alg, now=now)
    if wrap is not None:
        token = await encrypt_to(engine, client, token, alg=wrap, enc=enc, now=now)
    return Encoded(token.encode(), JWT)
