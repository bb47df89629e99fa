"""Sign in with a name and a password. Unknown, wrong and disabled are one answer, after the same work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.accounts.model import MAX_EMAIL
from kronborg.accounts.store import find_by_login, find_user
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import TooMany
from kronborg.core.events import record
from kronborg.core.json import JsonObject
from kronborg.sessions.life import begin_session
from kronborg.sessions.model import Origin
from kronborg.signin.devices import known_device, remember_device
from kronborg.signin.finish import SignedIn, leave
from kronborg.signin.model import ThrottleSettings
from kronborg.signin.passwords import Passwords, verify_password
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
        continues = await leave(session, attempt.replaces, current.id, now=now)
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
