"""Refresh tokens: rotated at each use; reuse ends the family (RFC 9700 §4.14.2).

A grant is a family: one refresh token of it is live at any time. The successor of a token is derived from the token
itself, a random salt stored at its rotation, and a key of the vault; so the same client can be given the same successor
again for 30 s (parallel tabs, a lost answer) as long as nobody has used it (ADR 0013), while nothing in the database
alone leads to it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

from kronborg.core import opaque
from kronborg.core.base64url import b64
from kronborg.core.group_writer import Execute
from kronborg.tokens import store
from kronborg.tokens.ending import end_grant
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import InvalidGrant
from kronborg.tokens.grant_details import idle_end
from kronborg.tokens.issue import Order, TokenSet, fill
from kronborg.tokens.model import REFRESH_GRACE, Grant, RefreshToken, Subject

REFRESH_DIGEST = "refresh-token"
SUCCESSOR = "refresh-successor"


def add(engine: Engine, execute: Execute, text: str, grant: Grant, *, now: datetime) -> None:
    """Store a refresh token of a grant; part of a unit."""
    store.add_refresh(execute, digest_of(engine, text), grant.id, expires_at=idle_end(grant, now=now))


async def find(engine: Engine, text: str) -> RefreshToken | None:
    """The refresh token, rotated and expired ones included; None when there is none such."""
    if not opaque.well_formed(text, opaque.REFRESH):
        return None
    return await store.find_refresh(engine.database.lookup, digest_of(engine, text))


async def rotate(
    engine: Engine,
    text: str,
    token: RefreshToken,
    subject: Subject,
    order: Order,
    *,
    now: datetime,
    first: Callable[[Execute], None] | None = None,
) -> TokenSet:
    """Trade a refresh token that the caller has checked. Raises `InvalidGrant` when the time to do so is over.

    `first` runs first in the same unit.
    """
    fresh_salt = os.urandom(16)

    def unit(execute: Execute) -> str:
        if first is not None:
            first(execute)
        if store.rotate_refresh(execute, token.digest, fresh_salt, now=now):
            successor = _successor(engine, text, fresh_salt)
            add(engine, execute, successor, token.grant, now=now)
        else:
            successor = _unused_successor(engine, execute, text, token, now=now)
        order.store(execute)
        return successor

    successor = await engine.database.writer.run(unit)
    identity = (token.grant, subject) if "openid" in token.grant.scopes else None
    return await fill(engine, order, now=now, refresh_token=successor, identity=identity)


async def keep(
    engine: Engine,
    token: RefreshToken,
    subject: Subject,
    order: Order,
    *,
    now: datetime,
    first: Callable[[Execute], None] | None = None,
) -> TokenSet:
    """Use a refresh token that the caller has checked, and leave it as it is: its idle time begins anew.

    Raises `InvalidGrant` when it was rotated meanwhile. `first` runs first in the same unit.
    """
    expires_at = idle_end(token.grant, now=now)

    def unit(execute: Execute) -> None:
        if first is not None:
            first(execute)
        if not store.extend_refresh(execute, token.digest, expires_at=expires_at):
            raise InvalidGrant("the refresh token was already used")
        order.store(execute)

    await engine.database.writer.run(unit)
    identity = (token.grant, subject) if "openid" in token.grant.scopes else None
    # RFC 6749 §6: without a new refresh token the client goes on with the one it has.
    return await fill(engine, order, now=now, identity=identity)


async def reused(engine: Engine, token: RefreshToken, *, now: datetime) -> None:
    """Answer a token that is known to be rotated too long ago: end its family, and raise `InvalidGrant`."""

    def unit(execute: Execute) -> None:
        _end_family(execute, token, now=now)

    await engine.database.writer.run(unit)


def in_grace(rotated_at: datetime, *, now: datetime) -> bool:
    """Whether a token rotated then still gives its successor."""
    return now - rotated_at < REFRESH_GRACE


def digest_of(engine: Engine, text: str) -> bytes:
    """What is stored of a refresh token."""
    return engine.vault.digest(text, context=REFRESH_DIGEST)


def _unused_successor(engine: Engine, execute: Execute, text: str, token: RefreshToken, *, now: datetime) -> str:
    """The successor of a token rotated a moment ago; otherwise ends the family and raises `InvalidGrant`."""
    rotation = store.rotation_of(execute, token.digest)
    if rotation is not None and in_grace(rotation[0], now=now):
        successor = _successor(engine, text, rotation[1])
        # RFC 9700 §4.14.2: whoever used the successor has it, so nobody who is honest still asks for it.
        if store.rotation_of(execute, digest_of(engine, successor)) is None:
            return successor
    return _end_family(execute, token, now=now)


def _end_family(execute: Execute, token: RefreshToken, *, now: datetime) -> NoReturn:
    client_id = token.grant.client_id
    end_grant(execute, token.grant.id, actor="system", reason="refresh_token_reused", now=now, client_id=client_id)
    raise InvalidGrant("the refresh token was already used")


def _successor(engine: Engine, text: str, salt: bytes) -> str:
    key = engine.vault.digest(text, context=SUCCESSOR)
    return opaque.assemble(opaque.REFRESH, b64(hmac.digest(key, salt, hashlib.sha256)))
