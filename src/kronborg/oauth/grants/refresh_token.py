"""The refresh token grant (RFC 6749 §6, RFC 9700 §4.14)."""

from __future__ import annotations

from kronborg.clients.model import Client
from kronborg.oauth.call import Call
from kronborg.oauth.confirmation import check_grant
from kronborg.oauth.errors import InvalidGrant
from kronborg.oauth.told_details import with_details
from kronborg.tokens import refresh
from kronborg.tokens.audience import Grantable, choose, still_grantable
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet, order_for_grant
from kronborg.tokens.live import person_behind
from kronborg.tokens.signing import check_encryptable


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Trade a refresh token for an access token and its successor."""
    form, now = call.form, call.now
    text = form.require("refresh_token")
    token = await refresh.find(engine, text)
    # RFC 6749 §6: bound to the client it was issued to.
    if token is None or token.grant.client_id != client.id:
        raise InvalidGrant("the refresh token is unknown, expired, or was issued to another client")
    # Before anything is made of it: without the key that it is bound to, a stolen one does nothing at all.
    check_grant(token.grant, call)
    if token.rotated_at is not None and not refresh.in_grace(token.rotated_at, now=now):
        await refresh.reused(engine, token, now=now)
    if token.expires_at <= now:
        raise InvalidGrant("the refresh token is unknown, expired, or was issued to another client")
    person = await person_behind(engine, token.grant, now=now)
    if person is None:
        raise InvalidGrant("the grant does not stand any more")
    apis = await engine.directory.apis(now=now)
    whole = Grantable(token.grant.scopes, token.grant.audiences)
    granted = still_grantable(client, apis, whole, userinfo=engine.userinfo)
    if client.settings.id_token_encrypted_response_alg is not None:
        await check_encryptable(engine, client, now=now)
    target = choose(granted, apis, userinfo=engine.userinfo, scope=form.get("scope"), resource=form.get("resource"))
    claims = with_details(call.confirmed.cnf, token.grant, client, call, apis, target.audience)
    order = order_for_grant(engine, token.grant, person, target, now=now, claims=claims)
    # FAPI 2.0 SP §5.3.2.1 (9): not rotated where the token is bound to a key or a secret; one rotated before stays so.
    if not client.settings.refresh_token_rotation and token.rotated_at is None:
        return await refresh.keep(engine, token, person, order, now=now, first=call.confirmed.spend)
    return await refresh.rotate(engine, text, token, person, order, now=now, first=call.confirmed.spend)
