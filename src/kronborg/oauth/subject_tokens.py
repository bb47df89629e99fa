"""The tokens that are brought to an exchange: of which types, and whether they may be traded by whom (RFC 8693 §2.1).

A token may be traded by the resource server it is addressed to (one of the client's `audiences`), and by the client it
was issued to. Anybody else who holds it found it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kronborg.clients.model import Client
from kronborg.core.group_writer import Execute
from kronborg.core.jose import BadJwt, parse
from kronborg.oauth.call import Call
from kronborg.oauth.delegation import Actor
from kronborg.oauth.errors import InvalidGrant, InvalidRequest
from kronborg.oauth.vouched import grant_of, keep, read_vouched
from kronborg.tokens.audience import client_grantable
from kronborg.tokens.engine import Engine
from kronborg.tokens.live import person_behind
from kronborg.tokens.model import Access
from kronborg.tokens.reference import resolve, resolve_jwt

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # the name of a type
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"

# RFC 8693 §2.2.2: whatever is wrong with either token, the error is invalid_request. One text: no oracle.
_NOT_VALID = "the subject_token is not valid, or may not be exchanged by this client"
_NO_ACTOR = "the actor_token is not valid, or may not be used by this client"


@dataclass(frozen=True, slots=True)
class Brought:
    """What a subject token says. `first` runs first in the unit that stores what it is traded for.

    `foreign`: it is an assertion of a trusted issuer, which knows nothing of the scopes of this server.
    """

    access: Access
    foreign: bool = False
    first: Callable[[Execute], None] | None = None


async def subject_of(engine: Engine, client: Client, call: Call, token: str, token_type: str) -> Brought:
    """What the subject token says. Raises `InvalidRequest`."""
    if token_type == JWT and _issuer_of(token) not in (None, engine.issuer):
        return await _foreign(engine, client, call, token)
    access = await _read(engine, call, token, token_type)
    if access is None or not _concerns(client, access):
        raise InvalidRequest(_NOT_VALID)
    if access.audience not in client.audiences:
        _check_held(access, call)
    return Brought(access)


async def actor_of(engine: Engine, client: Client, call: Call, token: str, token_type: str) -> Actor:
    """Who the actor token is about. Raises `InvalidRequest`."""
    access = await _read(engine, call, token, token_type)
    # A token in which somebody acts already proves that somebody, and not its subject, is at work.
    if access is None or not _concerns(client, access) or "act" in access.claims:
        raise InvalidRequest(_NO_ACTOR)
    if access.audience not in client.audiences:
        _check_held(access, call)
    return Actor(access.subject, access.client_id)


async def _read(engine: Engine, call: Call, token: str, token_type: str) -> Access | None:
    if token_type == ACCESS_TOKEN:
        return await resolve(engine, token, now=call.now)
    if token_type == JWT:
        return await resolve_jwt(engine, token, now=call.now) if _issuer_of(token) == engine.issuer else None
    raise InvalidRequest("the type of a token is not supported")


async def _foreign(engine: Engine, client: Client, call: Call, token: str) -> Brought:
    """An assertion of a trusted issuer (RFC 7523 §3) that this client may bring. It gets a grant of its own."""
    try:
        vouched = await read_vouched(engine, client, token, now=call.now)
    except InvalidGrant as refusal:
        # RFC 8693 §2.2.2: whatever is wrong with it, the error is this one.
        raise InvalidRequest(_NOT_VALID) from refusal
    scopes = client_grantable(client, await engine.directory.apis(now=call.now))
    grant = grant_of(client, vouched, scopes.scopes, scopes.audiences, call.now)
    person = None if grant is None else await person_behind(engine, grant, now=call.now)
    # Clocks differ by seconds; a token that is over when it is issued is no use to anybody.
    if grant is None or person is None or vouched.expires_at <= call.now:
        raise InvalidRequest(_NOT_VALID)

    def first(execute: Execute) -> None:
        try:
            vouched.spend(execute)
        except InvalidGrant as refusal:
            raise InvalidRequest(_NOT_VALID) from refusal
        keep(execute, grant, vouched, now=call.now)

    access = Access(
        jti="",
        client_id=vouched.issuer.name,
        subject=person.id,
        grant_id=grant.id,
        session_id=None,
        audience="",
        scopes=(),
        roles=person.roles,
        issued_at=call.now,
        expires_at=vouched.expires_at,
        auth_time=vouched.auth_time,
        claims={} if vouched.may_act is None else {"may_act": vouched.may_act},
    )
    return Brought(access, foreign=True, first=first)


def _issuer_of(token: str) -> object:
    """Who a JWT says to be from; nothing is verified. None for what is no JWT."""
    try:
        return parse(token).claims.get("iss")
    except BadJwt:
        return None


def _concerns(client: Client, access: Access) -> bool:
    return access.audience in client.audiences or access.client_id == client.id


def _check_held(access: Access, call: Call) -> None:
    """Raise `InvalidRequest` unless the caller holds the key that its own token is bound to.

    A resource server that was sent a bound token has checked the proof of its sender (RFC 9449 §7.1, RFC 8705 §3); a
    client with its own token has to prove again, or an exchange would take the binding off a stolen one.
    """
    bound = access.claims.get("cnf")
    if not isinstance(bound, Mapping):
        return
    held = {"jkt": call.confirmed.jkt, "x5t#S256": call.confirmed.x5t}
    if any(held.get(name) != value for name, value in bound.items()):
        raise InvalidRequest(_NOT_VALID)
