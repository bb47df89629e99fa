"""Sign in with a name and a password. Unknown, wrong and disabled are one answer, after the same work.

One lookup says who it is, one unit counts the attempt, the password is compared in a thread, one unit begins the
session. What fails is one unit as well. Nothing else touches the database here: comparing is what the time is for.
"""

from __future__ import annotations

import asyncio
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
from kronborg.federation import directories as directory
from kronborg.federation.directories import Directories
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


@dataclass(frozen=True, slots=True)
class DirectoryDown:
    """Nobody was signed in, and a directory does not answer: told to whoever fails meanwhile, so it tells nothing."""


Outcome = SignedIn | Proved | WrongCredentials | Throttled | DirectoryDown

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
    directories: Directories | None = None,
) -> Outcome:
    """Compare, and begin a session. Raises `Overloaded` when too many passwords wait to be compared.

    `Proved` comes only where `missing` is given and says that the password is not enough. Without `directories` nobody
    of a directory gets in: a password of theirs that may be kept here still counts for nothing.
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
    preferred = device is not None
    found = await _found(passwords, directories, account, login, attempt.password, preferred, now)
    if found is None:
        refused = await _refused(database, account, attempt, known_device=preferred, now=now)
        return DirectoryDown() if directories is not None and await directories.unreachable(now=now) else refused
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
    return signed_in or await _refused(database, account, attempt, known_device=preferred, now=now)


async def _found(
    passwords: Passwords,
    directories: Directories | None,
    account: Account | None,
    login: str,
    password: str,
    preferred: bool,
    now: datetime,
) -> tuple[Proof, Compared | None] | None:
    """Who this is, by a directory or by the password that is kept here; None for everybody else."""
    if _of_directory(account) and directories is not None and await directories.any(now=now):
        return await _by_directory(passwords, directories, account, login, password, preferred, now)
    return await _proved(passwords, account, login, password, preferred=preferred, now=now)


async def _proved(
    passwords: Passwords, account: Account | None, login: str, password: str, *, preferred: bool, now: datetime
) -> tuple[Proof, Compared | None] | None:
    """Who this is by the password, and what it was compared with; None for everybody else, after the same work."""
    encoded = None if account is None or _of_directory(account) else account.encoded
    right = await passwords.matches(password, encoded, preferred=preferred)
    if not right or account is None or encoded is None or not account.may_sign_in:
        return None
    renewed = await passwords.hash(password) if passwords.is_outdated(encoded) else None
    return Proof(account.id, ("pwd",), now, login=login), Compared(encoded, renewed)


def _of_directory(account: Account | None) -> bool:
    """Whether only a directory can tell who this is: its own people, and everybody who is not known here."""
    return account is None or account.managed_by.startswith("ldap:")


async def _by_directory(
    passwords: Passwords,
    directories: Directories,
    account: Account | None,
    login: str,
    password: str,
    preferred: bool,
    now: datetime,
) -> tuple[Proof, Compared | None] | None:
    """Who this is by a directory; the work of a comparison is done beside it, so that the time does not tell either."""
    managed_by = "" if account is None else account.managed_by
    proof, _ = await asyncio.gather(
        directories.prove(login, password, managed_by=managed_by, now=now),
        passwords.matches(password, None, preferred=preferred),
    )
    if not isinstance(proof, directory.Proved):
        return None
    return Proof(proof.user_id, ("pwd",), now, by=proof.by, login=login), None


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
