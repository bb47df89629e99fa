"""One connection to a directory: LDAPv3 (RFC 4511) as far as signing in and reading people need it.

Connect, StartTLS, simple bind, search with paging. Every step is bounded: time, size of a message, number of entries.
References to other servers are not followed, and a password is never sent over a connection that anybody can read.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from kronborg.federation.ber import (
    ENUMERATED,
    OCTETS,
    SEQUENCE,
    NotBer,
    boolean,
    element,
    elements,
    integer,
    octets,
    sequence,
    size_of,
    whole_number,
)

MAX_MESSAGE = 4 << 20
PAGE = 500
SUCCESS, PARTIAL_ATTRIBUTES, NO_SUCH_OBJECT = 0, 4, 32
WRONG = frozenset({19, 32, 34, 48, 49, 50, 53})
"""Result codes of a bind that is refused because of who asks: constraint violation (a locked account), no such object,
invalid DN, inappropriate authentication, invalid credentials, insufficient rights, unwilling to perform."""

_BIND, _BOUND, _UNBIND, _SEARCH, _ENTRY, _DONE, _REFERENCE = 0x60, 0x61, 0x42, 0x63, 0x64, 0x65, 0x73
_EXTENDED, _EXTENDED_DONE = 0x77, 0x78
_START_TLS = "1.3.6.1.4.1.1466.20037"
_PAGED = "1.2.840.113556.1.4.319"


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


@dataclass(frozen=True, slots=True)
class LdapAddress:
    """A server of a directory. `tls` says how the connection is made private: from the start, by StartTLS, not."""

    host: str
    port: int
    tls: str


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


class LdapConnection:
    """An open connection; use from one task only, and close it."""

    def __init__(
        self, reader: asyncio.StreamReader, transport: asyncio.Transport, timeout: timedelta, host: str
    ) -> None:
        self._reader, self._transport, self._timeout, self._host = reader, transport, timeout.total_seconds(), host
        self._buffer = bytearray()
        self._last_id = 0

    @classmethod
    async def open(
        cls, address: LdapAddress, context: ssl.SSLContext, *, connect: timedelta, answer: timedelta
    ) -> LdapConnection:
        """Connect, and make it private. Raises `LdapUnavailable`."""
        try:
            async with asyncio.timeout(connect.total_seconds()):
                connection = await cls._connected(address, context, answer)
        except ssl.SSLCertVerificationError as error:
            raise LdapUnavailable("the certificate is not valid for this name and these authorities") from error
        except (ssl.SSLError, ConnectionError) as error:
            raise LdapUnavailable("the connection was refused or broken off") from error
        except TimeoutError as error:
            raise LdapUnavailable("no answer in time") from error
        except OSError as error:
            raise LdapUnavailable("the server cannot be reached") from error
        return connection

    @classmethod
    async def _connected(cls, address: LdapAddress, context: ssl.SSLContext, answer: timedelta) -> LdapConnection:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        tls = context if address.tls == "ldaps" else None
        name = address.host if tls else None
        transport, _ = await loop.create_connection(
            lambda: protocol, address.host, address.port, ssl=tls, server_hostname=name
        )
        connection = cls(reader, transport, answer, address.host)
        try:
            if address.tls == "starttls":
                await connection._start_tls(context)
        except BaseException:
            connection._transport.abort()
            raise
        return connection

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        """RFC 4511 §4.14. What came in the clear behind the answer is thrown away with the old reader."""
        tag, content = await self._ask(sequence((octets(_START_TLS, 0x80),), _EXTENDED))
        if tag != _EXTENDED_DONE or _result(content) != SUCCESS:
            raise LdapUnavailable("the server does not do StartTLS")
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        upgraded = await loop.start_tls(self._transport, protocol, context, server_hostname=self._host)
        if upgraded is None:
            raise LdapUnavailable("the connection was refused or broken off")
        protocol.connection_made(upgraded)
        self._reader, self._transport, self._buffer = reader, upgraded, bytearray()

    async def bind(self, name: str, password: str) -> bool:
        """Whether the directory takes this password for this name. Raises `LdapUnavailable`.

        RFC 4513 §5.1.2: a name with an empty password binds nobody and succeeds at many servers. It is never sent.
        """
        if not name or not password:
            return False
        request = sequence((integer(3), octets(name), octets(password, 0x80)), _BIND)
        tag, content = await self._ask(request)
        if tag != _BOUND:
            raise LdapUnavailable("the server does not answer as a directory does")
        code = _result(content)
        if code == SUCCESS:
            return True
        if code in WRONG:
            return False
        raise LdapUnavailable(f"the directory refuses to answer now (result {code})")

    async def search(
        self, base: str, filter_: bytes, attributes: Sequence[str], *, limit: int, scope: int = 2
    ) -> list[Entry]:
        """At most `limit` entries below `base` (2), one level below (1) or `base` itself (0).

        A base that is not there has no entries.
        Raises `LdapUnavailable`, `LdapRefused`.
        """
        return (await self._page(base, filter_, attributes, limit=limit, scope=scope, control=b""))[0]

    async def everything(
        self, base: str, filter_: bytes, attributes: Sequence[str], *, size: int = PAGE
    ) -> AsyncIterator[list[Entry]]:
        """All entries, page by page (RFC 2696). Raises `LdapUnavailable`, `LdapRefused`."""
        cookie = b""
        while True:
            value = sequence((integer(size), octets(cookie)))
            control = sequence((octets(_PAGED), boolean(True), octets(value)))
            found, cookie = await self._page(base, filter_, attributes, limit=0, scope=2, control=control)
            yield found
            if not cookie:
                return

    async def _page(
        self, base: str, filter_: bytes, attributes: Sequence[str], *, limit: int, scope: int, control: bytes
    ) -> tuple[list[Entry], bytes]:
        request = sequence(
            (
                octets(base),
                integer(scope, ENUMERATED),
                integer(0, ENUMERATED),
                integer(limit),
                integer(max(1, int(self._timeout))),
                boolean(False),
                filter_,
                sequence(octets(name) for name in attributes),
            ),
            _SEARCH,
        )
        message_id = await self._send(request, control)
        found: list[Entry] = []
        while True:
            tag, content, controls = await self._receive(message_id)
            if tag == _ENTRY:
                found.append(_entry(content))
            elif tag == _DONE:
                code = _result(content)
                # A limit of ours that was reached (4) is no failure: the first entries are what was asked for.
                if code not in (SUCCESS, NO_SUCH_OBJECT) and not (code == PARTIAL_ATTRIBUTES and limit):
                    raise LdapRefused(code)
                return found, _cookie(controls)
            elif tag != _REFERENCE:
                raise LdapUnavailable("the server does not answer as a directory does")

    async def close(self) -> None:
        """Say goodbye and close; never fails."""
        with suppress(OSError, LdapUnavailable):
            await self._send(element(_UNBIND, b""))
        self._transport.close()

    async def _ask(self, request: bytes) -> tuple[int, bytes]:
        message_id = await self._send(request)
        tag, content, _ = await self._receive(message_id)
        return tag, content

    async def _send(self, request: bytes, control: bytes = b"") -> int:
        self._last_id += 1
        parts = [integer(self._last_id), request]
        if control:
            parts.append(sequence((control,), 0xA0))
        if self._transport.is_closing():
            raise LdapUnavailable("the connection was refused or broken off")
        self._transport.write(sequence(parts))
        return self._last_id

    async def _receive(self, message_id: int) -> tuple[int, bytes, bytes]:
        """The next message to this request: tag, content, controls."""
        try:
            async with asyncio.timeout(self._timeout):
                raw = await self._message()
        except TimeoutError as error:
            raise LdapUnavailable("no answer in time") from error
        except OSError as error:
            raise LdapUnavailable("the connection was refused or broken off") from error
        try:
            ((tag, body),) = elements(raw)
            (kind, number), (operation, content), *rest = elements(body)
            answered = whole_number(number)
        except (NotBer, ValueError) as error:
            raise LdapUnavailable("the server does not answer as a directory does") from error
        # RFC 4511 §4.4: message 0 is a notice, and the only one there is says that the server hangs up.
        if tag != SEQUENCE or kind != 2 or answered != message_id:
            raise LdapUnavailable("the connection was refused or broken off")
        return operation, content, next((value for number_, value in rest if number_ == 0xA0), b"")

    async def _message(self) -> bytes:
        while True:
            try:
                size = size_of(self._buffer)
            except NotBer as error:
                raise LdapUnavailable("the server does not answer as a directory does") from error
            if size is not None and size > MAX_MESSAGE:
                raise LdapUnavailable("an answer is larger than 4 MiB")
            if size is not None and len(self._buffer) >= size:
                raw = bytes(self._buffer[:size])
                del self._buffer[:size]
                return raw
            chunk = await self._reader.read(65536)
            if not chunk:
                raise LdapUnavailable("the connection was refused or broken off")
            self._buffer += chunk


def _result(content: bytes) -> int:
    try:
        tag, code = next(iter(elements(content)))
        if tag != ENUMERATED:
            raise NotBer("no result code")
        return whole_number(code)
    except (NotBer, StopIteration) as error:
        raise LdapUnavailable("the server does not answer as a directory does") from error


def _entry(content: bytes) -> Entry:
    try:
        (_, name), (_, listed) = elements(content)
        attributes: dict[str, tuple[bytes, ...]] = {}
        for _, one in elements(listed):
            (_, kind), (_, values) = elements(one)
            attributes[kind.decode("ascii").lower()] = tuple(value for tag, value in elements(values) if tag == OCTETS)
        return Entry(name.decode(), attributes)
    except ValueError as error:
        raise LdapUnavailable("the server does not answer as a directory does") from error


def _cookie(controls: bytes) -> bytes:
    """The cookie of the next page (RFC 2696); nothing at the end, or from a server that knows no pages."""
    try:
        for _, control in elements(controls):
            (_, kind), *rest = elements(control)
            if kind == _PAGED.encode():
                ((_, inner),) = elements(rest[-1][1])
                _, (_, cookie) = elements(inner)
                return cookie
    except (NotBer, ValueError, IndexError) as error:
        raise LdapUnavailable("the server does not answer as a directory does") from error
    return b""
