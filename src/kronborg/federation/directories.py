"""Sign-in by a directory: find who it is, let the directory compare the password, bring the account up to date.

A password is sent to a directory and nowhere else; nothing of it is kept. When no server answers the answer is
`Unavailable`, never an older password.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.log import get_logger
from kronborg.federation import directory_store as store
from kronborg.federation.directory_changes import opened_password
from kronborg.federation.directory_entries import groups_of, known_of
from kronborg.federation.directory_model import Directory, KeptDirectory
from kronborg.federation.directory_people import keep
from kronborg.federation.directory_reach import Reach
from kronborg.federation.ldap_client import Entry, LdapConnection, LdapRefused, LdapUnavailable, LdapWrong, Who

log = get_logger("kronborg.directories")

FRESH = 2.0
"""Seconds for which a process takes the settings of directories as it read them."""
MAX_PASSWORD = 1000
REFUSED = "the directory refuses bind_dn or its password"


@dataclass(frozen=True, slots=True)
class Proved:
    """The directory took the password: whose account it is, and who vouches for it (`ldap:corp`)."""

    user_id: str
    by: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """The password is wrong, or the account is shut, or may not be used here: not told apart."""


@dataclass(frozen=True, slots=True)
class NotHere:
    """No directory knows this name."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The directory that would know cannot be asked now. `name` is what people call it."""

    name: str


Proof = Proved | Wrong | NotHere | Unavailable


class Directories:
    """The directories of an installation as one process asks them; made by the composition root."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._reaches: dict[str, tuple[KeptDirectory, Reach]] = {}
        self._read_at: datetime | None = None

    async def any(self, *, now: datetime) -> bool:
        """Whether there is a directory at all."""
        return bool(await self._current(now))

    async def unreachable(self, *, now: datetime) -> str:
        """The name of a directory that was down a moment ago; empty when none was."""
        current = await self._current(now)
        return next((reach.directory.name for _, reach in current if reach.down), "")

    async def prove(self, login: str, password: str, *, managed_by: str = "", now: datetime) -> Proof:
        """Ask the directory of an account (`managed_by`), or all of them about an unknown name.

        The caller has counted the attempt. The first directory that knows the name decides.
        """
        if not login or not password or len(password) > MAX_PASSWORD or "\0" in login + password:
            return Wrong() if managed_by else NotHere()
        silent: Unavailable | None = None
        for kept, reach in await self._current(now):
            if managed_by and kept.directory.manager != managed_by:
                continue
            try:
                proof = await self._ask(kept, reach, login, password, now)
            except (LdapUnavailable, LdapRefused) as failed:
                log.warning("directory_unavailable", directory=kept.directory.key, reason=str(failed))
                silent = silent or Unavailable(kept.directory.name)
                continue
            if not isinstance(proof, NotHere):
                return proof
        # An account whose directory was removed has nobody to prove it.
        return silent or (Wrong() if managed_by else NotHere())

    async def _ask(self, kept: KeptDirectory, reach: Reach, login: str, password: str, now: datetime) -> Proof:
        directory = kept.directory
        who = bind_name(directory, login, password) if directory.bind_as else service_of(self._vault, kept)
        try:
            found = await self._look(directory, reach, who, login, password)
        except LdapWrong:
            if directory.bind_as:
                # Who may not bind cannot be told from who is not there.
                return NotHere()
            raise LdapUnavailable(REFUSED) from None
        if isinstance(found, Wrong | NotHere):
            return found
        return await self._let_in(directory, *found, now)

    async def _look(
        self, directory: Directory, reach: Reach, who: Who, login: str, password: str
    ) -> tuple[Entry, frozenset[str]] | Wrong | NotHere:
        """The entry of this name and its groups, when the directory takes the password for it."""
        async with reach.connected(who) as connection:
            entry = await find_entry(connection, directory, login)
            if entry is None:
                # An unknown name costs the same two questions as a wrong password, which stays here.
                await connection.takes(f"cn={secrets.token_hex(8)},{directory.base}", secrets.token_hex(8))
                return NotHere()
            # With `bind_as` too: the entry that was found need not be the one that the typed name has bound.
            if not await connection.takes(entry.dn, password):
                return Wrong()
            return entry, await groups_of(connection, directory, entry)

    async def _let_in(self, directory: Directory, entry: Entry, groups: frozenset[str], now: datetime) -> Proof:
        known = known_of(directory, entry, now=now)
        if known is None:
            log.warning("directory_entry_unusable", directory=directory.key)
            return Wrong()
        kept = await keep(self._database, directory, known, groups, create=directory.create, now=now)
        return Proved(kept.user.id, directory.manager) if kept is not None and not kept.user.disabled else Wrong()

    async def _current(self, now: datetime) -> list[tuple[KeptDirectory, Reach]]:
        """Those that are switched on; what this process knows of their servers stays until they are changed."""
        if self._read_at is None or abs((now - self._read_at).total_seconds()) > FRESH:
            async with self._database.read() as session:
                found = await store.list_directories(session)
            reaches = {}
            for kept in found:
                before = self._reaches.get(kept.directory.key)
                same = before is not None and before[0].updated_at == kept.updated_at
                reach = before[1] if before is not None and same else Reach(kept.directory)
                reaches[kept.directory.key] = (kept, reach)
            self._reaches, self._read_at = reaches, now
        return [pair for pair in self._reaches.values() if not pair[0].directory.disabled]


def service_of(vault: Vault, kept: KeptDirectory) -> Who:
    """Who searches; where everybody may search, nobody."""
    return Who(kept.directory.bind_dn, opened_password(vault, kept)) if kept.directory.bind_dn else Who()


def bind_name(directory: Directory, login: str, password: str) -> Who:
    """Who binds as somebody; in a DN what was typed is a value and nothing else."""
    if "=" in directory.bind_as:
        return Who(directory.bind_as, password, login)
    return Who(directory.bind_as.replace("{login}", login.partition("@")[0]), password)


async def find_entry(connection: LdapConnection, directory: Directory, login: str) -> Entry | None:
    """The one entry of this name; None when there is none, or more than one. Raises `LdapUnavailable`."""
    values = {"login": login}
    found = await connection.search(
        directory.base, directory.search_filter, directory.asked_attributes, limit=2, values=values
    )
    if len(found) > 1:
        log.warning("directory_name_ambiguous", directory=directory.key)
    return found[0] if len(found) == 1 else None
