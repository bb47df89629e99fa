"""The client credentials grant (RFC 6749 §4.4): a token for the client itself. No refresh token (§4.4.3)."""

from __future__ import annotations

from kronborg.clients.model import Client
from kronborg.oauth.call import Call
from kronborg.oauth.errors import UnauthorizedClient
from kronborg.oauth.told_details import own_details
from kronborg.tokens.audience import check_named
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet, issue_for_client
from kronborg.tokens.live import account_of


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Give an authenticated, confidential client a token for itself."""
    if client.kind != "confidential":
        raise UnauthorizedClient("the client may not use this grant")
    form, now = call.form, call.now
    check_named(client, form.get("resource"))
    apis = await engine.directory.apis(now=now)
    confirmed = call.confirmed
    roles: tuple[str, ...] = ()
    if client.settings.service_account is not None:
        roles = await roles_of_account(engine, client)
    if "authorization_details" in form.values:
        target, told = own_details(engine, client, call, apis)
        claims = {**confirmed.cnf, "authorization_details": told}
        return await issue_for_client(
            engine, client.id, target, now=now, claims=claims, first=confirmed.spend, roles=roles
        )
    scope, resource = form.get("scope"), form.get("resource")
    target = engine.chosen.for_client(client, apis, userinfo=engine.userinfo, scope=scope, resource=resource)
    return await issue_for_client(
        engine, client.id, target, now=now, claims=confirmed.cnf, first=confirmed.spend, roles=roles
    )


async def roles_of_account(engine: Engine, client: Client) -> tuple[str, ...]:
    """The roles of a client's service account. Raises `UnauthorizedClient` when it is gone or disabled."""
    account = await account_of(engine, client)
    if account is None:
        raise UnauthorizedClient("the service account of the client does not exist, or is disabled")
    return account.roles
