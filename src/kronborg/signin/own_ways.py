"""Whether somebody can sign in without any identity provider."""

from __future__ import annotations

from kronborg.core.db import ReadSession
from kronborg.factors.store import list_passkeys
from kronborg.signin.store import read_password


async def has_own_way(session: ReadSession, user_id: str) -> bool:
    """Whether there is a password or a passkey."""
    return await read_password(session, user_id) is not None or bool(await list_passkeys(session, user_id))
