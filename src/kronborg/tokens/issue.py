"""Mint tokens: JWT access tokens (RFC 9068), reference tokens, ID tokens (OIDC Core §2), internal JWTs.

What has a row is stored first, inside the unit of the request; what is signed is signed after the commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from kronborg.core import opaque
from kronborg.core.group_writer import Execute
from kronborg.core.ids import token_id
from kronborg.core.jose import b64
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.jws import SigningKey
from kronborg.tokens import store
from kronborg.tokens.audience import Target
from kronborg.tokens.engine import Engine
from kronborg.tokens.keys import ACCESS_TYPE, ID_TYPE
from kronborg.tokens.model import ID_TOKEN_LIFETIME, INTERNAL_LIFETIME, Access, Grant, InternalJwt, Subject

ACCESS_DIGEST = "access-token"
NO_CLAIMS: JsonObject = {}


@dataclass(frozen=True, slots=True)
class TokenSet:
    """The answer of the token endpoint. `expires_in` counts seconds; `more` are further members of the answer."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None
    token_type: str = "Bearer"  # noqa: S105  # not a secret
    more: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """An access token about to be issued. `reference` is its text when it is a reference token."""

    access: Access
    reference: str | None
    digest: bytes

    def store(self, execute: Execute) -> None:
        """Store what must be known before the token is handed out; nothing for a JWT."""
        if self.reference is not None:
            store.add_access(execute, self.digest, self.access)


def order_for_client(
    engine: Engine, client_id: str, target: Target, *, now: datetime, claims: JsonObject = NO_CLAIMS
) -> Order:
    """An access token of a client for itself. RFC 9068 §2.2: its subject is the client."""
    access = Access(
        jti=token_id(),
        client_id=client_id,
        subject=client_id,
        grant_id=None,
        session_id=None,
        audience=target.audience,
        scopes=target.scopes,
        roles=(),
        issued_at=now,
        expires_at=now + target.lifetime,
        claims=claims,
    )
    return _order(engine, access, target)


def order_for_grant(
    engine: Engine,
    grant: Grant,
    subject: Subject,
    target: Target,
    *,
    now: datetime,
    claims: JsonObject = NO_CLAIMS,
) -> Order:
    """An access token of a client on behalf of a person; it does not outlive the grant."""
    access = Access(
        jti=token_id(),
        client_id=grant.client_id,
        subject=subject.id,
        grant_id=grant.id,
        session_id=grant.session_id,
        audience=target.audience,
        scopes=target.scopes,
        roles=subject.roles,
        issued_at=now,
        expires_at=min(now + target.lifetime, grant.expires_at),
        auth_time=grant.auth_time,
        claims=claims,
    )
    return _order(engine, access, target)


def order_for_access(engine: Engine, access: Access, target: Target) -> Order:
    """An access token that the caller has put together (token exchange), in the format of its target."""
    return _order(engine, access, target)


async def issue_for_client(
    engine: Engine,
    client_id: str,
    target: Target,
    *,
    now: datetime,
    claims: JsonObject = NO_CLAIMS,
    first: Callable[[Execute], None] | None = None,
) -> TokenSet:
    """An access token of a client for itself, stored if it is a reference token; `first` runs first in that unit."""
    order = order_for_client(engine, client_id, target, now=now, claims=claims)
    if first is not None:

        def unit(execute: Execute) -> None:
            first(execute)
            order.store(execute)

        await engine.database.writer.run(unit)
    elif order.reference is not None:
        await engine.database.writer.run(order.store)
    return await fill(engine, order, now=now)


async def fill(
    engine: Engine,
    order: Order,
    *,
    now: datetime,
    refresh_token: str | None = None,
    identity: tuple[Grant, Subject] | None = None,
    nonce: str | None = None,
) -> TokenSet:
    """The tokens of an order whose rows are committed; with an ID token when `identity` is given."""
    access = order.access
    keys = await engine.keys.current(now=now) if order.reference is None or identity else None
    if order.reference is not None:
        token = order.reference
    elif keys is not None:
        token = sign_access(keys.active, engine.issuer, access)
    id_token = None
    if identity is not None and keys is not None:
        id_token = sign_id_token(keys.active, engine.issuer, *identity, nonce=nonce, access_token=token, now=now)
    lifetime = int((access.expires_at - now).total_seconds())
    return TokenSet(token, lifetime, " ".join(access.scopes), refresh_token, id_token, token_type_of(access))


def token_type_of(access: Access) -> str:
    """How the token is presented: `DPoP` when it is bound to a key (RFC 9449 §5), else `Bearer`."""
    confirmation = access.claims.get("cnf")
    return "DPoP" if isinstance(confirmation, Mapping) and "jkt" in confirmation else "Bearer"


def sign_access(key: SigningKey, issuer: str, access: Access) -> str:
    """A JWT access token (RFC 9068 §2)."""
    claims: dict[str, JsonValue] = {
        "iss": issuer,
        "aud": access.audience,
        "sub": access.subject,
        "client_id": access.client_id,
        "iat": int(access.issued_at.timestamp()),
        "exp": int(access.expires_at.timestamp()),
        "jti": access.jti,
        "scope": " ".join(access.scopes),
    }
    if access.roles:
        claims["roles"] = access.roles
    if access.grant_id is not None:
        claims["gid"] = access.grant_id
    if access.session_id is not None:
        claims["sid"] = access.session_id
    if access.auth_time is not None:
        claims["auth_time"] = int(access.auth_time.timestamp())
    if access.claims:
        claims.update(access.claims)
    return key.compact(claims, typ=ACCESS_TYPE)


def sign_id_token(
    key: SigningKey,
    issuer: str,
    grant: Grant,
    subject: Subject,
    *,
    nonce: str | None,
    access_token: str,
    now: datetime,
) -> str:
    """An ID token (OIDC Core §2). `auth_time` and `amr` are those of the sign-in, also after a refresh (§12.2)."""
    claims: dict[str, JsonValue] = {
        "iss": issuer,
        "aud": grant.client_id,
        "sub": subject.id,
        "iat": int(now.timestamp()),
        "exp": int((now + ID_TOKEN_LIFETIME).timestamp()),
        "auth_time": int(grant.auth_time.timestamp()),
        "amr": grant.amr,
        # OIDC Core §3.1.3.6: the left half of the hash of the access token.
        "at_hash": b64(hashlib.sha256(access_token.encode()).digest()[:16]),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if grant.session_id is not None:
        claims["sid"] = grant.session_id
    return key.compact(claims, typ=ID_TYPE)


async def internal(engine: Engine, access: Access, *, now: datetime) -> InternalJwt:
    """A JWT of at most 60 s that says what a reference token stands for."""
    keys = await engine.keys.current(now=now)
    expires_at = min(now + INTERNAL_LIFETIME, access.expires_at)
    token = sign_access(keys.active, engine.issuer, replace(access, issued_at=now, expires_at=expires_at))
    return InternalJwt(token, expires_at)


def _order(engine: Engine, access: Access, target: Target) -> Order:
    if target.token_format == "jwt":  # noqa: S105  # a format
        return Order(access, None, b"")
    text = opaque.mint(opaque.ACCESS)
    return Order(access, text, engine.vault.digest(text, context=ACCESS_DIGEST))
