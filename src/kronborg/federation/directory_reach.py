"""How a directory is reached: its servers in turn, those that were down lately last, so many at once, all with limits.

Kept in each process: which servers failed a moment ago, so that one that is down costs one wait and not one for each
sign-in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kronborg.federation.directory_check import addresses_of
from kronborg.federation.directory_model import Directory
from kronborg.federation.ldap_client import LdapAddress, LdapConnection, LdapUnavailable, LdapWrong, Who

AT_ONCE = 4
"""Each is a process of its own while it lasts."""
REST = 10.0
"""Seconds for which a server that failed is not tried, unless every other one failed too."""
WAIT = 5.0
"""Seconds that a sign-in waits for its turn."""


@dataclass(slots=True)
class Reach:
    """The servers of one directory as this process knows them."""

    directory: Directory
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _rests_until: dict[LdapAddress, float] = field(default_factory=dict)

    @property
    def down(self) -> bool:
        """Whether every server failed a moment ago."""
        moment = asyncio.get_running_loop().time()
        return all(self._rests_until.get(address, 0.0) > moment for address in addresses_of(self.directory))

    @asynccontextmanager
    async def connected(self, who: Who) -> AsyncIterator[LdapConnection]:
        """A connection to the first server that answers, bound as `who`.

        Raises `LdapUnavailable`, at once while all are known down; `LdapWrong`.
        """
        if self.down:
            raise LdapUnavailable("every server failed a moment ago")
        try:
            async with asyncio.timeout(WAIT):
                await self._turns.acquire()
        except TimeoutError as error:
            raise LdapUnavailable("too many ask this directory at once") from error
        try:
            connection = await self._first(who)
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            self._turns.release()

    async def _first(self, who: Who) -> LdapConnection:
        loop = asyncio.get_running_loop()
        addresses = addresses_of(self.directory)
        rested = [a for a in addresses if self._rests_until.get(a, 0.0) <= loop.time()]
        reason = LdapUnavailable("no server is named")
        for address in rested or addresses:
            try:
                connection = await LdapConnection.open(
                    address,
                    self.directory.ca,
                    who,
                    connect=self.directory.connect_timeout,
                    answer=self.directory.answer_timeout,
                )
            except LdapUnavailable as failed:
                self._rests_until[address] = loop.time() + REST
                reason = failed
                continue
            except LdapWrong:
                self._rests_until.pop(address, None)
                raise
            self._rests_until.pop(address, None)
            return connection
        raise reason
