"""Take tokens back: one, a grant, or all of a session, a client, a user, or a user's to one client."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Literal, assert_never

from kronborg.accounts.store import find_user
from kronborg.core import opaque
from kronborg.core.group_writer import Execute
from kronborg.sessions.life import end_session
from kronborg.sessions.store import find_session
from kronborg.tokens import ending, store
from kronborg.tokens.ending import NO_MARGIN
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import access_key
from kronborg.tokens.model import Access
from kronborg.tokens.reference import read_jwt
from kronborg.tokens.refresh import find as find_refresh

REVOKED_BY_ADMINISTRATOR = "revoked_by_administrator"

What = Literal["token", "grant", "session", "client", "user"]


async def revoke_token(engine: Engine, token: str, *, client_id: str, now: datetime) -> None:
    """Revoke a token of this client; any other text is ignored (RFC 7009 §2.2).

    A refresh token takes its grant along, and with it every token of the grant (§2.1).
    """
    await _take_back(engine, token, owner=client_id, actor=client_id, reason="revoked_by_client", now=now)


async def take_back(engine: Engine, kind: What, value: str, *, actor: str, reason: str, now: datetime) -> int | None:
    """Revoke what an administrator names; how many grants ended with it, None when there is nothing such to revoke.

    A session ends in the browser too, and takes what was given for offline access along.
    """
    database = engine.database
    match kind:
        case "token":
            return 0 if await _take_back(engine, value, owner=None, actor=actor, reason=reason, now=now) else None
        case "grant":
            return 1 if await revoke_grant(engine, value, actor=actor, reason=reason, now=now) else None
        case "session":
            grants = await revoke_grants(engine, session_id=value, offline=True, actor=actor, reason=reason, now=now)
            async with database.write() as session:
                found = await find_session(session, value)
                if found is not None:
                    await end_session(session, value, user_id=found.user_id, actor=actor, now=now)
            return grants if found is not None or grants else None
        case "client":
            if await engine.directory.client(value, now=now) is None:
                return None
            return await revoke_client(engine, value, actor=actor, reason=reason, now=now)
        case "user":
            async with database.read() as reading:
                if await find_user(reading, value) is None:
                    return None
            return await revoke_grants(engine, user_id=value, actor=actor, reason=reason, now=now)
        case _:
            assert_never(kind)


async def revoke_access(engine: Engine, access: Access, *, actor: str, now: datetime) -> bool:
    """Revoke one JWT access token until it expires; False when it was revoked before."""
    return await engine.database.writer.run(
        lambda execute: ending.end_token(execute, access.jti, until=access.expires_at, actor=actor, now=now)
    )


async def revoke_grant(engine: Engine, grant_id: str, *, actor: str, reason: str, now: datetime) -> bool:
    """Revoke one grant with all its tokens; False when there is none, or was revoked before."""
    return await engine.database.writer.run(
        partial(ending.end_grant, grant_id=grant_id, actor=actor, reason=reason, now=now)
    )


async def revoke_grants(
    engine: Engine,
    *,
    actor: str,
    reason: str,
    now: datetime,
    client_id: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
    offline: bool = False,
) -> int:
    """Revoke the grants of a user, of a user to a client, or of a session; how many.

    A session leaves what was given for offline access, but with `offline`.
    """

    def unit(execute: Execute) -> int:
        match client_id, user_id, session_id:
            case (None, str(), None):
                return ending.end_user(execute, user_id, actor=actor, reason=reason, now=now)
            case (str(), str(), None):
                return ending.end_grants_to(execute, user_id, client_id, actor=actor, reason=reason, now=now)
            case (None, None, str()):
                return ending.end_session_grants(
                    execute, session_id, actor=actor, reason=reason, now=now, offline=offline
                )
            case _:
                raise ValueError("name a user, a user and a client, or a session")

    return await engine.database.writer.run(unit)


async def revoke_offline(
    engine: Engine, user_id: str, *, given_before: datetime, actor: str, reason: str, now: datetime
) -> int:
    """Revoke what a person gave for offline access before that moment; how many grants."""
    return await engine.database.writer.run(
        partial(ending.end_offline, user_id=user_id, given_before=given_before, actor=actor, reason=reason, now=now)
    )


async def revoke_client(
    engine: Engine,
    client_id: str,
    *,
    actor: str,
    now: datetime,
    reason: str = "client_revoked",
    margin: timedelta = NO_MARGIN,
) -> int:
    """Revoke everything a client holds, its own tokens included; how many grants. `margin`: see `ending.end_client`."""
    return await engine.database.writer.run(
        partial(ending.end_client, client_id=client_id, actor=actor, reason=reason, now=now, margin=margin)
    )


async def _take_back(engine: Engine, token: str, *, owner: str | None, actor: str, reason: str, now: datetime) -> bool:
    """Whether it was a token of `owner` (of anybody without one) that could be revoked."""
    writer = engine.database.writer
    if token.startswith(opaque.REFRESH):
        refresh = await find_refresh(engine, token)
        if refresh is None or owner not in (None, refresh.grant.client_id):
            return False
        return await revoke_grant(engine, refresh.grant.id, actor=actor, reason=reason, now=now)
    if token.startswith(opaque.ACCESS):
        if not opaque.well_formed(token, opaque.ACCESS):
            return False
        digest = access_key(engine.vault, token)
        stored = await store.find_access(engine.database.lookup, digest)
        if stored is None or owner not in (None, stored.client_id):
            return False

        def unit(execute: Execute) -> bool:
            until = stored.expires_at
            return ending.end_reference(execute, digest, stored.jti, until=until, actor=actor, now=now)

        return await writer.run(unit)
    access = await read_jwt(engine, token, now=now)
    if access is None or owner not in (None, access.client_id) or access.expires_at <= now:
        return False
    return await revoke_access(engine, access, actor=actor, now=now)
