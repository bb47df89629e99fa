"""Sign in with a name and a password. Unknown, wrong and disabled are one answer, after the same work."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.accounts.model import MAX_EMAIL
from kronborg.accounts.store import find_by_login, find_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database, Session
from kronborg.core.errors import NotFound, TooMany
from kronborg.core.events import record
from kronborg.core.json import JsonObject
from kronborg.signin.devices import known_device, remember_device
from kronborg.signin.model import Origin, ThrottleSettings
from kronborg.signin.passwords import Passwords, verify_password
from kronborg.signin.sessions import Begun, begin_session, end_session
from kronborg.signin.throttle import counters_for, give_back, reserve


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody typed, where it came from, and what the browser brought along."""

    login: str
    password: str
    origin: Origin
    device_cookie: str | None = None
    replaces: tuple[str, str] | None = None
    """Session and user id that the browser holds now: renewed when it is the same user's, ended when not."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The session to put into the browser, and its new device cookie."""

    begun: Begun
    device_cookie: str


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """There is no such account, or the password is wrong, or the account is disabled: not told apart."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Nothing was compared; try again after `retry_after`."""

    retry_after: timedelta


Outcome = SignedIn | WrongCredentials | Throttled


async def sign_in(
    database: Database,
    vault: Vault,
    passwords: Passwords,
    throttle: ThrottleSettings,
    attempt: Attempt,
    *,
    session_lifetime: timedelta,
    now: datetime,
) -> Outcome:
    """Compare, and begin a session. Raises `Overloaded` when too many passwords wait to be compared."""
    login = attempt.login.strip()[:MAX_EMAIL]
    async with database.read() as reading:
        user = await find_by_login(reading, login)
    device = None if user is None else known_device(vault, attempt.device_cookie, user.id)
    # Counted by what was typed: one counter for both names of an account would tell that they are of one account.
    counters = counters_for(vault, throttle, login=login, address=attempt.origin.address, device=device)
    try:
        await reserve(database, counters, now=now)
    except TooMany as refusal:
        return Throttled(refusal.retry_after)
    right = await verify_password(database, passwords, None if user is None else user.id, attempt.password)
    async with database.write() as session:
        # Read again inside the transaction: somebody may have been disabled while the password was compared.
        current = None if user is None else await find_user(session, user.id)
        if not right or current is None or current.disabled:
            # Never what was typed: people type passwords into the wrong field.
            who = "unknown" if user is None else user.id
            detail: JsonObject = {"address": attempt.origin.address, "known_device": device is not None}
            await record(session, "signin.refused", actor="anonymous", subject=who, now=now, detail=detail)
            return WrongCredentials()
        await give_back(session, counters, now=now)
        continues = await _leave(session, attempt, current.id, now=now)
        begun = await begin_session(
            session,
            vault,
            current.id,
            amr=("pwd",),
            origin=attempt.origin,
            lifetime=session_lifetime,
            now=now,
            continues=continues,
        )
    return SignedIn(begun, remember_device(vault, attempt.device_cookie, current.id))


async def _leave(session: Session, attempt: Attempt, user_id: str, *, now: datetime) -> str | None:
    """The id of the session to go on with; a session of somebody else in this browser ends."""
    if attempt.replaces is None:
        return None
    session_id, owner = attempt.replaces
    if owner == user_id:
        return session_id
    with suppress(NotFound):  # it ended meanwhile
        await end_session(session, session_id, user_id=owner, actor=user_id, now=now)
    return None
