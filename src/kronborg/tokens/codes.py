"""Authorization codes: made for the authorization endpoint, spent once at the token endpoint (RFC 6749 §4.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from kronborg.core import opaque
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.tokens import refresh, store
from kronborg.tokens.ending import end_grant
from kronborg.tokens.engine import Engine
from kronborg.tokens.errors import InvalidGrant
from kronborg.tokens.grant_details import grant_end
from kronborg.tokens.issue import Order, TokenSet, fill
from kronborg.tokens.model import CODE_LIFETIME, Authorization, Code, Grant, GrantDetails, Subject

CODE_DIGEST = "authorization-code"


async def create_code(
    engine: Engine, authorization: Authorization, *, now: datetime, check: Callable[[Execute], None] | None = None
) -> str:
    """Store what a person allowed and return the code for it: one client, one use, 60 s.

    `check` runs first in the same unit, and raises a `Refusal` when the code may not be made after all.
    """
    text = opaque.mint(opaque.CODE)
    grant = grant_of(authorization, expires_at=grant_end(authorization.details, now=now), now=now)
    code = code_of(engine, text, grant, authorization, now=now)

    def unit(execute: Execute) -> None:
        if check is not None:
            check(execute)
        add_granted(execute, grant, code, now=now)

    await engine.database.writer.run(unit)
    return text


def grant_of(authorization: Authorization, *, expires_at: datetime, now: datetime) -> Grant:
    """The grant of an authorization; not stored yet."""
    return Grant(
        id=new_id(),
        client_id=authorization.client_id,
        user_id=authorization.user_id,
        session_id=authorization.session_id,
        scopes=authorization.scopes,
        audiences=authorization.audiences,
        auth_time=authorization.auth_time,
        amr=authorization.amr,
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        details=authorization.details,
    )


def code_of(engine: Engine, text: str, grant: Grant, authorization: Authorization, *, now: datetime) -> Code:
    """The code of an authorization, by its text; not stored yet."""
    return Code(
        digest=_digest(engine, text),
        grant=grant,
        redirect_uri=authorization.redirect_uri,
        challenge=authorization.challenge,
        nonce=authorization.nonce,
        expires_at=now + CODE_LIFETIME,
        used_at=None,
        jkt=authorization.jkt,
    )


def add_granted(execute: Execute, grant: Grant, code: Code | None, *, now: datetime) -> None:
    """Store a grant, and the code for it if there is one; part of a unit."""
    store.add_grant(execute, grant)
    if code is not None:
        store.add_code(execute, code)
    detail = {"user_id": grant.user_id, "client_id": grant.client_id, "scope": " ".join(grant.scopes)}
    record_in(execute, "grant.created", actor=grant.user_id, subject=grant.id, now=now, detail=detail)


async def find_code(engine: Engine, text: str) -> Code | None:
    """The code, used and expired ones included; None when there is none such."""
    if not opaque.well_formed(text, opaque.CODE):
        return None
    return await store.find_code(engine.database.lookup, _digest(engine, text))


async def redeem(
    engine: Engine,
    code: Code,
    subject: Subject,
    order: Order,
    *,
    with_refresh: bool,
    now: datetime,
    details: GrantDetails,
    first: Callable[[Execute], None] | None = None,
) -> TokenSet:
    """Spend a code that the caller has checked in every respect. Raises `InvalidGrant` when it was used before.

    `details` are those that the grant has from now on. `first` runs first in the same unit.
    """
    grant = code.grant if details == code.grant.details else replace(code.grant, details=details)
    successor = opaque.mint(opaque.REFRESH) if with_refresh else None

    def unit(execute: Execute) -> None:
        if first is not None:
            first(execute)
        if not store.redeem_code(execute, code.digest, now=now):
            refuse_replay(execute, code, now=now)
        if grant is not code.grant:
            store.set_details(execute, grant)
        order.store(execute)
        if successor is not None:
            refresh.add(engine, execute, successor, grant, now=now)

    await engine.database.writer.run(unit)
    identity = (grant, subject) if "openid" in grant.scopes else None
    return await fill(engine, order, now=now, refresh_token=successor, identity=identity, nonce=code.nonce)


async def replayed(engine: Engine, code: Code, *, now: datetime) -> None:
    """Answer the replay of a code that is known to be used: revoke what it gave, and raise `InvalidGrant`."""
    await engine.database.writer.run(lambda execute: refuse_replay(execute, code, now=now))


def refuse_replay(execute: Execute, code: Code, *, now: datetime) -> None:
    """Revoke the grant of a used code. Raises `InvalidGrant`, always."""
    # RFC 6749 §4.1.2: a second use suggests a stolen code, so its tokens go too.
    client_id = code.grant.client_id
    end_grant(execute, code.grant.id, actor="system", reason="code_replayed", now=now, client_id=client_id)
    raise InvalidGrant("the code was already used")


def _digest(engine: Engine, text: str) -> bytes:
    return engine.vault.digest(text, context=CODE_DIGEST)
