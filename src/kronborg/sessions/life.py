"""Server-side sessions: begin, recognise, end. The cookie holds 256 random bits; the database their keyed digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import NotFound
from kronborg.core.events import record, record_in
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id, random_token
from kronborg.core.json import JsonObject
from kronborg.sessions.model import BrowserSession, Origin, Visit
from kronborg.sessions.store import (
    add_session,
    delete_expired_sessions,
    delete_session,
    delete_sessions_of,
    delete_sessions_told,
    drop_session,
    find_visit,
    insert_session,
    renew_session,
    renew_session_row,
    replace_digest,
    touch_session,
)

SEEN_AT_MOST_EVERY = timedelta(minutes=1)
MAX_USER_AGENT = 300


@dataclass(frozen=True, slots=True)
class Begun:
    """A new session, and the secret for the browser's cookie, which nobody will see again."""

    session: BrowserSession
    secret: str


async def begin_session(
    session: Session,
    vault: Vault,
    user_id: str,
    *,
    amr: tuple[str, ...],
    origin: Origin,
    lifetime: timedelta,
    now: datetime,
    continues: str | None = None,
) -> Begun:
    """Begin a session with a new secret: what a browser held before signing in is worth nothing after.

    `continues` is the id of a session of the same user in the same browser: if it is still there it goes on under its
    id, which tokens refer to as `sid`, with the new secret.
    """
    secret = random_token()
    row = _row(user_id, amr, origin, lifetime=lifetime, now=now, continues=continues)
    if continues is not None and await renew_session_row(session, row, _digest(vault, secret)):
        await record(session, "session.renewed", actor=user_id, subject=user_id, now=now, detail={"sid": row.id})
        return Begun(row, secret)
    row = replace(row, id=new_id())
    await insert_session(session, row, _digest(vault, secret))
    await record(session, "session.begun", actor=user_id, subject=user_id, now=now, detail={"sid": row.id})
    return Begun(row, secret)


async def renew_secret(session: Session, vault: Vault, session_id: str, *, user_id: str, now: datetime) -> str:
    """A new secret for the cookie of a session that goes on: what it had proved, and when, stays as it is.

    Raises `NotFound` when it is over.
    """
    secret = random_token()
    if not await replace_digest(session, session_id, user_id=user_id, digest=_digest(vault, secret)):
        raise NotFound("there is no such session")
    await record(session, "session.renewed", actor=user_id, subject=user_id, now=now, detail={"sid": session_id})
    return secret


@dataclass(frozen=True, slots=True)
class Beginning:
    """A session that is to begin. `vouched_by` and `told` as in `BrowserSession`.

    `continues` as in `begin_session`; `new_device` says that this person has not signed in with this browser before.
    """

    user_id: str
    amr: tuple[str, ...]
    origin: Origin
    lifetime: timedelta
    continues: str | None = None
    vouched_by: str = ""
    told: str = ""
    new_device: bool = False


def begin_in(execute: Execute, vault: Vault, beginning: Beginning, *, now: datetime) -> Begun:
    """Begin a session inside a unit of the group writer, as `begin_session` does."""
    secret, user_id, continues = random_token(), beginning.user_id, beginning.continues
    row = _row(user_id, beginning.amr, beginning.origin, lifetime=beginning.lifetime, now=now, continues=continues)
    row = replace(row, vouched_by=beginning.vouched_by, told=beginning.told)
    name = "session.renewed"
    if continues is None or not renew_session(execute, row, _digest(vault, secret)):
        row, name = replace(row, id=new_id()), "session.begun"
        add_session(execute, row, _digest(vault, secret))
    detail: JsonObject = {"sid": row.id, "new_device": beginning.new_device}
    record_in(execute, name, actor=user_id, subject=user_id, now=now, detail=detail)
    return Begun(row, secret)


def end_in(execute: Execute, session_id: str, *, user_id: str, actor: str, now: datetime) -> bool:
    """End one session of a user inside a unit; False when it is somebody else's or over."""
    if not drop_session(execute, session_id, user_id=user_id):
        return False
    record_in(execute, "session.ended", actor=actor, subject=user_id, now=now, detail={"sid": session_id})
    return True


async def recognise(database: Database, vault: Vault, secret: str, *, idle: timedelta, now: datetime) -> Visit | None:
    """Who is signed in by this cookie; None when the session is over, ended, or its user disabled."""
    found = await find_visit(database, _digest(vault, secret), now=now, idle=idle)
    if found is None:
        return None
    visit, last_seen = found
    if now - last_seen >= SEEN_AT_MOST_EVERY:
        since = now - SEEN_AT_MOST_EVERY
        await database.writer.run(lambda run: touch_session(run, visit.session_id, now=now, unless_since=since))
    return visit


async def end_session(session: Session, session_id: str, *, user_id: str, actor: str, now: datetime) -> None:
    """End one session of a user. Raises `NotFound` when it is somebody else's or over."""
    if not await delete_session(session, session_id, user_id=user_id):
        raise NotFound("there is no such session")
    await record(session, "session.ended", actor=actor, subject=user_id, now=now, detail={"sid": session_id})


async def end_all_sessions(
    session: Session, user_id: str, *, but: str | None = None, actor: str, now: datetime
) -> Sequence[str]:
    """End every session of a user except `but`; the ids of those that ended."""
    ended = await delete_sessions_of(session, user_id, but=but)
    for session_id in ended:
        await record(session, "session.ended", actor=actor, subject=user_id, now=now, detail={"sid": session_id})
    return ended


async def end_sessions_told(
    session: Session, vouched_by: str, *, told: str | None = None, user_id: str | None = None, now: datetime
) -> Sequence[str]:
    """A provider ends what it vouched for: the session it calls `told`, or all of a user's; the ids of those ended."""
    ended = await delete_sessions_told(session, vouched_by, told=told, user_id=user_id)
    for session_id, owner in ended:
        await record(session, "session.ended", actor=vouched_by, subject=owner, now=now, detail={"sid": session_id})
    return [session_id for session_id, _ in ended]


async def purge_sessions(session: Session, *, idle: timedelta, now: datetime, limit: int = 500) -> int:
    """End sessions whose time is over, at most `limit`; how many. For the worker, every few minutes."""
    ended = await delete_expired_sessions(session, now=now, idle=idle, limit=limit)
    for session_id, user_id in ended:
        detail = {"sid": session_id, "reason": "expired"}
        await record(session, "session.ended", actor="system", subject=user_id, now=now, detail=detail)
    return len(ended)


def _row(
    user_id: str,
    amr: tuple[str, ...],
    origin: Origin,
    *,
    lifetime: timedelta,
    now: datetime,
    continues: str | None,
) -> BrowserSession:
    agent = "".join(c for c in origin.user_agent if c.isprintable())[:MAX_USER_AGENT]
    return BrowserSession(continues or new_id(), user_id, amr, now, now, now + lifetime, agent, origin.address[:64])


def _digest(vault: Vault, secret: str) -> bytes:
    return vault.digest(secret, context="signin.session")
