"""API keys and personal access tokens in the admin API. A key is shown in the answer that made it, and never again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field

from kronborg.api_keys import keys, store
from kronborg.api_keys.model import KeyDraft, KeySettings, NewKey
from kronborg.core import clock
from kronborg.core.api import MAX_PAGE, After, Body, Limit, Page, Shown, Text, Uri, Word, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.quantities import Duration
from kronborg.tokens.api import engine_of

router = APIRouter()

KeyId = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z-]+$")]
ClientId = Annotated[str, Path(max_length=2000)]
Words = Annotated[tuple[Word, ...], Field(max_length=100)]


class ShownKey(Shown):
    """A key without its secret."""

    id: str
    kind: Literal["api_key", "personal_token"]
    shown: str
    """How it begins, to be recognised by."""
    name: str
    client_id: str | None
    user_id: str | None
    audiences: tuple[str, ...]
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None
    """To the minute or so."""
    rotated_at: datetime | None


class MadeKey(ShownKey):
    """A new key; `key` is shown this once."""

    key: str


class KeyToMake(Body):
    """A new key."""

    client_id: Uri
    """The client it belongs to."""
    name: Text
    """What it is for."""
    audiences: Annotated[tuple[Uri, ...], Field(min_length=1, max_length=20)]
    """The audience URIs of the APIs that it is good for."""
    scopes: Words = ()
    """What it may, of what the client may ask for."""
    addresses: Annotated[tuple[Word, ...], Field(max_length=20)] = ()
    """The only networks or addresses that it may be used from; any when empty."""
    lifetime: Duration | None = None
    """How long it lasts; the longest that the installation allows when absent."""


@router.get("/api-keys", tags=["api-keys"])
async def read_api_keys(
    request: Request,
    limit: Limit = 100,
    after: After = None,
    client: Annotated[str | None, Query(max_length=2000, description="Only those of this client.")] = None,
    user: Annotated[str | None, Query(max_length=64, description="Only those of the user with this id.")] = None,
) -> Page[ShownKey]:
    """Keys that are not revoked, the newest first; those of one client or one user at once, at most 200."""
    found = await store.list_keys(
        engine_of(request).database.lookup, client_id=client, user_id=user, before=after, limit=limit + 1
    )
    whole_list = client is not None or user is not None
    shown = found[: MAX_PAGE if whole_list else limit]
    more = len(found) > limit and not whole_list
    return Page(items=[ShownKey.model_validate(one) for one in shown], next=shown[-1].id if more else None)


@router.post("/api-keys", status_code=201, tags=["api-keys"], responses=refusals(404, 409, 422))
async def make_api_key(request: Request, body: KeyToMake) -> MadeKey:
    """Make a key of a client; it is shown this once. Personal access tokens are made by their person alone."""
    draft = KeyDraft(body.name, body.audiences, body.scopes, body.addresses, body.lifetime)
    made = await keys.make_for_client(
        engine_of(request),
        body.client_id,
        draft,
        settings_of(request),
        actor=caller_of(request).actor,
        now=clock.now(),
    )
    return _made(made)


@router.get("/api-keys/{key_id}", tags=["api-keys"], responses=refusals(404))
async def read_api_key(request: Request, key_id: KeyId) -> ShownKey:
    """One key."""
    found = await store.find_key(engine_of(request).database.lookup, key_id)
    if found is None or found.revoked_at is not None:
        raise NotFound("there is no key with this id")
    return ShownKey.model_validate(found)


@router.post("/api-keys/{key_id}/rotate", status_code=201, tags=["api-keys"], responses=refusals(404, 409))
async def rotate_api_key(request: Request, key_id: KeyId) -> MadeKey:
    """Make the next key; the old one goes on working for the overlap that the installation allows."""
    actor, now = caller_of(request).actor, clock.now()
    return _made(await keys.rotate(engine_of(request), key_id, settings_of(request), actor=actor, now=now))


@router.delete("/api-keys/{key_id}", status_code=204, tags=["api-keys"], responses=refusals(404))
async def revoke_api_key(request: Request, key_id: KeyId) -> None:
    """End a key at once, a personal access token too; gateways hear of it by the feed."""
    await keys.revoke(engine_of(request), key_id, actor=caller_of(request).actor, now=clock.now())


def settings_of(request: Request) -> KeySettings:
    """What this installation allows."""
    found: KeySettings = request.app.state.key_settings
    return found


def _made(made: NewKey) -> MadeKey:
    shown = ShownKey.model_validate(made.key)
    return MadeKey(**dict(shown), key=made.text)
