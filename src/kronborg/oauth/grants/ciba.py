"""The CIBA grant (CIBA §10.1): a client collects what its person allowed under `/account/requests`."""

from __future__ import annotations

from kronborg.clients.model import Client
from kronborg.oauth.call import Call
from kronborg.oauth.errors import UnauthorizedClient
from kronborg.oauth.waiting import collect
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Trade an `auth_req_id`. Raises `AuthorizationPending`, `SlowDown`, `Denied`, `ExpiredToken`, `InvalidGrant`."""
    # CIBA §10.1: clients that are sent their tokens do not ask for them.
    delivery = client.settings.backchannel_token_delivery_mode
    if delivery == "push":
        raise UnauthorizedClient("this client is sent its tokens, and may not ask for them")
    return await collect(engine, client, "ciba", call.form.require("auth_req_id"), call)
