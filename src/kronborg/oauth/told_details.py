"""The authorization details that one access token tells: of those granted, what is asked for and for its API."""

from __future__ import annotations

from kronborg.clients.directory import Apis
from kronborg.clients.model import Client
from kronborg.core.json import JsonObject
from kronborg.oauth.authorization_details import narrowed, read_details
from kronborg.oauth.authorize_errors import InvalidAuthorizationDetails
from kronborg.oauth.call import Call
from kronborg.tokens.audience import Grantable, Target, choose, client_grantable
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import Grant
from kronborg.tokens.rich import audiences_of, for_audience


def with_details(claims: JsonObject, grant: Grant, client: Client, call: Call, apis: Apis, audience: str) -> JsonObject:
    """The claims of a token of this grant, with its authorization details if there are any (RFC 9396 §6, §9.1).

    Raises `InvalidAuthorizationDetails` when the call asks for more than was granted.
    """
    granted, asked = grant.details.authorization_details, call.form.get("authorization_details")
    if not granted and asked is None:
        return claims
    # What the client was registered for then, and is not any more, it does not get either.
    types = client.settings.authorization_details_types
    kept = tuple(one for one in granted if one["type"] in types)
    told = for_audience(narrowed(asked, kept, client, apis), audience, apis)
    return {**claims, "authorization_details": told} if told else claims


def own_details(engine: Engine, client: Client, call: Call, apis: Apis) -> tuple[Target, list[JsonObject]]:
    """What a token of a client for itself is for, and the authorization details that it tells (RFC 9396 §6).

    Raises `InvalidAuthorizationDetails`, `InvalidScope`, `InvalidTarget`.
    """
    form = call.form
    if client.settings.unverified:
        # Its types are its own word, and no person is asked.
        raise InvalidAuthorizationDetails("a client that came by itself gets no authorization details for itself")
    details, scope = read_details(form.get("authorization_details"), client, apis), form.get("scope")
    # RFC 9396 §3.1: without a scope the details are all that is asked for.
    own = client_grantable(client, apis) if scope is not None else Grantable((), ())
    meant = tuple(dict.fromkeys((*own.audiences, *audiences_of(details, apis))))
    resource = form.get("resource")
    target = choose(Grantable(own.scopes, meant), apis, userinfo=engine.userinfo, scope=scope, resource=resource)
    told = for_audience(details, target.audience, apis)
    if not told:
        raise InvalidAuthorizationDetails("none of the authorization details is for the resource")
    return target, told
