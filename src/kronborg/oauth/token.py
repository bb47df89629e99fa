"""The token endpoint (RFC 6749 §3.2): who calls, which grant, then the grant does the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from kronborg.clients.model import Client
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.client_auth import authenticate, require_grant
from kronborg.oauth.confirmation import confirm
from kronborg.oauth.errors import InvalidTarget, UnsupportedGrantType
from kronborg.oauth.grants import authorization_code, client_credentials, refresh_token
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet

Exchange = Callable[[Engine, Client, Call], Awaitable[TokenSet]]

GRANTS: Final[dict[str, Exchange]] = {
    "authorization_code": authorization_code.exchange,
    "refresh_token": refresh_token.exchange,
    "client_credentials": client_credentials.exchange,
}


async def token(engine: Engine, gate: Gate, call: Call) -> JsonObject:
    """The answer of the token endpoint. Raises `OAuthError`, `TooMany`, `Overloaded`."""
    client = await authenticate(engine, gate, call)
    grant_type = call.form.require("grant_type")
    exchange = GRANTS.get(grant_type)
    if exchange is None:
        raise UnsupportedGrantType("the grant type is not supported")
    require_grant(client, grant_type)
    # RFC 8707 §2.2 allows several; a token of ours has one audience.
    if "resource" in call.form.several:
        raise InvalidTarget("an access token is for one resource: ask for one at a time")
    tokens = await exchange(engine, client, await confirm(engine, client, call))
    answer: dict[str, JsonValue] = {
        "access_token": tokens.access_token,
        "token_type": tokens.token_type,
        "expires_in": tokens.expires_in,
        "scope": tokens.scope,
    }
    if tokens.refresh_token is not None:
        answer["refresh_token"] = tokens.refresh_token
    if tokens.id_token is not None:
        answer["id_token"] = tokens.id_token
    if tokens.more:
        answer.update(tokens.more)
    return answer
