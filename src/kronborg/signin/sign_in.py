"""Sign in with a name and a password. Unknown, wrong and disabled are one answer, after the same work.

One lookup says who it is, one unit counts the attempt, the password is compared in a thread, one unit begins the
session. What fails is one unit as well. Nothing else touches the database here: comparing is what the time is for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kronborg.accounts.model import MAX_EMAIL, folded
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import TooMany
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject
from kronborg.sessions.model import Origin
from kronborg.sessions.proof import Proof
from kronborg.signin.devices import known_device
from kronborg.signin.finish import Compared, SignedIn, finish
from kronborg.signin.model import Account, ThrottleSettings
from kronborg.signin.passwords import Passwords
from kronborg.signin.store import find_account, swap_hash
from kronborg.signin.throttle import Burst, Counter, counters_for, give_back_in, reserve


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
class Proved:
    """The password was right and more is needed: seal the proof and let the journey go on."""

    proof: Proof


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """There is no such account, or the password is wrong, or the account is disabled: not told apart."""


@dataclass(frozen=True, slots=True)
class Throttled:
    """Nothing was compared; try again after `retry_after`."""

    retry_after: timedelta


Outcome = SignedIn | Proved | WrongCredentials | Throttled

Missing = Callable[[Proof, Account | None], Awaitable[bool]]
"""Whether somebody who proved this much must prove more; asked only when the password was right."""


async def sign_in(
    database: Database,
    vault: Vault,
    passwords: Passwords,
    throttle: ThrottleSettings,
    attempt: Attempt,
    *,
    session_lifetime: timedelta,
    now: datetime,
    missing: Missing | None = None,
) -> Outcome:
    """Compare, and begin a session. Raises `Overloaded` when too many passwords wait to be compared.

    `Proved` comes only where `missing` is given and says that the password is not enough.
    """
    login = attempt.login.strip()[:MAX_EMAIL]
    # PostgreSQL has no text with NUL in it.
    account = await find_account(database.lookup, folded(login).replace("\0", "\ufffd"))
    device = None if account is None else known_device(vault, attempt.device_cookie, account.id)
    passwords.admit(preferred=device is not None)
    # Counted by what was typed: one counter for both names of an account would tell that they are of one account.
    counters = counters_for(vault, throttle, login=login, address=attempt.origin.address, device=device)
    try:
        await reserve(database, counters, now=now, burst=_burst(account, attempt, now))
    except TooMany as refusal:
        return Throttled(refusal.retry_after)
    found = await _proved(passwords, account, login, attempt.password, preferred=device is not None, now=now)
    if found is None:
        return await _refused(database, account, attempt, known_device=device is not None, now=now)
    proof, compared = found
    if missing is not None and await missing(proof, account):
        await _noted(database, proof, compared, counters, now=now)
        return Proved(proof)
    signed_in = await finish(
        database,
        vault,
        proof,
        origin=attempt.origin,
        device_cookie=attempt.device_cookie,
        replaces=attempt.replaces,
        session_lifetime=session_lifetime,
        now=now,
        compared=compared,
        counted=counters,
    )
    return signed_in or await _refused(database, account, attempt, known_device=device is not None, now=now)


async def _proved(
    passwords: Passwords, account: Account | None, login: str, password: str, *, preferred: bool, now: datetime
) -> tuple[Proof, Compared | None] | None:
    """Who this is by the password, and what it was compared with; None for everybody else, after the same work."""
    encoded = None if account is None else account.encoded
    right = await passwords.matches(password, encoded, preferred=preferred)
    if not right or account is None or encoded is None or not account.may_sign_in:
        return None
    renewed = await passwords.hash(password) if passwords.is_outdated(encoded) else None
    return Proof(account.id, ("pwd",), now, login=login), Compared(encoded, renewed)


async def _noted(
    database: Database, proof: Proof, compared: Compared | None, counters: tuple[Counter, ...], *, now: datetime
) -> None:
    """The password was right, though a session does not begin yet."""

    def unit(execute: Execute) -> None:
        if compared is not None and compared.renewed is not None:
            swap_hash(execute, proof.user_id, old=compared.encoded, new=compared.renewed)
        give_back_in(execute, counters, now=now)

    await database.writer.run(unit, alone=True)


async def _refused(
    database: Database, account: Account | None, attempt: Attempt, *, known_device: bool, now: datetime
) -> WrongCredentials:
    # Never what was typed: people type passwords into the wrong field.
    who = "unknown" if account is None else account.id
    detail: JsonObject = {"address": attempt.origin.address, "known_device": known_device}
    await database.writer.run(
        lambda execute: record_in(execute, "signin.refused", actor="anonymous", subject=who, now=now, detail=detail)
    )
    return WrongCredentials()


def _burst(account: Account | None, attempt: Attempt, now: datetime) -> Burst:
    """Records that a counter has just run out: that of a burst no honest person makes."""
    who = "unknown" if account is None else account.id

    def burst(execute: Execute, kind: str) -> None:
        detail: JsonObject = {"kind": kind, "address": attempt.origin.address}
        record_in(execute, "signin.burst", actor="anonymous", subject=who, now=now, detail=detail)

    return burst
