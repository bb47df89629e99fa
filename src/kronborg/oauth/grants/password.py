"""The resource owner password credentials grant (RFC 6749 §4.3): legacy, for clients that registered it and no others.

The application sees the password, and a second factor has no place in it (RFC 9700 §2.4). It goes through the very verb
of the sign-in page: one throttle, one answer for unknown, wrong and disabled, and a session that the person sees among
their browsers and can end.
"""

from __future__ import annotations

from typing import assert_never

from kronborg.clients.model import Client
from kronborg.core import opaque
from kronborg.core.errors import TooMany
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.oauth.call import Call
from kronborg.oauth.confirmation import bound
from kronborg.oauth.errors import InvalidGrant, UnsupportedGrantType
from kronborg.oauth.legacy_use import note
from kronborg.oauth.requests import header
from kronborg.sessions.model import MULTI_FACTOR, BrowserSession, Origin
from kronborg.sessions.proof import Proof
from kronborg.signin.finish import SignedIn
from kronborg.signin.journey import Wanted
from kronborg.signin.model import Account
from kronborg.signin.sign_in import Attempt, DirectoryDown, Proved, Throttled, WrongCredentials, sign_in
from kronborg.signin.steps import Seat, is_more_needed
from kronborg.tokens import refresh
from kronborg.tokens.audience import check_named, choose, grantable, split_scope
from kronborg.tokens.codes import add_granted
from kronborg.tokens.engine import Engine
from kronborg.tokens.grant_details import grant_end
from kronborg.tokens.issue import TokenSet, fill, order_for_grant
from kronborg.tokens.live import person_behind
from kronborg.tokens.model import Grant, GrantDetails


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Trade a name and a password. Raises `InvalidGrant`, `InvalidScope`, `InvalidTarget`, `TooMany`, `Overloaded`."""
    form, now = call.form, call.now
    login, password, scope = form.require("username"), form.require("password"), form.get("scope")
    note(client, "password", now=now)
    apis, resource = await engine.directory.apis(now=now), form.get("resource")
    check_named(client, resource)
    scopes, resources = () if scope is None else split_scope(scope), () if resource is None else (resource,)
    whole = grantable(client, apis, userinfo=engine.userinfo, scopes=scopes, resources=resources)
    target = choose(whole, apis, userinfo=engine.userinfo, scope=None, resource=resource)
    settings = client.settings
    kept = GrantDetails(lifetime=settings.refresh_token_lifetime, idle=settings.refresh_token_idle)
    details = bound(client, call, kept)
    session = await _session(engine, client, call, login, password)
    grant = Grant(
        id=new_id(),
        client_id=client.id,
        user_id=session.user_id,
        session_id=session.id,
        scopes=whole.scopes,
        audiences=whole.audiences,
        auth_time=session.auth_time,
        amr=session.amr,
        created_at=now,
        expires_at=grant_end(details, now=now),
        revoked_at=None,
        details=details,
    )
    person = await person_behind(engine, grant, now=now)
    if person is None:
        raise InvalidGrant("the username or the password is wrong")
    order = order_for_grant(engine, grant, person, target, now=now, claims=call.confirmed.cnf)
    text = opaque.mint(opaque.REFRESH) if "refresh_token" in client.grants else None

    def unit(execute: Execute) -> None:
        add_granted(execute, grant, None, now=now)
        order.store(execute)
        if text is not None:
            refresh.add(engine, execute, text, grant, now=now)

    await engine.database.writer.run(unit)
    identity = (grant, person) if "openid" in grant.scopes else None
    return await fill(engine, order, now=now, refresh_token=text, identity=identity)


async def _session(engine: Engine, client: Client, call: Call, login: str, password: str) -> BrowserSession:
    """The session of somebody who knows the password. Raises `InvalidGrant`, `TooMany`, `Overloaded`."""
    if engine.signin is None:
        raise UnsupportedGrantType("people do not sign in to this process")
    agent = (header(call.headers, b"user-agent") or b"").decode("ascii", errors="ignore")
    policy = engine.signin.settings.factors
    seat = Seat("", None, None, call.address, engine.session_idle)
    wanted = Wanted(MULTI_FACTOR if client.settings.require_factors else 0, explicit=True)

    async def missing(proof: Proof, _account: Account | None) -> bool:
        return await is_more_needed(engine.database, engine.vault, policy, proof, wanted, seat, now=call.now)

    outcome = await sign_in(
        engine.database,
        engine.vault,
        engine.signin.passwords,
        engine.signin.settings.throttle,
        Attempt(login=login, password=password, origin=Origin(call.address, agent)),
        session_lifetime=engine.session_absolute,
        now=call.now,
        missing=missing,
    )
    match outcome:
        case SignedIn(begun=begun):
            return begun.session
        case WrongCredentials() | DirectoryDown():
            # RFC 6749 §5.2; one answer for unknown, wrong and disabled.
            raise InvalidGrant("the username or the password is wrong")
        case Throttled(retry_after=wait):
            raise TooMany("too many attempts to sign in", retry_after=wait)
        case Proved():
            # RFC 9700 §2.4: nobody can be asked for a second factor here.
            raise InvalidGrant("the username or the password is wrong")
        case _:
            assert_never(outcome)
