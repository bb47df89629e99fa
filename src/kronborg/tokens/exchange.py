"""Phantom tokens: the gateway trades a reference token for a short JWT that says the same."""

from __future__ import annotations

from datetime import datetime

from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import internal
from kronborg.tokens.model import InternalJwt
from kronborg.tokens.reference import resolve_reference


async def exchange(engine: Engine, token: str, *, now: datetime) -> InternalJwt | None:
    """A JWT of at most 60 s with the audience, scope, subject, client and roles of a reference token.

    None when the token is not one of ours or is not valid at this moment. For the gateway only.
    """
    access = await resolve_reference(engine, token, now=now)
    return None if access is None else await internal(engine, access, now=now)
