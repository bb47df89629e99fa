"""The authorization details that one access token tells: of those granted, what is asked for and for its API."""

from __future__ import annotations

from kronborg.clients.directory import Apis
from kronborg.clients.model import Client
from kronborg.core.json import JsonObject
from kronborg.oauth.authorization_details import narrowed
from kronborg.oauth.call import Call
from kronborg.tokens.model import Grant
from kronborg.tokens.rich import for_audience


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
