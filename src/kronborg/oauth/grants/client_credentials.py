"""The client credentials grant (RFC 6749 §4.4): a token for the client itself. No refresh token (§4.4.3)."""

from __future__ import annotations

from kronborg.clients.model import Client
from kronborg.oauth.call import Call
from kronborg.oauth.errors import UnauthorizedClient
from kronborg.oauth.told_details import own_details
from kronborg.tokens.audience import check_named
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet, issue_for_client


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Give an authenticated, confidential client a token for itself."""
    if client.kind != "confidential":
        raise UnauthorizedClient("the client may not use this grant")
    form, now = call.form, call.now
    check_named(client, form.get("resource"))
    apis = await engine.directory.apis(now=now)
    confirmed = call.confirmed
    if "authorization_details" in form.values:
        target, told = own_details(engine, client, call, apis)
        claims = {**confirmed.cnf, "authorization_details": told}
        return await issue_for_client(engine, client.id, target, now=now, claims=claims, first=confirmed.spend)
    scope, resource = form.get("scope"), form.get("resource")
    target = engine.chosen.for_client(client, apis, userinfo=engine.userinfo, scope=scope, resource=resource)
    return await issue_for_client(engine, client.id, target, now=now, claims=confirmed.cnf, first=confirmed.spend)
