"""ID tokens (OIDC Core §2): signed as the client registered, encrypted if it wishes, for every flow from one place."""

from __future__ import annotations

import hashlib
from datetime import datetime

from kronborg.accounts.store import find_user
from kronborg.clients.model import Client
from kronborg.core.base64url import b64
from kronborg.core.json import JsonObject, JsonValue
from kronborg.tokens.claims import asked_by_name, claims_of, client_claims, tells_more, told_attributes
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import ID_TYPE
from kronborg.tokens.model import ID_TOKEN_LIFETIME, Grant
from kronborg.tokens.signing import encrypt_to, sign
from kronborg.tokens.subjects import subject_for

NO_CLAIMS: JsonObject = {}
DEFAULT_ALG = "ES256"


async def id_token(
    engine: Engine,
    client: Client,
    grant: Grant,
    *,
    now: datetime,
    nonce: str | None = None,
    access_token: str | None = None,
    code: str | None = None,
    state: str | None = None,
    alone: bool = False,
    claims: JsonObject = NO_CLAIMS,
) -> str:
    """An ID token for this client about the person of the grant.

    `auth_time`, `amr` and `acr` are those of the sign-in, also after a refresh (§12.2). `access_token`, `code` and
    `state` are those that stand beside it in the same answer: their hashes bind them to it. `alone`: no access token is
    issued at all, so it says what userinfo would (§5.4). `claims` are further ones.
    """
    settings = client.settings
    algorithm = settings.id_token_signed_response_alg or DEFAULT_ALG
    told: dict[str, JsonValue] = {
        "iss": engine.issuer,
        "aud": client.id,
        "sub": subject_for(engine.vault, client, grant.user_id),
        "iat": int(now.timestamp()),
        "exp": int((now + ID_TOKEN_LIFETIME).timestamp()),
        "auth_time": int(grant.auth_time.timestamp()),
        "amr": grant.amr,
    }
    # OIDC Core §3.3.2.11; FAPI 1.0 Part 2 §5.1 for s_hash.
    hashed = (("at_hash", access_token), ("c_hash", code), ("s_hash", state))
    told |= {name: left_half(text, algorithm) for name, text in hashed if text is not None}
    if nonce is not None:
        told["nonce"] = nonce
    if grant.session_id is not None:
        told["sid"] = grant.session_id
    if grant.details.acr is not None:
        told["acr"] = grant.details.acr
    names = asked_by_name(grant, "id_token")
    if names or alone:
        told = {**await _about(engine, grant, names, alone=alone), **told}
    more = await client_claims(engine, client, grant, now=now) if tells_more(client, grant) else NO_CLAIMS
    told |= {**more, **claims}
    token = await sign(engine, told, typ=ID_TYPE, alg=settings.id_token_signed_response_alg, now=now)
    if settings.id_token_encrypted_response_alg is None:
        return token
    # OIDC Core §2: signed, then encrypted.
    enc = settings.id_token_encrypted_response_enc
    return await encrypt_to(engine, client, token, alg=settings.id_token_encrypted_response_alg, enc=enc, now=now)


def left_half(text: str, algorithm: str) -> str:
    """OIDC Core §3.1.3.6: the left half of a hash, by the hash that the signature uses; SHA-512 for Ed25519."""
    digest = hashlib.sha512 if algorithm in ("Ed25519", "EdDSA") else hashlib.sha256
    raw = digest(text.encode()).digest()
    return b64(raw[: len(raw) // 2])


async def _about(engine: Engine, grant: Grant, names: tuple[str, ...], *, alone: bool) -> JsonObject:
    async with engine.database.read() as session:
        user = await find_user(session, grant.user_id)
    return {} if user is None else claims_of(user, grant.scopes if alone else (), names, told_attributes(engine))
