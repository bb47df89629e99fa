"""The last step of every way to sign in: a session for somebody who has proved enough."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.accounts.store import find_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import NotFound
from kronborg.sessions.life import Begun, begin_session, end_session
from kronborg.sessions.model import Origin
from kronborg.sessions.proof import Proof
from kronborg.signin.devices import remember_device


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The session to put into the browser, and its new device cookie."""

    begun: Begun
    device_cookie: str


async def finish(
    database: Database,
    vault: Vault,
    proof: Proof,
    *,
    origin: Origin,
    device_cookie: str | None,
    replaces: tuple[str, str] | None,
    session_lifetime: timedelta,
    now: datetime,
) -> SignedIn | None:
    """Begin a session; None when the person is gone or disabled by now. `replaces` as in `Attempt`."""
    async with database.write() as session:
        user = await find_user(session, proof.user_id)
        if user is None or user.disabled:
            return None
        continues = await leave(session, replaces, user.id, now=now)
        begun = await begin_session(
            session,
            vault,
            user.id,
            amr=proof.amr,
            origin=origin,
            lifetime=session_lifetime,
            now=now,
            continues=continues,
        )
    return SignedIn(begun, remember_device(vault, device_cookie, user.id))


async def leave(session: Session, replaces: tuple[str, str] | None, user_id: str, *, now: datetime) -> str | None:
    """The id of the session to go on with; a session of somebody else in this browser ends."""
    if replaces is None:
        return None
    session_id, owner = replaces
    if owner == user_id:
        return session_id
    with suppress(NotFound):  # it ended meanwhile
        await end_session(session, session_id, user_id=owner, actor=user_id, now=now)
    return None
