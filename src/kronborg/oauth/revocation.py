"""Token revocation (RFC 7009): a client gives a token back."""

from __future__ import annotations

from kronborg.oauth.back_off import Gate
from kronborg.oauth.call import Call
from kronborg.oauth.client_auth import authenticate
from kronborg.tokens.engine import Engine
from kronborg.tokens.revoke import revoke_token


async def revoke(engine: Engine, gate: Gate, call: Call) -> None:
    """Revoke the token if it is the caller's. RFC 7009 §2.2: an unknown token is no error."""
    client = await authenticate(engine, gate, call)
    await revoke_token(engine, call.form.require("token"), client_id=client.id, now=call.now)
