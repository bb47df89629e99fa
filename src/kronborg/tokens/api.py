"""Keys in the admin API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field, JsonValue, StringConstraints

from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, caller_of, refusals
from kronborg.core.errors import Invalid, Problem
from kronborg.core.jose import BadKey
from kronborg.core.jws import MAX_IMPORT, Line
from kronborg.core.parts import part_of
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import StoredKey

router = APIRouter()


class ShownKey(Shown):
    """A key, its public part."""

    id: str
    alg: Annotated[Line, Field(validation_alias="line")]
    """The algorithm; `ECDH-ES` for the key that others encrypt to."""
    state: Literal["next", "active", "retiring"]
    public_jwk: dict[str, JsonValue]
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None


class Rotation(Body):
    """How to rotate, and what: every signing key when no algorithm is named.

    `compromised`: believe nothing the old key signed, from now on.
    """

    compromised: bool = False
    alg: Line | None = None


class ImportedKey(Body):
    """A private key to sign with next: PEM without a passphrase, or a JWK as text."""

    alg: Line
    key: Annotated[str, StringConstraints(max_length=MAX_IMPORT)]


def engine_of(request: Request) -> Engine:
    """The engine of the app that serves this request."""
    return part_of(request, "engine", Engine)


def _page(keys: tuple[StoredKey, ...]) -> Page[ShownKey]:
    return Page(items=[ShownKey.model_validate(key) for key in keys], next=None)


@router.get("/keys", tags=["keys"])
async def read_keys(request: Request) -> Page[ShownKey]:
    """Every key, oldest first."""
    return _page(await engine_of(request).keys.stored())


@router.post("/keys/rotate", tags=["keys"], responses=refusals(422))
async def rotate_keys(request: Request, body: Rotation) -> Page[ShownKey]:
    """Sign with the next key from now on; the old one stays published until what it signed has expired."""
    ring, actor = engine_of(request).keys, caller_of(request).actor
    await ring.rotate(now=clock.now(), force=True, compromised=body.compromised, line=body.alg, actor=actor)
    return _page(await ring.stored())


@router.post("/keys/import", tags=["keys"], responses=refusals(409, 422))
async def import_key(request: Request, body: ImportedKey) -> ShownKey:
    """Bring a private key: it is published as the next one of its algorithm, and signs after the next rotation."""
    try:
        key = await engine_of(request).keys.bring(body.key, body.alg, actor=caller_of(request).actor, now=clock.now())
    except BadKey as wrong:
        raise Invalid(Problem("key", str(wrong))) from None
    return ShownKey.model_validate(key)


@router.post("/keys/{key_id}/revoke", tags=["keys"], responses=refusals(404, 422))
async def revoke_key(request: Request, key_id: str) -> Page[ShownKey]:
    """Believe nothing that this key signed, from now on; an active one makes way for the next."""
    ring = engine_of(request).keys
    await ring.revoke(key_id, actor=caller_of(request).actor, now=clock.now())
    return _page(await ring.stored())
