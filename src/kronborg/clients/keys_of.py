"""The public keys of a client: registered with it (`jwks`), or fetched from where it publishes them (`jwks_uri`).

What verifies something a client signed, or encrypts something to it, asks here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from kronborg.clients.check import registered_keys
from kronborg.clients.model import Client
from kronborg.core.fetch import Fetcher, Unreachable
from kronborg.core.jose import BadKey, PublicKey, public_key
from kronborg.core.json import JsonObject

MAX_FETCHED = 50
"""Keys of a fetched set that are looked at."""
ACCEPT = ("application/json", "application/jwk-set+json")


async def jwks_of(fetcher: Fetcher, client: Client, *, now: datetime, renew: bool = False) -> JsonObject | None:
    """The JWK set of a client as it is; None when it has none, or when what it publishes cannot be had.

    `renew` fetches a published set again, at most every half minute.
    """
    return await jwks_in(fetcher, client.jwks, client.settings.jwks_uri, now=now, renew=renew)


async def jwks_in(
    fetcher: Fetcher, jwks: JsonObject | None, uri: str | None, *, now: datetime, renew: bool = False
) -> JsonObject | None:
    """The same of a registered set or the address of a published one."""
    if uri is None:
        return jwks
    try:
        return await fetcher.document(uri, accept=ACCEPT, now=now, renew=renew)
    except Unreachable:
        return None


async def keys_of(fetcher: Fetcher, client: Client, *, now: datetime, kid: object = None) -> tuple[PublicKey, ...]:
    """The keys that verify what this client signed; none when it has none.

    With `kid`, the name of a key in a JWS header, a published set that lacks it is fetched once more: keys are rotated
    so. That name is never a place to look at (RFC 8725 §3.10).
    """
    if client.settings.jwks_uri is None:
        if client.jwks is None:
            return ()
        try:
            return registered_keys(client.jwks)
        except BadKey:
            return ()
    return await published_keys(fetcher, client.settings.jwks_uri, now=now, kid=kid)


async def published_keys(fetcher: Fetcher, uri: str, *, now: datetime, kid: object = None) -> tuple[PublicKey, ...]:
    """The same of a set that somebody publishes there."""
    keys = fetched_keys(await jwks_in(fetcher, None, uri, now=now))
    if isinstance(kid, str) and all(key.kid != kid for key in keys):
        keys = fetched_keys(await jwks_in(fetcher, None, uri, now=now, renew=True))
    return keys


def fetched_keys(jwks: JsonObject | None) -> tuple[PublicKey, ...]:
    """The keys of a published set that we take; the others are passed over (RFC 7517 §5)."""
    members = None if jwks is None else jwks.get("keys")
    if not isinstance(members, (list, tuple)):
        return ()
    keys = []
    for member in members[:MAX_FETCHED]:
        if isinstance(member, Mapping):
            try:
                keys.append(public_key(member))
            except BadKey:
                continue
    return tuple(keys)
