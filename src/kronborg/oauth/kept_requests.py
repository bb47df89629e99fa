"""Authorization requests that are kept here: named by a reference that only their client and its user know.

Pushed by the client (RFC 9126), fetched from it (RFC 9101 §5.2), or too particular to be repeated by a browser. A
reference is bound to its client, may be begun for a short time, and is used up when the client has its answer; until
then sign-in and consent come back to it as often as it takes (RFC 9126 §4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from kronborg.clients.model import Client
from kronborg.core.group_writer import Execute
from kronborg.core.ids import random_token
from kronborg.oauth.asked import LIFETIME as PATIENCE
from kronborg.oauth.authorize_errors import InvalidRequestUri
from kronborg.oauth.authorize_request import MAX_KEPT, AuthorizeRequest
from kronborg.oauth.errors import InvalidRequest
from kronborg.oauth.request_store import (
    KeptOrigin,
    KeptRequest,
    add_request,
    clean_requests,
    find_request,
    hold_request,
    use_request,
)
from kronborg.tokens.engine import Engine

PREFIX = "urn:ietf:params:oauth:request_uri:"
LIFETIME = timedelta(seconds=60)
"""How long a reference may be begun, unless its client has another setting (RFC 9126 §2.2)."""

_REFERENCE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}", re.ASCII)
_DIGEST = "authorization-request"


def is_reference(uri: str) -> bool:
    """Whether this names a request that is kept here, by its looks."""
    return uri.startswith(PREFIX)


def lifetime_of(client: Client) -> timedelta:
    """How long the references of a client may be begun."""
    seconds = client.settings.pushed_request_lifetime
    return LIFETIME if seconds is None else timedelta(seconds=seconds)


async def keep(
    engine: Engine,
    client: Client,
    request: AuthorizeRequest,
    *,
    origin: KeptOrigin,
    signed: bool,
    jkt: str | None = None,
    now: datetime,
) -> str:
    """Keep a request that was checked; its reference. Raises `InvalidRequest` when it is too large."""
    parameters = request.query()
    if len(parameters) > MAX_KEPT:
        raise InvalidRequest("the request is too large")
    reference = f"{PREFIX}{random_token()}"
    expires_at = now + lifetime_of(client)
    kept = KeptRequest(digest_of(engine, reference), client.id, origin, signed, parameters, jkt, expires_at)
    await engine.database.writer.run(partial(_add, kept))
    return reference


async def find(engine: Engine, client: Client, reference: str) -> KeptRequest | None:
    """The request behind a reference of this client, used and expired ones included."""
    if not _REFERENCE.fullmatch(reference):
        return None
    kept = await find_request(engine.database.lookup, digest_of(engine, reference))
    # RFC 9126 §2.2: bound to the client that pushed it.
    return kept if kept is not None and kept.client_id == client.id else None


def unless_used(digest: bytes, *, now: datetime) -> Callable[[Execute], None]:
    """For the unit that answers the client: spends the reference. Raises `InvalidRequestUri` when it was spent."""

    def check(execute: Execute) -> None:
        # RFC 9126 §7.3: of two answers at the same moment, one wins.
        if not use_request(execute, digest, now=now):
            raise InvalidRequestUri("the request_uri was already used")

    return check


async def spend(engine: Engine, digest: bytes, *, now: datetime) -> None:
    """Spend a reference whose client is told no; nothing more when it was spent before."""

    def unit(execute: Execute) -> None:
        use_request(execute, digest, now=now)

    await engine.database.writer.run(unit)


async def hold(engine: Engine, digest: bytes, *, now: datetime) -> None:
    """Keep a request whose user is asked because of it: until then it goes when it can no longer be begun.

    Whoever only pushes, and a public client may be anybody, fills the table for a minute and not for an hour.
    """
    until = now + PATIENCE
    await engine.database.writer.run(lambda execute: hold_request(execute, digest, until=until))


async def clean(engine: Engine, *, now: datetime) -> int:
    """Delete a batch of requests that nobody can come back to any more; how many. For the worker."""
    return await engine.database.writer.run(partial(clean_requests, before=now))


def _add(kept: KeptRequest, execute: Execute) -> None:
    add_request(execute, kept)


def digest_of(engine: Engine, reference: str) -> bytes:
    """What is stored of a reference."""
    return engine.vault.digest(reference, context=_DIGEST)
