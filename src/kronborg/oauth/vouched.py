"""Assertions of trusted issuers (RFC 7521, RFC 7523 §3): a JWT of somebody else says for whom a client acts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.accounts.store import find_by_login, find_user
from kronborg.clients.keys_of import fetched_keys, published_keys
from kronborg.clients.model import Client
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.core.jose import BadJwt, Jwt, PublicKey, numeric_date, parse, verify
from kronborg.core.json import JsonValue
from kronborg.oauth.issuers_store import issuer_called
from kronborg.oauth.model import TrustedIssuer
from kronborg.tokens import store
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import InvalidGrant
from kronborg.tokens.model import Grant

LONGEST = timedelta(hours=1)
SKEW = timedelta(seconds=10)
GRANT_LIFETIME = timedelta(hours=24)
"""Longer than any access token lives; there is no refresh token, so that nothing else hangs on such a grant."""
TYPES = ("authorization-grant+jwt", "jwt")
"""RFC 8725 §3.11: no other kind of JWT passes: neither an access token nor a client's authentication has these."""
REFUSED = "the assertion is not one of a trusted issuer for this server, was used before, or names nobody here"


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who an assertion speaks of, and who alone may act for them (`may_act`, RFC 8693 §4.4).

    `user_id` is None for the client itself. `spend` uses the assertion up, once on every node.
    """

    issuer: TrustedIssuer
    user_id: str | None
    auth_time: datetime
    expires_at: datetime
    may_act: JsonValue
    spend: Callable[[Execute], None]


async def read_vouched(engine: Engine, client: Client, text: str, *, now: datetime) -> Vouched:
    """What an assertion says that this client brings. Raises `InvalidGrant`, with one text for every reason."""
    try:
        jwt = _parsed(text)
        issuer = await _issuer(engine, client, jwt)
        verify(jwt, await _keys(engine, issuer, jwt, now=now), types=TYPES)
        expires_at = _check(jwt, issuer, engine.issuer, now=now)
        user_id = await _subject(engine, client, issuer, jwt)
    except BadJwt as error:
        raise InvalidGrant(REFUSED) from error
    digest = hashlib.sha256(f"vouched\n{issuer.issuer}\n{jwt.claims['jti']}".encode()).digest()

    def spend(execute: Execute) -> None:
        if not store.use_assertion(execute, digest, expires_at=expires_at + SKEW):
            raise InvalidGrant(REFUSED)

    auth_time = numeric_date(jwt.claims.get("auth_time")) or now
    return Vouched(issuer, user_id, min(auth_time, now), expires_at, jwt.claims.get("may_act"), spend)


def grant_of(
    client: Client, vouched: Vouched, scopes: tuple[str, ...], audiences: tuple[str, ...], now: datetime
) -> Grant | None:
    """The grant that tokens for the person hang on; None when the client itself is meant. Not stored yet."""
    if vouched.user_id is None:
        return None
    return Grant(
        id=new_id(),
        client_id=client.id,
        user_id=vouched.user_id,
        session_id=None,
        scopes=scopes,
        audiences=audiences,
        auth_time=vouched.auth_time,
        amr=(),
        created_at=now,
        expires_at=now + GRANT_LIFETIME,
        revoked_at=None,
    )


def keep(execute: Execute, grant: Grant, vouched: Vouched, *, now: datetime) -> None:
    """Store the grant of an assertion; part of a unit."""
    store.add_grant(execute, grant)
    detail = {
        "user_id": grant.user_id,
        "client_id": grant.client_id,
        "scope": " ".join(grant.scopes),
        "issuer": vouched.issuer.name,
    }
    record_in(execute, "grant.created", actor=grant.client_id, subject=grant.id, now=now, detail=detail)


def _parsed(text: str) -> Jwt:
    jwt = parse(text)
    # RFC 7515 §4.1.9: `typ` may be left out.
    return jwt if "typ" in jwt.header else Jwt({**jwt.header, "typ": "JWT"}, jwt.claims, jwt.compact)


async def _issuer(engine: Engine, client: Client, jwt: Jwt) -> TrustedIssuer:
    """The issuer of the assertion, if this client may bring its assertions. Raises `BadJwt`."""
    name = jwt.claims.get("iss")
    if not isinstance(name, str) or not 0 < len(name) <= 500 or not name.isprintable():
        raise BadJwt("iss must be text")
    issuer = await issuer_called(engine.database.lookup, name)
    if issuer is None or issuer.name not in client.settings.assertion_issuers:
        raise BadJwt("an issuer that is not trusted")
    return issuer


async def _keys(engine: Engine, issuer: TrustedIssuer, jwt: Jwt, *, now: datetime) -> tuple[PublicKey, ...]:
    if issuer.jwks_uri is None:
        return fetched_keys(issuer.jwks)
    return await published_keys(engine.fetcher, issuer.jwks_uri, now=now, kid=jwt.header.get("kid"))


def _check(jwt: Jwt, issuer: TrustedIssuer, own: str, *, now: datetime) -> datetime:
    """When the assertion expires, its claims being right (RFC 7523 §3). Raises `BadJwt`."""
    claims, jti = jwt.claims, jwt.claims.get("jti")
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    # RFC 7523 §3 item 3: us; alone, so that nobody else it is sent to can bring it here.
    if audience not in (own, f"{own}/oauth/token", *((issuer.audience,) if issuer.audience else ())):
        raise BadJwt("aud must be this server alone")
    if not isinstance(jti, str) or not 0 < len(jti) <= 200 or not jti.isprintable():
        raise BadJwt("jti must be text of at most 200 visible characters")
    expires_at = numeric_date(claims.get("exp"))
    if expires_at is None or not now - SKEW < expires_at <= now + LONGEST + SKEW:
        raise BadJwt("exp must be ahead, by at most an hour")
    for name in ("nbf", "iat"):
        moment = numeric_date(claims.get(name))
        if name in claims and (moment is None or moment > now + SKEW):
            raise BadJwt(f"{name} must not be ahead")
    return expires_at


async def _subject(engine: Engine, client: Client, issuer: TrustedIssuer, jwt: Jwt) -> str | None:
    """The person that `sub` names here; None for the client itself. Raises `BadJwt`."""
    subject = jwt.claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 254 or not subject.isprintable():
        raise BadJwt("sub must be text")
    if issuer.subject == "client":
        if subject != client.id:
            raise BadJwt("sub must be the client")
        return None
    # A username holds no @, so that neither kind of name is taken for the other.
    if (issuer.subject == "email") != ("@" in subject):
        raise BadJwt("sub is another kind of name")
    async with engine.database.read() as session:
        by_id = issuer.subject == "id"
        user = await (find_user(session, subject) if by_id else find_by_login(session, subject))
    if user is None or user.disabled:
        raise BadJwt("nobody here")
    return user.id
