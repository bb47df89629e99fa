"""Passwords: Argon2id in a bounded pool of threads, equal work whether or not there is anything to compare with."""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kronborg.accounts.model import User, folded
from kronborg.accounts.store import find_user
from kronborg.core.db import Database, Session
from kronborg.core.errors import Invalid, NotFound, Overloaded, Problem
from kronborg.core.events import record
from kronborg.core.fetch import Fetcher
from kronborg.core.languages import N_, Phrase
from kronborg.sessions.life import end_all_sessions
from kronborg.signin.breached import is_breached
from kronborg.signin.common import is_common
from kronborg.signin.foreign import is_foreign, matches_foreign
from kronborg.signin.model import PasswordSettings
from kronborg.signin.store import former_hashes, read_password, remember_former, swap_hash, write_password
from kronborg.signin.strength import COMMON, EASY, MEND, about, strength_of

T = TypeVar("T")

LEAKED = N_("this password is known from a leak")
FORMER = N_("this password was in use before")
ANOTHER = N_("choose one that is used nowhere else")


def _hasher(passes: int, memory_kib: int, lanes: int) -> PasswordHasher:
    return PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=lanes)


@cache
def _hash_of_nobody(passes: int, memory_kib: int, lanes: int) -> str:
    """What to compare with where there is nothing: as costly as the real one, and made once in a process."""
    return _hasher(passes, memory_kib, lanes).hash(secrets.token_urlsafe(32))


class Passwords:
    """Hashes and compares passwords; one for each process, made by the composition root."""

    def __init__(self, settings: PasswordSettings | None = None, fetcher: Fetcher | None = None) -> None:
        """`fetcher` is what asks `settings.breached_url`; without one nobody is asked."""
        self.settings = settings or PasswordSettings()
        self._fetcher = fetcher
        costs = self.settings.passes, self.settings.memory_kib, self.settings.lanes
        self._hasher = _hasher(*costs)
        # Threads of its own that take the next work themselves: none idles while the event loop does something else.
        self._threads = ThreadPoolExecutor(self.settings.at_once, thread_name_prefix="passwords")
        self._waiting = 0
        self._nobody = _hash_of_nobody(*costs)

    def check(self, password: str, *, user: User | None = None, where: str = "password") -> None:
        """Whether a password may be chosen at a first look, which takes no time. Raises `Invalid`."""
        problem = self._problem(password, user)
        if problem is not None:
            raise Invalid(Problem(where, *problem))

    async def examine(
        self, password: str, *, user: User | None = None, where: str = "password", database: Database | None = None
    ) -> None:
        """Whether a person may choose this password: not easy to guess, leaked, or one they had. Raises `Invalid`.

        Never inside a transaction: it may ask a service. `database` is where the passwords before are, if they count.
        """
        self.check(password, user=user, where=where)
        found = await asyncio.to_thread(strength_of, password, about(user))
        if found.score < self.settings.strength:
            raise Invalid(Problem(where, found.warning or EASY, MEND))
        url = self.settings.breached_url
        if url and self._fetcher is not None and await is_breached(self._fetcher, url, password):
            raise Invalid(Problem(where, LEAKED, ANOTHER))
        if user is None or database is None or not self.settings.history:
            return
        for encoded in await former_hashes(database.lookup, user.id, most=self.settings.history):
            if await self.matches(password, encoded, preferred=True):
                raise Invalid(Problem(where, FORMER, ANOTHER))

    def admit(self, *, preferred: bool = False) -> None:
        """Raises `Overloaded` when so many wait that one more would be turned away; before anything is written."""
        # Strangers who fill the queue must not keep out those who have signed in here before.
        if self._waiting >= self.settings.waiting * (2 if preferred else 1):
            raise Overloaded("too many sign-ins at this moment")

    async def hash(self, password: str) -> str:
        """The encoded hash of a password that `check` has accepted. Raises `Overloaded`."""
        return await self._run(lambda: self._hasher.hash(_normal(password)), preferred=True)

    async def matches(self, password: str, encoded: str | None, *, preferred: bool = False) -> bool:
        """Compare with a hash; with None the work is done all the same and the answer is no. Raises `Overloaded`."""
        # A password that could never have been set is answered no after the same work.
        possible = len(password) <= self.settings.longest and "\0" not in password
        candidate = password if possible else ""
        same = await self._run(lambda: self._same(encoded or self._nobody, candidate), preferred=preferred)
        return same and possible and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return is_foreign(encoded) or self._hasher.check_needs_rehash(encoded)

    def _same(self, encoded: str, candidate: str) -> bool:
        if encoded and is_foreign(encoded):
            return matches_foreign(encoded, candidate)  # other systems took a password as it was typed
        try:
            return self._hasher.verify(encoded, _normal(candidate))
        except (VerificationError, InvalidHashError):
            return False

    def _problem(self, password: str, user: User | None) -> tuple[str, str] | None:
        shortest, longest = self.settings.shortest, self.settings.longest
        if "\0" in password:
            return N_("a password cannot hold a NUL character"), N_("leave it out")
        if len(_normal(password)) < shortest:
            mend = N_("use at least %(num)s characters; a few words are easy to remember")
            return N_("this password is too short"), Phrase(mend, num=shortest)
        if len(password) > longest:
            return N_("this password is too long"), Phrase(N_("use at most %(num)s characters"), num=longest)
        plain = folded(password)
        if len(set(plain)) < 4:
            return EASY, N_("use more different characters")
        if is_common(password):
            return COMMON, MEND
        if user is not None and plain in {folded(user.username), folded(user.email or ""), folded(user.name)}:
            return EASY, N_("do not use your own name or address")
        return None

    async def _run(self, work: Callable[[], T], *, preferred: bool) -> T:
        """Do `work` in a thread, at most `at_once` together; more than `waiting` behind them are turned away."""
        self.admit(preferred=preferred)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


async def set_password(
    session: Session, user_id: str, password: str, *, actor: str, now: datetime, passwords: Passwords | None = None
) -> None:
    """Give a user a password, under the default settings without `passwords`. Raises `NotFound`, `Invalid`.

    The transaction waits for the hash; where that matters, hash first and call `store_password`.
    """
    passwords = passwords or Passwords()
    user = await find_user(session, user_id)
    if user is None:
        raise NotFound("there is no such user")
    passwords.check(password, user=user)
    await store_password(session, user_id, await passwords.hash(password), actor=actor, now=now)


async def store_password(
    session: Session,
    user_id: str,
    encoded: str,
    *,
    actor: str,
    now: datetime,
    keep: str | None = None,
    history: int = 0,
) -> None:
    """Give a user a password that `Passwords.hash` has hashed already. Every session but `keep` ends.

    The one before is kept among the `history` former ones (`PasswordSettings.history`).

    A new password is how somebody is thrown out who knew the old one, whoever sets it.
    """
    await end_all_sessions(session, user_id, but=keep, actor=actor, now=now)
    await remember_former(session, user_id, most=history, now=now)
    await write_password(session, user_id, encoded, now=now)
    await record(session, "password.set", actor=actor, subject=user_id, now=now)


async def verify_password(database: Database, passwords: Passwords, user_id: str | None, password: str) -> bool:
    """Whether this is the user's password; a hash with old parameters is renewed. None is as slow as a wrong one."""
    encoded = None
    if user_id is not None:
        async with database.read() as session:
            encoded = await read_password(session, user_id)
    if not await passwords.matches(password, encoded) or user_id is None or encoded is None:
        return False
    if passwords.is_outdated(encoded):
        old, renewed = encoded, await passwords.hash(password)
        await database.writer.run(lambda execute: swap_hash(execute, user_id, old=old, new=renewed))
    return True


def _normal(password: str) -> str:
    """Normal form C (RFC 8265 §4.2.2), so that a password typed on another keyboard is the same password."""
    return unicodedata.normalize("NFC", password)
