"""How a directory is reached: its servers in turn, those that were down lately last, so many at once, all with limits.

Kept in each process: which servers failed a moment ago, so that one that is down costs one wait and not one for each
sign-in.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kronborg.federation.directory_check import addresses_of, tls_context
from kronborg.federation.directory_model import Directory
from kronborg.federation.ldap_client import LdapAddress, LdapConnection, LdapUnavailable

AT_ONCE = 32
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
    _context: ssl.SSLContext | None = None

    @property
    def down(self) -> bool:
        """Whether every server failed a moment ago."""
        moment = asyncio.get_running_loop().time()
        return all(self._rests_until.get(address, 0.0) > moment for address in addresses_of(self.directory))

    @asynccontextmanager
    async def connected(self, *, even_if_down: bool = False) -> AsyncIterator[LdapConnection]:
        """A connection to the first server that answers. Raises `LdapUnavailable`, at once while all are known down."""
        if self.down and not even_if_down:
            raise LdapUnavailable("every server failed a moment ago")
        try:
            async with asyncio.timeout(WAIT):
                await self._turns.acquire()
        except TimeoutError as error:
            raise LdapUnavailable("too many ask this directory at once") from error
        try:
            connection = await self._first()
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            self._turns.release()

    async def _first(self) -> LdapConnection:
        loop = asyncio.get_running_loop()
        if self._context is None:
            self._context = tls_context(self.directory)
        addresses = addresses_of(self.directory)
        rested = [a for a in addresses if self._rests_until.get(a, 0.0) <= loop.time()]
        reason = LdapUnavailable("no server is named")
        for address in rested or addresses:
            try:
                connection = await LdapConnection.open(
                    address,
                    self._context,
                    connect=self.directory.connect_timeout,
                    answer=self.directory.answer_timeout,
                )
            except LdapUnavailable as failed:
                self._rests_until[address] = loop.time() + REST
                reason = failed
                continue
            self._rests_until.pop(address, None)
            return connection
        raise reason
