"""The one way to call a URL that somebody else chose: a client's keys, a request object, a logout notice.

What such a URL names is hostile until shown otherwise, so that everything is bounded and nothing is followed: https
only, a public address found once and then connected to (a second look at the DNS cannot lead elsewhere), no redirects,
no proxy, no cookies, no compression, 64 KiB, five seconds for all of it. Who asked learns only that it failed.

    Refusal
    └─ Unreachable   not fetched; one text for every reason, the reason itself is for the log
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from kronborg.core.addresses import Address, is_host, literal, may_call, networks
from kronborg.core.errors import Refusal
from kronborg.core.fetched import Fetched
from kronborg.core.json import JsonObject
from kronborg.core.kept import Kept
from kronborg.core.log import get_logger

if TYPE_CHECKING:
    from httpcore import AsyncConnectionPool, Response

log = get_logger("kronborg.fetch")

TOTAL = 5.0
"""Seconds for everything: waiting for a place, the name, the connection, the answer to its last byte."""
MAX_BODY = 64 * 1024
MAX_URL = 2000
AT_ONCE = 32
"""Calls under way at a time; further ones wait."""
AT_ONCE_PER_HOST = 4
"""So that one slow host cannot take every place."""
MOST_TRIED = 3
"""Addresses of a name that are tried, in the order of the resolver."""
REDIRECTS = range(300, 400)

_URL = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+", re.ASCII)
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?([0-9]{1,9})", re.IGNORECASE | re.ASCII)
_NO_STORE = re.compile(r"(?:^|[\s,])no-(?:store|cache)(?:$|[\s,])", re.IGNORECASE | re.ASCII)


class Unreachable(Refusal):
    """What a URL names was not fetched. `reason` is for the log and never for whoever registered the URL."""

    def __init__(self, reason: str) -> None:
        super().__init__("what the URL names could not be fetched")
        self.reason = reason


class Fetcher:
    """One per process. `allow` holds networks (CIDR) that may be called although they are not public.

    Plain http is for loopback addresses inside `allow`. `ca_file` holds certificate authorities trusted besides the
    system's. Nothing is opened before the first call.
    """

    def __init__(self, allow: Iterable[str] = (), *, ca_file: Path | None = None, total: float = TOTAL) -> None:
        self._allow = networks(allow)
        self._ca_file = ca_file
        self._total = total
        self._places = asyncio.Semaphore(AT_ONCE)
        self._hosts: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self._trust: ssl.SSLContext | None = None
        self._kept = Kept(Unreachable)

    def apart(self) -> Fetcher:
        """One with the same bounds that shares nothing: what it calls and keeps takes no room from this one's."""
        return Fetcher(map(str, self._allow), ca_file=self._ca_file, total=self._total)

    async def get(
        self,
        url: str,
        *,
        accept: tuple[str, ...],
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Fetched:
        """The document at `url`, of one of the media types `accept`; `status` is 200, or 304 when `etag` still holds.

        Raises `Unreachable` for everything else.
        """
        headers = {**(headers or {}), "accept": ", ".join(dict.fromkeys(accept))}
        if etag is not None:
            headers["if-none-match"] = etag
        fetched = await self._call("GET", url, headers, None)
        if fetched.status == 304 and etag is not None:
            return fetched
        if fetched.status != 200:
            raise self._refused(url, "the status is not 200")
        if fetched.media_type not in accept:
            raise self._refused(url, "the content type is not an expected one")
        return fetched

    async def post(self, url: str, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Fetched:
        """The answer to a POST, whatever its status is but a redirect. Raises `Unreachable`."""
        return await self._call("POST", url, {**(headers or {}), "content-type": media_type}, body)

    async def document(
        self, url: str, *, accept: tuple[str, ...] = ("application/json",), now: datetime, renew: bool = False
    ) -> JsonObject:
        """The JSON object at `url`, kept for as long as its server says, within bounds.

        `renew` asks again, at most every half minute, for one that seems to have changed. Raises `Unreachable`.
        """

        async def fetch(url: str, etag: str | None) -> Fetched:
            return await self.get(url, accept=accept, etag=etag)

        return await self._kept.get(url, fetch, now=now, renew=renew)

    def is_kept(self, url: str) -> bool:
        """Whether something is known of this document, be it a failure: asking for it may call nobody."""
        return self._kept.knows(url)

    def fetched_at(self, url: str) -> datetime | None:
        """When the document that is kept of this URL was last fetched, or told to be unchanged."""
        return self._kept.made_at(url)

    async def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Fetched:
        import httpcore

        parts = _split(url)
        if parts is None:
            raise self._refused("", "the URL is not well-formed")
        usual = {"host": parts.netloc, "user-agent": "kronborg", "accept-encoding": "identity"}
        sent = list({**usual, **headers}.items())
        try:
            async with asyncio.timeout(self._total), self._place(parts.hostname or ""):
                pinned = await self._pin(parts)
                async with self._pool(pinned) as pool, pool.stream(method, url, headers=sent, content=body) as response:
                    return await _read(response)
        except Unreachable as refusal:
            raise self._refused(url, refusal.reason) from None
        except TimeoutError:
            raise self._refused(url, "it took too long") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError, ssl.SSLError):
            raise self._refused(url, "the connection failed") from None

    def _refused(self, url: str, reason: str) -> Unreachable:
        log.info("not_fetched", host=urlsplit(url).hostname or "", reason=reason)
        return Unreachable(reason)

    @asynccontextmanager
    async def _place(self, host: str) -> AsyncIterator[None]:
        """A place among the calls of this host, and among all."""
        own, users = self._hosts.get(host) or (asyncio.Semaphore(AT_ONCE_PER_HOST), 0)
        self._hosts[host] = (own, users + 1)
        try:
            async with own, self._places:
                yield
        finally:
            own, users = self._hosts[host]
            if users == 1:
                del self._hosts[host]
            else:
                self._hosts[host] = (own, users - 1)

    async def _pin(self, parts: SplitResult) -> tuple[str, ...]:
        """The addresses to connect to, decided once. One that may not be called spoils the whole name."""
        host = parts.hostname or ""
        given = literal(host)
        found = [given] if given is not None else await _resolve(host)
        if not found or not all(may_call(address, self._allow) for address in found):
            raise Unreachable("the host has no address that may be called")
        if parts.scheme == "http" and not all(address.is_loopback for address in found):
            raise Unreachable("plain http is for the loopback only")
        return tuple(str(address) for address in found[:MOST_TRIED])

    @asynccontextmanager
    async def _pool(self, addresses: tuple[str, ...]) -> AsyncIterator[AsyncConnectionPool]:
        """A pool for one call, which connects to these addresses and nowhere else; TLS still checks the host's name."""
        import httpcore

        from kronborg.core.pinned import Pinned

        if self._trust is None:
            self._trust = await asyncio.to_thread(_trusted, self._ca_file)
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._trust,
            max_connections=1,
            max_keepalive_connections=0,
            retries=0,
            network_backend=Pinned(addresses),
        ) as pool:
            yield pool


def _split(url: str) -> SplitResult | None:
    """The parts of a URL that may be called at all; None for every other."""
    if not 0 < len(url) <= MAX_URL or not _URL.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            return None
    except ValueError:
        return None
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not url.startswith(f"{parts.scheme}://") or "@" in parts.netloc:
        return None
    return parts if is_host(host) else None


async def _resolve(host: str) -> list[Address]:
    """Every address of a name, in the order of the resolver."""
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unreachable("the host is not known") from None
    found = [literal(str(answer[4][0])) for answer in answers]
    return [address for address in dict.fromkeys(found) if address is not None]


async def _read(response: Response) -> Fetched:
    """The answer with its body, as far as its head is one that we take. Raises `Unreachable`."""
    headers = {name.lower().decode("latin-1"): value.decode("latin-1").strip() for name, value in response.headers}
    if response.status in REDIRECTS and response.status != 304:
        raise Unreachable("it answers with a redirect")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Unreachable("the answer is compressed")
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > MAX_BODY:
        raise Unreachable("the answer is too large")
    body = bytearray()
    async for part in response.aiter_stream():
        body += part
        if len(body) > MAX_BODY:
            raise Unreachable("the answer is too large")
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    etag = headers.get("etag")
    # What comes back in If-None-Match later must be a plain header value.
    kept = etag if etag is not None and len(etag) <= 200 and etag.isascii() and etag.isprintable() else None
    return Fetched(response.status, media_type, bytes(body), kept, _max_age(headers.get("cache-control", "")))


def _max_age(cache_control: str) -> timedelta | None:
    if _NO_STORE.search(cache_control):
        return timedelta()
    found = _MAX_AGE.search(cache_control)
    return None if found is None else timedelta(seconds=int(found[1]))


def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    """The system's certificate authorities (those of certifi where the system has none), and the operator's."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:
        import certifi

        context.load_verify_locations(certifi.where())
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
