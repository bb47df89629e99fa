"""The device authorization grant (RFC 8628 §3.4): a device collects what its person allowed elsewhere."""

from __future__ import annotations

from kronborg.clients.model import Client
from kronborg.oauth.call import Call
from kronborg.oauth.waiting import collect
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Trade a device code. Raises `AuthorizationPending`, `SlowDown`, `Denied`, `ExpiredToken`, `InvalidGrant`."""
    return await collect(engine, client, "device", call.form.require("device_code"), call)
