"""The authorization code grant (RFC 6749 §4.1.3, with PKCE)."""

from __future__ import annotations

from kronborg.clients.model import Client
from kronborg.oauth import pkce
from kronborg.oauth.call import Call
from kronborg.oauth.confirmation import bound, check_code
from kronborg.oauth.errors import InvalidGrant
from kronborg.oauth.told_details import with_details
from kronborg.tokens.audience import Grantable, choose, still_grantable
from kronborg.tokens.codes import find_code, redeem, replayed
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet, order_for_grant
from kronborg.tokens.live import person_behind
from kronborg.tokens.signing import check_encryptable


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Trade a code for tokens. Every check comes before the code is spent: a mistaken request costs nothing."""
    form, now = call.form, call.now
    code = await find_code(engine, form.require("code"))
    # RFC 6749 §4.1.3: issued to this very client.
    if code is None or code.grant.client_id != client.id:
        raise InvalidGrant("the code is unknown, expired, or was issued to another client")
    if code.used_at is not None:
        await replayed(engine, code, now=now)
    if code.expires_at <= now:
        raise InvalidGrant("the code is unknown, expired, or was issued to another client")
    # RFC 6749 §4.1.3: required and identical if it was part of the authorization request.
    if form.get("redirect_uri") != code.redirect_uri:
        raise InvalidGrant("redirect_uri differs from the authorization request")
    check_code(code, call)
    pkce.check(form.get("code_verifier"), code.challenge)
    if code.challenge is None and (client.kind == "public" or client.settings.require_pkce):
        raise InvalidGrant("this client needs PKCE")
    person = await person_behind(engine, code.grant, now=now)
    if person is None:
        raise InvalidGrant("the grant does not stand any more")
    apis = await engine.directory.apis(now=now)
    whole = Grantable(code.grant.scopes, code.grant.audiences)
    granted = still_grantable(client, apis, whole, userinfo=engine.userinfo)
    if client.settings.id_token_encrypted_response_alg is not None:
        await check_encryptable(engine, client, now=now)
    # RFC 6749 §4.1.3 knows no scope here; RFC 8707 §2.2 lets resource choose.
    target = choose(granted, apis, userinfo=engine.userinfo, scope=None, resource=form.get("resource"))
    claims = with_details(call.confirmed.cnf, code.grant, client, call, apis, target.audience)
    order = order_for_grant(engine, code.grant, person, target, now=now, claims=claims)
    return await redeem(
        engine,
        code,
        person,
        order,
        with_refresh="refresh_token" in client.grants,
        now=now,
        details=bound(client, call, code.grant.details),
        first=call.confirmed.spend,
    )
