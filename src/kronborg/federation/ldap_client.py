"""One connection to a directory: connect privately, bind, search with paging. The library speaks, in `ldap_helper`.

Every step is bounded: time (a helper that takes longer is ended), memory, size of an answer, number of entries.
References to other servers are not followed, and a password is never sent over a connection that anybody can read.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import socket
import subprocess
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

MAX_ANSWER = 16 << 20
PAGE = 500
START = 10.0
"""Seconds for a helper to start."""
FRESH = 45.0
"""Seconds after which a helper that nobody needed is left to end by itself."""
GRACE = 0.5
"""Seconds beyond the library's own limit, after which the helper is ended."""
MISSING = "LDAP needs the optional extra ldap"
_NOTHING: Mapping[str, str] = MappingProxyType({})
INSTALL = "apt-get install build-essential python3-dev libldap-dev libsasl2-dev, then pip install 'kronborg[ldap]'"


class LdapUnavailable(Exception):
    """The directory does not answer, or not as a directory does. `reason` is fixed text for the log and for checks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LdapRefused(Exception):
    """The directory answered with a result code that says no."""

    def __init__(self, code: int) -> None:
        super().__init__(f"LDAP result {code}")
        self.code = code


class LdapWrong(Exception):
    """The directory does not take this password for this name."""


@dataclass(frozen=True, slots=True)
class LdapAddress:
    """A server of a directory. `tls` says how the connection is made private: from the start, by StartTLS, not."""

    host: str
    port: int
    tls: str

    @property
    def url(self) -> str:
        """The address as the library takes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.tls == 'ldaps' else 'ldap'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Who:
    """Who binds; nobody without a name. `login` takes the place `{login}` in the name, as a value."""

    name: str = ""
    password: str = field(default="", repr=False)
    login: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a directory says of one object; attribute names are folded to lower case."""

    dn: str
    attributes: dict[str, tuple[bytes, ...]] = field(default_factory=dict)

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of an attribute that are text."""
        found = []
        for value in self.attributes.get(name.lower(), ()):
            with suppress(UnicodeDecodeError):
                found.append(value.decode())
        return tuple(found)

    def text(self, name: str) -> str:
        """The first value, or nothing."""
        return next(iter(self.texts(name)), "")


def installed() -> bool:
    """Whether the library is here; it is loaded by helpers only."""
    return find_spec("bonsai") is not None


class LdapConnection:
    """An open connection; use from one task only, and close it."""

    def __init__(self, helper: _Helper, connect: float, answer: float) -> None:
        self._helper, self._connect, self._answer = helper, connect, answer
        self._whole = True

    @classmethod
    async def open(
        cls, address: LdapAddress, ca: str, who: Who, *, connect: timedelta, answer: timedelta
    ) -> LdapConnection:
        """Connect, make it private, and bind; without a name as nobody. Raises `LdapUnavailable`, `LdapWrong`.

        `connect` bounds all of it. RFC 4513 §5.1.2: a name with an empty password is never sent.
        """
        if who.name and not who.password:
            raise LdapWrong
        connection = cls(await _taken(), connect.total_seconds(), answer.total_seconds())
        request = {
            "do": "open", "url": address.url, "host": address.host, "port": address.port,
            "start_tls": address.tls == "starttls", "ca": ca, "name": who.name,
            "password": who.password, "login": who.login, "answer": answer.total_seconds(),
        }  # fmt: skip
        try:
            answered = await connection._ask(request, connection._connect)
        except LdapRefused as refused:
            await connection.close()
            raise LdapUnavailable(f"the directory refuses to answer now (result {refused.code})") from refused
        except BaseException:
            await connection.close()
            raise
        if "wrong" in answered:
            await connection.close()
            raise LdapWrong
        return connection

    async def takes(self, name: str, password: str) -> bool:
        """Whether the directory takes this password for this name, on a connection of its own.

        RFC 4513 §5.1.2: a name with an empty password binds nobody and succeeds at many servers. It is never sent.
        Raises `LdapUnavailable`, `LdapRefused`.
        """
        if not name or not password:
            return False
        asked = {"do": "check", "name": name, "password": password}
        return "wrong" not in await self._ask(asked, self._connect + self._answer)

    async def search(
        self,
        base: str,
        filter_: str,
        attributes: Sequence[str],
        *,
        limit: int,
        scope: int = 2,
        values: Mapping[str, str] = _NOTHING,
    ) -> list[Entry]:
        """At most `limit` entries below `base` (2), one level below (1) or `base` itself (0).

        `values` take the places of the filter (`{login}`), as values and never as syntax.

        A base that is not there has no entries.
        Raises `LdapUnavailable`, `LdapRefused`.
        """
        return (await self._page(base, filter_, attributes, values, size=limit, scope=scope))[:limit]

    async def everything(
        self, base: str, filter_: str, attributes: Sequence[str], *, size: int = PAGE
    ) -> AsyncIterator[list[Entry]]:
        """All entries, page by page (RFC 2696). Raises `LdapUnavailable`, `LdapRefused`."""
        yield await self._page(base, filter_, attributes, _NOTHING, size=size, scope=2, all_=True)
        while True:
            answered = await self._ask({"do": "next"}, self._answer)
            if not answered.get("more"):
                return
            yield _entries(answered)

    async def _page(
        self,
        base: str,
        filter_: str,
        attributes: Sequence[str],
        values: Mapping[str, str],
        *,
        size: int,
        scope: int,
        all_: bool = False,
    ) -> list[Entry]:
        asked = {
            "do": "search", "base": base, "filter": filter_, "values": dict(values), "attributes": list(attributes),
            "scope": scope, "size": size, "all": all_,
        }  # fmt: skip
        # All of them are read on a connection of their own.
        return _entries(await self._ask(asked, self._answer + (self._connect if all_ else 0.0)))

    async def close(self) -> None:
        """Say goodbye and close; never fails."""
        if self._whole:
            self._whole = False
            with suppress(LdapUnavailable, LdapRefused):
                await self._helper.ask({"do": "close"}, 1.0)
        _give_back(self._helper)

    async def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        try:
            answered = await self._helper.ask(request, seconds + GRACE)
        except BaseException:
            self._whole = False
            raise
        if "failed" in answered:
            raise LdapUnavailable(answered["failed"])
        if "refused" in answered:
            raise LdapRefused(answered["refused"])
        return answered


def _entries(answered: dict[str, Any]) -> list[Entry]:
    return [
        Entry(
            found["dn"],
            {name.lower(): tuple(b64decode(value) for value in values) for name, values in found["attributes"].items()},
        )
        for found in answered["entries"]
    ]


class _Helper:
    """A process of `ldap_helper`, and our end of the socket between us."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        # From the root folder: the library would read an ldaprc where it is started.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kronborg.federation.ldap_helper"],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        theirs.close()
        self._socket.setblocking(False)
        self.used_at = 0.0

    @property
    def alive(self) -> bool:
        """Whether it may be asked."""
        return self._socket.fileno() >= 0 and self._process.poll() is None

    async def ask(self, request: dict[str, Any] | None, seconds: float) -> dict[str, Any]:
        """Its answer; without one in time, or when the asking is broken off, it is ended. Raises `LdapUnavailable`."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                if request is not None:
                    await loop.sock_sendall(self._socket, json.dumps(request).encode() + b"\n")
                answered = json.loads(await self._line(loop))
        except TimeoutError as error:
            self.end()
            raise LdapUnavailable("no answer in time") from error
        except (OSError, ValueError) as error:
            self.end()
            raise LdapUnavailable("the connection was refused or broken off") from error
        except BaseException:
            self.end()
            raise
        self.used_at = loop.time()
        return dict(answered)

    async def _line(self, loop: asyncio.AbstractEventLoop) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n"):
            chunk = await loop.sock_recv(self._socket, 1 << 18)
            if not chunk or len(line) > MAX_ANSWER:
                raise ConnectionError
            line += chunk
        return bytes(line)

    def end(self) -> None:
        """End it at once; again is nothing."""
        self._socket.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


_idle: list[_Helper] = []
"""Helpers that nobody uses now: each can serve any directory, for it keeps no connection."""


async def _taken() -> _Helper:
    """A helper that waits for a request. Raises `LdapUnavailable`."""
    moment = asyncio.get_running_loop().time()
    while _idle:
        helper = _idle.pop()
        if helper.alive and abs(moment - helper.used_at) < FRESH:
            return helper
        helper.end()
    if not installed():
        raise LdapUnavailable(f"{MISSING}: {INSTALL}")
    helper = _Helper()
    await helper.ask(None, START)
    return helper


def _give_back(helper: _Helper) -> None:
    if helper.alive:
        _idle.append(helper)
    else:
        helper.end()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()
