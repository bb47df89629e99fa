"""Signing keys in the admin API."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import JsonValue

from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, caller_of, refusals
from kronborg.core.events import record
from kronborg.core.parts import parts_of
from kronborg.tokens.engine import Engine
from kronborg.tokens.model import StoredKey

router = APIRouter()


class ShownKey(Shown):
    """A signing key, its public part."""

    id: str
    state: Literal["next", "active", "retiring"]
    public_jwk: dict[str, JsonValue]
    created_at: datetime
    activated_at: datetime | None
    retired_at: datetime | None


class Rotation(Body):
    """How to rotate. `compromised`: believe nothing the old key signed, from now on."""

    compromised: bool = False


def _engine(request: Request) -> Engine:
    engine = request.app.state.engine
    if not isinstance(engine, Engine):
        raise TypeError("app.state.engine is not set by the composition root")
    return engine


def _page(keys: tuple[StoredKey, ...]) -> Page[ShownKey]:
    return Page(items=[ShownKey.model_validate(key) for key in keys], next=None)


@router.get("/keys", tags=["keys"])
async def read_keys(request: Request) -> Page[ShownKey]:
    """Signing keys, oldest first."""
    return _page(await _engine(request).keys.stored())


@router.post("/keys/rotate", tags=["keys"], responses=refusals(422))
async def rotate_keys(request: Request, body: Rotation) -> Page[ShownKey]:
    """Sign with the next key from now on; the old one stays published until what it signed has expired."""
    ring = _engine(request).keys
    await ring.rotate(now=clock.now(), force=True, compromised=body.compromised)
    async with parts_of(request).database.write() as session:
        actor = caller_of(request).actor
        detail = {"compromised": body.compromised}
        await record(session, "key.rotation_asked", actor=actor, subject="", now=clock.now(), detail=detail)
    return _page(await ring.stored())
