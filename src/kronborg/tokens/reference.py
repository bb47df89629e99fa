"""Read access tokens of either format: what they say, if every check of this moment passes.

A malformed token is refused without asking the database. What introspection, exchange and userinfo answer comes from
here, so that they agree.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from kronborg.clients.model import Client
from kronborg.core import opaque
from kronborg.core.jose import BadJwt, parse, verify
from kronborg.tokens import store
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import access_key
from kronborg.tokens.keys import ACCESS_TYPE
from kronborg.tokens.live import account_of, client_stands, person_behind
from kronborg.tokens.model import Access
from kronborg.tokens.store import Standing

FURTHER = ("cnf", "act", "may_act", "acr", "amr", "authorization_details", "status")
"""The claims of an access token that `Access.claims` holds."""


async def resolve(engine: Engine, token: str, *, now: datetime) -> Access | None:
    """What an access token says; None when it is not one of ours, expired, revoked, or its grant has fallen."""
    if token.startswith(opaque.ACCESS):
        return await resolve_reference(engine, token, now=now)
    return await resolve_jwt(engine, token, now=now)


async def resolve_reference(engine: Engine, token: str, *, now: datetime) -> Access | None:
    """The same for a reference token only."""
    if not opaque.well_formed(token, opaque.ACCESS):
        return None
    stored = await store.find_access(engine.database.lookup, access_key(engine.vault, token))
    if stored is None:
        return None
    access = Access(
        jti=stored.jti,
        client_id=stored.client_id,
        # A client's own token is about the client; one exchanged for another client's says so (oauth/token_exchange).
        subject=str(stored.claims.get("sub", stored.client_id)),
        grant_id=stored.grant_id,
        session_id=None,
        audience=stored.audience,
        scopes=stored.scopes,
        roles=(),
        issued_at=stored.issued_at,
        expires_at=stored.expires_at,
        claims=stored.claims,
    )
    return await _standing(engine, access, stored.standing, now=now)


async def resolve_jwt(engine: Engine, token: str, *, now: datetime) -> Access | None:
    """The same for a JWT access token only."""
    access = await read_jwt(engine, token, now=now)
    if access is None:
        return None
    standing = await store.find_standing(
        engine.database.lookup, jti=access.jti, client_id=access.client_id, grant_id=access.grant_id
    )
    return await _standing(engine, access, standing, now=now)


async def read_jwt(engine: Engine, token: str, *, now: datetime) -> Access | None:
    """What a JWT access token of ours says, expired and revoked ones included; None for any other text."""
    keys = await engine.keys.current(now=now)
    try:
        jwt = parse(token)
        verify(jwt, keys.public, types=(ACCESS_TYPE,))
    except BadJwt:
        return None
    claims = jwt.claims
    if claims.get("iss") != engine.issuer:
        return None
    # The signature is ours, so the claims are as `issue.access_claims` wrote them.
    grant_id, session_id, roles = claims.get("gid"), claims.get("sid"), claims.get("roles", ())
    return Access(
        jti=str(claims["jti"]),
        client_id=str(claims["client_id"]),
        subject=str(claims["sub"]),
        grant_id=None if grant_id is None else str(grant_id),
        session_id=None if session_id is None else str(session_id),
        audience=str(claims["aud"]),
        scopes=tuple(str(claims["scope"]).split()),
        roles=tuple(str(role) for role in roles) if isinstance(roles, (list, tuple)) else (),
        issued_at=_moment(claims["iat"]),
        expires_at=_moment(claims["exp"]),
        claims={name: claims[name] for name in FURTHER if name in claims},
    )


async def _standing(engine: Engine, access: Access, standing: Standing, *, now: datetime) -> Access | None:
    """The token with the roles of this moment; None when something stands against it."""
    cut_off = standing.not_before is not None and access.issued_at < standing.not_before
    if access.expires_at <= now or standing.revoked or cut_off:
        return None
    client = await engine.directory.client(access.client_id, now=now)
    if client is None or client.disabled:
        return None
    if access.grant_id is None:
        return await _own(engine, access, client, now=now)
    grant = standing.grant
    person = None if grant is None else await person_behind(engine, grant, now=now)
    if grant is None or person is None:
        return None
    # A token got by exchange falls with the client that the person allowed it to, also before that is cleaned up.
    if grant.client_id != access.client_id and not await client_stands(engine, grant.client_id, now=now):
        return None
    return Access(
        jti=access.jti,
        client_id=access.client_id,
        subject=person.id,
        grant_id=grant.id,
        session_id=grant.session_id,
        audience=access.audience,
        scopes=access.scopes,
        roles=person.roles,
        issued_at=access.issued_at,
        expires_at=access.expires_at,
        auth_time=grant.auth_time,
        claims=access.claims,
    )


async def _own(engine: Engine, access: Access, client: Client, *, now: datetime) -> Access | None:
    """A token without a person behind it, with the roles that the service account of its subject has now, if any."""
    if access.subject != client.id:
        if not await _subject_stands(engine, access, now=now):
            return None
        subject = await engine.directory.client(access.subject, now=now)
        if subject is None:
            return None
        client = subject
    if client.settings.service_account is None:
        return replace(access, roles=()) if access.roles else access
    account = await account_of(engine, client)
    return None if account is None else replace(access, roles=account.roles)


async def _subject_stands(engine: Engine, access: Access, *, now: datetime) -> bool:
    """Whether the client that a token without grant speaks for, by exchange, still stands: what it holds, too."""
    if not await client_stands(engine, access.subject, now=now):
        return False
    standing = await store.find_standing(
        engine.database.lookup, jti=access.jti, client_id=access.subject, grant_id=None
    )
    return standing.not_before is None or access.issued_at >= standing.not_before


def _moment(seconds: object) -> datetime:
    return datetime.fromtimestamp(int(str(seconds)), UTC)
