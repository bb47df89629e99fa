"""Mint access tokens: JWTs (RFC 9068), encrypted ones, reference tokens, internal JWTs; ID tokens are `id_token.py`.

What has a row is stored first, inside the unit of the request; what is signed is signed after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from kronborg.accounts.model import told_roles
from kronborg.clients.settings import UNSET_API, ApiSettings
from kronborg.core import opaque
from kronborg.core.crypto import Vault
from kronborg.core.group_writer import Execute
from kronborg.core.ids import token_id
from kronborg.core.json import JsonObject, JsonValue
from kronborg.tokens import store
from kronborg.tokens.audience import Target
from kronborg.tokens.claims import mapped_claims
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import Unbound
from kronborg.tokens.id_token import id_token
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.model import INTERNAL_LIFETIME, Access, Grant, InternalJwt, Subject
from kronborg.tokens.signing import encrypt, sign, sign_with
from kronborg.tokens.subjects import subject_told

ACCESS_DIGEST = "access-token"
ACCESS_ENC = "A256GCM"
"""How access tokens are encrypted for an API that does not say how."""
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
    listed: bool = False
    settings: ApiSettings = UNSET_API

    def store(self, execute: Execute) -> None:
        """Store what must be known before the token is handed out; nothing for a JWT."""
        if self.reference is not None:
            store.add_access(execute, self.digest, self.access)


def order_for_client(
    engine: Engine,
    client_id: str,
    target: Target,
    *,
    now: datetime,
    claims: JsonObject = NO_CLAIMS,
    roles: tuple[str, ...] = (),
) -> Order:
    """An access token of a client for itself. RFC 9068 §2.2: its subject is the client.

    `roles` are those of its service account.
    """
    access = Access(
        jti=token_id(),
        client_id=client_id,
        subject=client_id,
        grant_id=None,
        session_id=None,
        audience=target.audience,
        scopes=target.scopes,
        roles=roles,
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
    """An access token of a client on behalf of a person; it does not outlive the grant.

    It tells how strongly the person signed in, if that was asked for (RFC 9470 §6.2, RFC 9068 §2.2.1).
    """
    if grant.details.acr is not None:
        claims = {**claims, "acr": grant.details.acr}
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
    roles: tuple[str, ...] = (),
) -> TokenSet:
    """An access token of a client for itself, stored if it is a reference token; `first` runs first in that unit."""
    order = order_for_client(engine, client_id, target, now=now, claims=claims, roles=roles)
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
    if order.listed:
        access = await engine.places.give(engine.database, engine.vault, engine.issuer, access, now=now)
    token = order.reference or await _jwt(engine, access, order.settings, now=now)
    about = None
    if identity is not None:
        client = await engine.directory.client(access.client_id, now=now)
        if client is not None:
            about = await id_token(engine, client, identity[0], nonce=nonce, access_token=token, now=now)
    lifetime = int((access.expires_at - now).total_seconds())
    told = TokenSet(token, lifetime, " ".join(access.scopes), refresh_token, about, token_type_of(access))
    # RFC 9396 §7: the client learns which authorization details the token has.
    details = access.claims.get("authorization_details")
    return told if details is None else replace(told, more={"authorization_details": details})


async def _jwt(engine: Engine, access: Access, settings: ApiSettings, *, now: datetime) -> str:
    """A JWT access token as its API wishes for it."""
    claims = access_claims(engine.issuer, access, settings.role_prefix)
    if settings.claims:
        claims.update(await mapped_claims(engine, access, now=now))
    if access.grant_id is not None and settings.encryption_jwks is None:
        # What a client can read of a person is what it is told in the ID token.
        claims["sub"] = await subject_told(engine, access, reader=access.client_id, reference=False, now=now)
    if settings.signing_alg == "ES256":
        signed = await sign_with((await engine.keys.current(now=now)).active, claims, typ=ACCESS_TYPE)
    else:
        signed = await sign(engine, claims, typ=ACCESS_TYPE, alg=settings.signing_alg, now=now)
    if settings.encryption_jwks is None:
        return signed
    keys = cast("JsonObject", settings.encryption_jwks)
    return encrypt(signed, keys, alg=settings.encryption_alg, enc=settings.encryption_enc or ACCESS_ENC)


def token_type_of(access: Access) -> str:
    """How the token is presented: `DPoP` when it is bound to a key (RFC 9449 §5), else `Bearer`."""
    confirmation = access.claims.get("cnf")
    if confirmation is None:
        return "Bearer"
    return "DPoP" if isinstance(confirmation, Mapping) and "jkt" in confirmation else "Bearer"


def access_claims(issuer: str, access: Access, role_prefix: str | None = None) -> dict[str, JsonValue]:
    """What a JWT access token says (RFC 9068 §2.2), to the API with this prefix of roles."""
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
    if access.roles and (roles := told_roles(access.roles, role_prefix)):
        claims["roles"] = roles
    if access.grant_id is not None:
        claims["gid"] = access.grant_id
    if access.session_id is not None:
        claims["sid"] = access.session_id
    if access.auth_time is not None:
        claims["auth_time"] = int(access.auth_time.timestamp())
    if access.claims:
        claims.update(access.claims)
    return claims


async def internal(engine: Engine, access: Access, *, now: datetime) -> InternalJwt:
    """A JWT of at most 60 s that says what a reference token stands for."""
    expires_at = min(now + INTERNAL_LIFETIME, access.expires_at)
    prefix = await role_prefix_of(engine, access.audience, now=now)
    claims = access_claims(engine.issuer, replace(access, issued_at=now, expires_at=expires_at), prefix)
    claims.update(await mapped_claims(engine, access, now=now))
    # ES256 whatever the API says: this one is for the gateway and what stands behind it.
    return InternalJwt(await sign(engine, claims, typ=ACCESS_TYPE, now=now), expires_at)


async def role_prefix_of(engine: Engine, audience: str, *, now: datetime) -> str | None:
    """What stands before the roles of an API; None when it has none of its own."""
    api = (await engine.directory.apis(now=now)).by_audience.get(audience)
    return None if api is None else api.settings.role_prefix


def _order(engine: Engine, access: Access, target: Target) -> Order:
    settings = target.settings
    if settings.require_sender_constraint and "cnf" not in access.claims:
        raise Unbound("this API takes bound tokens only: prove a key by DPoP, or a certificate by mutual TLS")
    if target.token_format == "jwt":  # noqa: S105  # a format
        return Order(access, None, b"", target.listed, settings)
    text = opaque.mint_at(opaque.ACCESS, int(access.issued_at.timestamp()) // 60)
    return Order(access, text, access_key(engine.vault, text))


def access_key(vault: Vault, text: str) -> bytes:
    """What a well-formed reference token is stored and found by: the minute it was made in, and its digest.

    Tokens that expire together lie together, so that a million of them are added and purged on a few pages.
    """
    return opaque.minute_of(text) + vault.digest(text, context=ACCESS_DIGEST)
