"""The tokens that are brought to an exchange: of which types, and whether they may be traded by whom (RFC 8693 §2.1).

A token may be traded by the resource server it is addressed to (one of the client's `audiences`), and by the client it
was issued to. Anybody else who holds it found it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kronborg.clients.model import Client
from kronborg.core.jose import BadJwt, parse
from kronborg.oauth.call import Call
from kronborg.oauth.delegation import Actor
from kronborg.oauth.errors import InvalidRequest
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Access
from kronborg.tokens.reference import resolve, resolve_jwt

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # the name of a type
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"

# RFC 8693 §2.2.2: whatever is wrong with either token, the error is invalid_request. One text: no oracle.
_NOT_VALID = "the subject_token is not valid, or may not be exchanged by this client"
_NO_ACTOR = "the actor_token is not valid, or may not be used by this client"


async def subject_of(engine: Engine, client: Client, call: Call, token: str, token_type: str) -> Access:
    """What the subject token says. Raises `InvalidRequest`."""
    access = await _read(engine, call, token, token_type)
    if access is None or not _concerns(client, access):
        raise InvalidRequest(_NOT_VALID)
    if access.audience not in client.audiences:
        _check_held(access, call)
    return access


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
