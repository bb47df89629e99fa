"""The JWT bearer grant (RFC 7523 §2.1): a client brings what a trusted issuer says of a person, or of the client.

The answer is an access token for an API, on a grant of its own that the person can withdraw. No refresh token (RFC 7521
§4.1): a new assertion takes its place.
"""

from __future__ import annotations

from kronborg.clients.model import BUILT_IN_NAMES, Client
from kronborg.core.group_writer import Execute
from kronborg.oauth.call import Call
from kronborg.oauth.errors import InvalidGrant, InvalidScope, UnauthorizedClient
from kronborg.oauth.grants.client_credentials import roles_of_account
from kronborg.oauth.vouched import REFUSED, grant_of, keep, read_vouched
from kronborg.tokens.audience import check_named, choose, client_grantable, split_scope
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet, fill, order_for_client, order_for_grant
from kronborg.tokens.live import person_behind


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Trade an assertion. Every check comes before it is spent.

    Raises `InvalidGrant`, `InvalidScope`, `InvalidTarget`, `UnauthorizedClient`.
    """
    if client.kind != "confidential":
        raise UnauthorizedClient("the client may not use this grant")
    form, now = call.form, call.now
    check_named(client, form.get("resource"))
    vouched = await read_vouched(engine, client, form.require("assertion"), now=now)
    scope = form.get("scope")
    if scope is not None and BUILT_IN_NAMES & set(split_scope(scope)):
        raise InvalidScope("an assertion gives tokens for APIs: it cannot sign anybody in")
    apis = await engine.directory.apis(now=now)
    whole = client_grantable(client, apis)
    target = choose(whole, apis, userinfo=engine.userinfo, scope=scope, resource=form.get("resource"))
    grant = grant_of(client, vouched, target.scopes, (target.audience,), now)
    if grant is None:
        own = () if client.settings.service_account is None else await roles_of_account(engine, client)
        order = order_for_client(engine, client.id, target, now=now, claims=call.confirmed.cnf, roles=own)
    else:
        person = await person_behind(engine, grant, now=now)
        if person is None:
            raise InvalidGrant(REFUSED)
        # RFC 8693 §4.4: whom the issuer names alone may act, also when the token is traded on.
        named = {} if vouched.may_act is None else {"may_act": vouched.may_act}
        order = order_for_grant(engine, grant, person, target, now=now, claims={**call.confirmed.cnf, **named})

    def unit(execute: Execute) -> None:
        vouched.spend(execute)
        if grant is not None:
            keep(execute, grant, vouched, now=now)
        order.store(execute)

    await engine.database.writer.run(unit)
    return await fill(engine, order, now=now)
