"""Token introspection (RFC 7662): what a token says right now, to those it concerns."""

from __future__ import annotations

from datetime import datetime

from kronborg.accounts.model import told_roles
from kronborg.clients.model import Client
from kronborg.core import opaque
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.client_auth import authenticate
from kronborg.oauth.endpoint import Answer, Encoded
from kronborg.tokens import refresh
from kronborg.tokens.claims import mapped_claims
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import role_prefix_of, token_type_of
from kronborg.tokens.live import person_behind
from kronborg.tokens.model import Access
from kronborg.tokens.reference import resolve
from kronborg.tokens.signing import encrypt_to, sign
from kronborg.tokens.subjects import subject_for, subject_told

TYPE = "token-introspection+jwt"
JWT = b"application/token-introspection+jwt"
# RFC 7662 §2.2: of an inactive token nothing else is said, not even why.
INACTIVE: JsonObject = {"active": False}


async def introspect(engine: Engine, gate: Gate, call: Call) -> Answer:
    """The answer of the introspection endpoint. `token_type_hint` is not needed: tokens tell what they are."""
    client = await authenticate(engine, gate, call, confidential=True)
    answer = await _answer(engine, client, call)
    # RFC 9701 §4: it is asked for by name.
    if any(name == b"accept" and JWT in value.lower() for name, value in call.headers):
        return await _signed(engine, client, answer, now=call.now)
    return answer


async def _answer(engine: Engine, client: Client, call: Call) -> JsonObject:
    text = call.form.require("token")
    if text.startswith(opaque.REFRESH):
        return await _refresh(engine, client, text, call)
    access = await resolve(engine, text, now=call.now)
    # A resource server learns of tokens for its own audience; a client of its own tokens.
    if access is None or not (access.audience in client.audiences or access.client_id == client.id):
        return INACTIVE
    # What an API wishes to know of a person is for the API: the client has what the person agreed to tell it.
    told = await mapped_claims(engine, access, now=call.now) if access.audience in client.audiences else None
    answer = _described(engine, access)
    if access.roles:
        roles = told_roles(access.roles, await role_prefix_of(engine, access.audience, now=call.now))
        if roles:
            answer["roles"] = roles
    if access.grant_id is not None:
        reference = text.startswith(opaque.ACCESS)
        answer["sub"] = await subject_told(engine, access, reader=client.id, reference=reference, now=call.now)
    return {**told, **answer} if told else answer


async def _signed(engine: Engine, client: Client, answer: JsonObject, *, now: datetime) -> Encoded:
    """The answer as a JWT for this resource server, encrypted if it registered that (RFC 9701 §5)."""
    settings = client.settings
    # Nothing of the token stands at the top, and no `sub` or `exp`: it cannot be taken for a token.
    claims: JsonObject = {
        "iss": engine.issuer,
        "aud": client.id,
        "iat": int(now.timestamp()),
        "token_introspection": answer,
    }
    token = await sign(engine, claims, typ=TYPE, alg=settings.introspection_signed_response_alg, now=now)
    wrap, enc = settings.introspection_encrypted_response_alg, settings.introspection_encrypted_response_enc
    if wrap is not None:
        token = await encrypt_to(engine, client, token, alg=wrap, enc=enc, now=now)
    return Encoded(token.encode(), JWT)


def _described(engine: Engine, access: Access) -> dict[str, JsonValue]:
    answer: dict[str, JsonValue] = {
        **access.claims,
        "active": True,
        "token_type": token_type_of(access),
        "iss": engine.issuer,
        "aud": access.audience,
        "sub": access.subject,
        "client_id": access.client_id,
        "scope": " ".join(access.scopes),
        "iat": int(access.issued_at.timestamp()),
        "exp": int(access.expires_at.timestamp()),
        "jti": access.jti,
    }
    if access.grant_id is not None:
        answer["gid"] = access.grant_id
    if access.session_id is not None:
        answer["sid"] = access.session_id
    return answer


async def _refresh(engine: Engine, client: Client, text: str, call: Call) -> JsonObject:
    """A refresh token concerns its own client only."""
    token = await refresh.find(engine, text)
    if token is None or token.grant.client_id != client.id or token.expires_at <= call.now:
        return INACTIVE
    if token.rotated_at is not None or await person_behind(engine, token.grant, now=call.now) is None:
        return INACTIVE
    return {
        "active": True,
        "iss": engine.issuer,
        "sub": subject_for(engine.vault, client, token.grant.user_id),
        "client_id": client.id,
        "scope": " ".join(token.grant.scopes),
        "exp": int(token.expires_at.timestamp()),
        "gid": token.grant.id,
    }
