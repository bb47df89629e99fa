"""The token endpoint (RFC 6749 §3.2): who calls, which grant, then the grant does the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from kronborg.clients.model import Client
from kronborg.core.json import JsonValue
from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.client_auth import authenticate, require_grant
from kronborg.oauth.confirmation import confirm
from kronborg.oauth.endpoint import Answer, Encoded
from kronborg.oauth.errors import InvalidTarget, UnsupportedGrantType
from kronborg.oauth.grants import (
    authorization_code,
    ciba,
    client_credentials,
    device_code,
    jwt_bearer,
    password,
    refresh_token,
    token_exchange,
)
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet

Exchange = Callable[[Engine, Client, Call], Awaitable[TokenSet]]

GRANTS: Final[dict[str, Exchange]] = {
    "authorization_code": authorization_code.exchange,
    "refresh_token": refresh_token.exchange,
    "client_credentials": client_credentials.exchange,
    "urn:ietf:params:oauth:grant-type:device_code": device_code.exchange,
    "urn:ietf:params:oauth:grant-type:token-exchange": token_exchange.exchange,
    "urn:ietf:params:oauth:grant-type:jwt-bearer": jwt_bearer.exchange,
    "urn:openid:params:grant-type:ciba": ciba.exchange,
    "password": password.exchange,
}


SPENDERS: Final = frozenset({"authorization_code", "refresh_token", "client_credentials"})
"""The grants that use a DPoP proof up in the unit that stores their tokens; for the others it is done beforehand."""


async def token(engine: Engine, gate: Gate, call: Call) -> Answer:
    """The answer of the token endpoint. Raises `OAuthError`, `TooMany`, `Overloaded`."""
    client = await authenticate(engine, gate, call)
    if client.settings.unverified:
        await engine.directory.note_use(client, now=call.now)
    grant_type = call.form.require("grant_type")
    exchange = GRANTS.get(grant_type)
    if exchange is None:
        raise UnsupportedGrantType("the grant type is not supported")
    require_grant(client, grant_type)
    # RFC 8707 §2.2 allows several; a token of ours has one audience.
    if "resource" in call.form.several:
        raise InvalidTarget("an access token is for one resource: ask for one at a time")
    call = await confirm(engine, client, call)
    confirmed = call.confirmed
    if confirmed.spend is not None and grant_type not in SPENDERS:
        await engine.database.writer.run(confirmed.spend)
    tokens = await exchange(engine, client, call)
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
    if confirmed.nonce is not None:
        # RFC 9449 §8.2: a fresh one for the next request.
        return Encoded(orjson.dumps(answer), b"application/json", ((b"dpop-nonce", confirmed.nonce.encode()),))
    return answer
