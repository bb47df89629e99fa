"""Token exchange (RFC 8693): a service trades a token it was sent for one that reaches further in the mesh.

What the new token may say is never more than: what its subject's authority holds, what the exchanging client is
registered for, and for another API than the token's own only those of `exchange_audiences`. The authority is the scope
of the token itself for the same API; for another API it is what the person granted (or the subject client is registered
for), since a token of ours is for one API and cannot name the scopes of another.

The new token hangs on the same grant as the one traded, so it falls with it; `act` always names who acts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kronborg.clients.directory import Apis
from kronborg.clients.model import Client
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.ids import token_id
from kronborg.core.json import JsonObject, JsonValue
from kronborg.oauth.call import Call
from kronborg.oauth.delegation import Actor, chain, check_may_act
from kronborg.oauth.errors import InvalidRequest, InvalidScope, InvalidTarget, UnauthorizedClient
from kronborg.oauth.subject_tokens import ACCESS_TOKEN, JWT, Brought, actor_of, subject_of
from kronborg.tokens.audience import Target, check_resource, client_grantable, split_scope
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import TokenSet, fill, order_for_access
from kronborg.tokens.model import Access
from kronborg.tokens.store import find_grant

REQUESTABLE: Final = (ACCESS_TOKEN, JWT)
KEPT = ("acr", "amr", "may_act")
"""What the new token repeats of the one traded: how the person signed in, and who alone may act for them."""


async def exchange(engine: Engine, client: Client, call: Call) -> TokenSet:
    """Trade a subject token. Raises `InvalidRequest`, `InvalidTarget`, `InvalidScope`, `UnauthorizedClient`."""
    form, now = call.form, call.now
    if client.kind != "confidential":
        raise UnauthorizedClient("the client may not use this grant")
    # RFC 8693 §2.1: both are required; so is the type of an actor token, which means nothing without one.
    token, token_type = form.require("subject_token"), form.require("subject_token_type")
    wanted = form.get("requested_token_type") or ACCESS_TOKEN
    if wanted not in REQUESTABLE:
        raise InvalidRequest("requested_token_type is not supported")
    brought = await subject_of(engine, client, call, token, token_type)
    subject = brought.access
    actor = await _actor(engine, client, call)
    check_may_act(subject.claims.get("may_act"), actor, issuer=engine.issuer)
    target = await _target(engine, client, brought, call)
    if wanted == JWT and target.token_format != "jwt":  # noqa: S105  # a format
        raise InvalidRequest("the tokens of this API are not JWTs")
    access = _exchanged(client, subject, target, _claims(subject, actor, target, call), call)
    order = order_for_access(engine, access, target)

    def unit(execute: Execute) -> None:
        if brought.first is not None:
            brought.first(execute)
        order.store(execute)
        detail: JsonObject = {
            "client_id": client.id,
            "subject_client": subject.client_id,
            "actor": actor.subject,
            "grant_id": subject.grant_id,
            "audience": target.audience,
            "scope": " ".join(target.scopes),
            "jti": access.jti,
        }
        record_in(execute, "token.exchanged", actor=actor.subject, subject=subject.subject, now=now, detail=detail)

    await engine.database.writer.run(unit)
    told = await fill(engine, order, now=now)
    # RFC 8693 §2.2.1: required.
    return replace(told, more={**told.more, "issued_token_type": wanted})


async def _actor(engine: Engine, client: Client, call: Call) -> Actor:
    """Who acts: the subject of the actor token, or the client itself where it may impersonate."""
    token, token_type = call.form.get("actor_token"), call.form.get("actor_token_type")
    if (token is None) != (token_type is None):
        # RFC 8693 §2.1: the type is required with an actor token, and must not be there without one.
        raise InvalidRequest("actor_token and actor_token_type come together")
    if token is not None and token_type is not None:
        return await actor_of(engine, client, call, token, token_type)
    if not client.settings.may_impersonate:
        raise InvalidRequest("the actor_token is missing: the client may not impersonate")
    return Actor(client.id, client.id)


async def _target(engine: Engine, client: Client, brought: Brought, call: Call) -> Target:
    """The API and the scopes of the new token."""
    subject = brought.access
    apis, asked = await engine.directory.apis(now=call.now), call.form.get("scope")
    scopes = None if asked is None else split_scope(asked)
    audience = _audience(apis, subject, call, scopes)
    api = apis.by_audience.get(audience)
    if api is None:
        raise InvalidTarget("the audience is not an API that tokens can be exchanged for")
    if audience == subject.audience:
        authority = subject.scopes
    elif audience in client.settings.exchange_audiences:
        # An assertion says who the person is, and nothing of what is allowed: that is up to the client alone.
        authority = client.scopes if brought.foreign else await _authority(engine, apis, subject, call)
    else:
        raise InvalidTarget("the client may not exchange tokens for this audience")
    allowed = tuple(scope for scope in authority if scope in client.scopes and scope in api.scope_names)
    if scopes is not None and not set(scopes) <= set(allowed):
        raise InvalidScope("the scope is wider than what the subject and the client may have")
    wanted, settings = allowed if scopes is None else scopes, api.settings
    return Target(audience, wanted, api.token_format, api.token_lifetime, settings.status_list, settings)


def _audience(apis: Apis, subject: Access, call: Call, scopes: tuple[str, ...] | None) -> str:
    """Which API is asked for: by `audience` or `resource`, else by the scopes, else that of the subject token."""
    if "audience" in call.form.several:
        raise InvalidTarget("an access token is for one audience: ask for one at a time")
    audience, resource = call.form.get("audience"), call.form.get("resource")
    if resource is not None:
        check_resource(resource)
        if audience not in (None, resource):
            raise InvalidTarget("audience and resource name two targets: ask for one at a time")
    named = audience or resource
    if named is not None:
        return named
    owners = {apis.by_scope[scope].audience for scope in scopes or () if scope in apis.by_scope}
    return owners.pop() if len(owners) == 1 else subject.audience


async def _authority(engine: Engine, apis: Apis, subject: Access, call: Call) -> tuple[str, ...]:
    """Every scope that stands behind a token: what the person granted, or what the client may have for itself."""
    if subject.grant_id is not None:
        grant = await find_grant(engine.database.lookup, subject.grant_id)
        holder = None if grant is None else await engine.directory.client(grant.client_id, now=call.now)
        # What was taken away from the client that it was granted to, nobody gets by way of it.
        return () if grant is None or holder is None else tuple(s for s in grant.scopes if s in holder.scopes)
    client = await engine.directory.client(subject.subject, now=call.now)
    return () if client is None else client_grantable(client, apis).scopes


def _claims(subject: Access, actor: Actor, target: Target, call: Call) -> dict[str, JsonValue]:
    claims: dict[str, JsonValue] = {name: subject.claims[name] for name in KEPT if name in subject.claims}
    if "authorization_details" in subject.claims and target.audience == subject.audience:
        claims["authorization_details"] = subject.claims["authorization_details"]
    claims["act"] = chain(actor, subject.claims.get("act"))
    claims.update(call.confirmed.cnf)
    return claims


def _exchanged(client: Client, subject: Access, target: Target, claims: dict[str, JsonValue], call: Call) -> Access:
    if subject.grant_id is None:
        # A reference token keeps no subject of its own: without a grant it is the client's, unless it says otherwise.
        claims["sub"] = subject.subject
    return Access(
        jti=token_id(),
        client_id=client.id,
        subject=subject.subject,
        grant_id=subject.grant_id,
        session_id=subject.session_id,
        audience=target.audience,
        scopes=target.scopes,
        roles=subject.roles,
        issued_at=call.now,
        # Never beyond the token that was traded.
        expires_at=min(call.now + target.lifetime, subject.expires_at),
        auth_time=subject.auth_time,
        claims=claims,
    )
