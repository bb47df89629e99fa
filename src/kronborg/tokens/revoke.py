"""Take tokens back: one, a grant, or all of a session, a client, a user, or a user's to one client."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from kronborg.core import opaque
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.tokens import store
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import ACCESS_DIGEST
from kronborg.tokens.model import Access
from kronborg.tokens.reference import read_jwt
from kronborg.tokens.refresh import find as find_refresh


async def revoke_token(engine: Engine, token: str, *, client_id: str, now: datetime) -> None:
    """Revoke a token of this client; any other text is ignored (RFC 7009 §2.2).

    A refresh token takes its grant along, and with it every token of the grant (§2.1).
    """
    if token.startswith(opaque.REFRESH):
        refresh = await find_refresh(engine, token)
        if refresh is not None and refresh.grant.client_id == client_id:
            await revoke_grant(engine, refresh.grant.id, actor=client_id, reason="revoked_by_client", now=now)
        return
    if token.startswith(opaque.ACCESS):
        digest = engine.vault.digest(token, context=ACCESS_DIGEST)
        stored = await store.find_access(engine.database.lookup, digest)
        if stored is not None and stored.client_id == client_id:
            await engine.database.writer.run(
                lambda execute: _told(execute, store.drop_access(execute, digest), stored.jti, client_id, now)
            )
        return
    access = await read_jwt(engine, token, now=now)
    if access is not None and access.client_id == client_id and access.expires_at > now:
        await revoke_access(engine, access, actor=client_id, now=now)


async def revoke_access(engine: Engine, access: Access, *, actor: str, now: datetime) -> None:
    """Revoke one JWT access token until it expires."""
    await engine.database.writer.run(
        lambda execute: _told(
            execute, store.revoke_jti(execute, access.jti, expires_at=access.expires_at), access.jti, actor, now
        )
    )


async def revoke_grant(engine: Engine, grant_id: str, *, actor: str, reason: str, now: datetime) -> bool:
    """Revoke one grant with all its tokens; False when there is none, or was revoked before."""

    def unit(execute: Execute) -> bool:
        revoked = store.revoke_grant(execute, grant_id, now=now)
        if revoked:
            _tell(execute, (grant_id,), actor, reason, now)
        return revoked

    return await engine.database.writer.run(unit)


async def revoke_grants(
    engine: Engine,
    *,
    actor: str,
    reason: str,
    now: datetime,
    client_id: str | None = None,
    user_id: str | None = None,
    session_id: str | None = None,
) -> int:
    """Revoke the grants of a client, a user, a user to a client, or a session (but not offline ones); how many."""

    def unit(execute: Execute) -> int:
        revoked = store.revoke_grants(execute, now=now, client_id=client_id, user_id=user_id, session_id=session_id)
        _tell(execute, revoked, actor, reason, now)
        return len(revoked)

    return await engine.database.writer.run(unit)


async def revoke_client(engine: Engine, client_id: str, *, actor: str, now: datetime) -> int:
    """Revoke everything a client holds, its own tokens included; how many grants."""

    def unit(execute: Execute) -> int:
        store.cut_off(execute, client_id, now=now)
        revoked = store.revoke_grants(execute, now=now, client_id=client_id)
        _tell(execute, revoked, actor, "client_revoked", now)
        record_in(execute, "client.tokens_revoked", actor=actor, subject=client_id, now=now)
        return len(revoked)

    return await engine.database.writer.run(unit)


async def clean(engine: Engine, *, now: datetime) -> int:
    """Delete rows that expired; how many. For the worker, each minute: it deletes a bounded batch of each kind."""
    deleted = 0
    for what in store.CLEANABLE:
        deleted += await engine.database.writer.run(partial(store.clean, what=what, before=now))
    return deleted


def _told(execute: Execute, revoked: bool, jti: str, actor: str, now: datetime) -> None:
    if revoked:
        record_in(execute, "token.revoked", actor=actor, subject=jti, now=now)


def _tell(execute: Execute, grants: tuple[str, ...], actor: str, reason: str, now: datetime) -> None:
    for grant_id in grants:
        record_in(execute, "grant.revoked", actor=actor, subject=grant_id, now=now, detail={"reason": reason})
