"""The way of a gateway elsewhere to its control plane: its identity on disk, and calls over mutual TLS.

Every connection is opened from here to there. The control plane is believed by the fleet's own authority alone, whose
certificate came with the invitation; what the machine trusts otherwise counts nothing.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from kronborg.core.errors import Invalid, Problem, Refusal
from kronborg.core.values import thaw
from kronborg.fleet.authority import LIFETIME, RENEW_AFTER, fingerprint_of, new_request, read_shown
from kronborg.fleet.nodes import JoinToken
from kronborg.gateway.listener_model import Listener
from kronborg.gateway.listener_problems import listener_problems

if TYPE_CHECKING:
    from httpcore import AsyncConnectionPool

FOLDER = "edge"
MOST = 64 * 1024 * 1024
"""Bytes of the longest answer: a snapshot of ten thousand routes has a tenth of that."""
CONNECT_SECONDS = 5.0
CALL_SECONDS = 10.0
_CALLS = 32


class Away(Exception):
    """The control plane does not answer."""


class Rejected(Refusal):
    """The control plane said no."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the control plane said."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """A joined gateway as its own disk knows it: its name, its control plane, and where it listens."""

    name: str
    url: str
    host: str = "127.0.0.1"
    port: int = 8080
    control_port: int = 8082
    concurrency: int = 2


class Link:
    """Calls to the control plane with the identity in a data folder."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER
        self._pool: AsyncConnectionPool | None = None

    @property
    def identity(self) -> Path:
        """Private key and certificate, in one file, so that they are always of one another."""
        return self._folder / "identity.pem"

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        seconds: float = CALL_SECONDS,
    ) -> Answer:
        """One call. Raises `Away` when nobody answers, or not in time, or longer than `MOST`."""
        import asyncio

        import httpcore

        if self._pool is None:
            self._pool = _pool(context_of(self._folder))
        url = read_settings(self._folder.parent).url + path
        timeout = {"connect": CONNECT_SECONDS, "read": seconds, "write": CALL_SECONDS, "pool": CONNECT_SECONDS}
        try:
            async with asyncio.timeout(seconds + CONNECT_SECONDS):
                return await _ask(self._pool, method, url, body, headers, timeout)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as failure:
            raise Away(type(failure).__name__) from failure

    async def close(self) -> None:
        """Close what is open; the next call reads the identity anew."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def renew_when_due(self, *, now: datetime) -> bool:
        """Get the next certificate a day after the last; whether it did. Raises `Away`, `Rejected`."""
        shown = read_shown(_certificate_in(self.identity))
        if shown is not None and shown.expires_at - now > LIFETIME - RENEW_AFTER:
            return False
        key, request = new_request(read_settings(self._folder.parent).name)
        answer = await self.call("POST", "/renew", request)
        if answer.status != 200:
            raise Rejected("the control plane does not renew the certificate of this gateway")
        write_private(self.identity, key + answer.body)
        await self.close()
        return True

    def expires_at(self) -> datetime | None:
        """When the certificate ends."""
        shown = read_shown(_certificate_in(self.identity))
        return None if shown is None else shown.expires_at


async def join(token: JoinToken, data: Path, settings: EdgeSettings) -> EdgeSettings:
    """Trade an invitation for an identity, kept in `data`. Raises `Away`, `Rejected`, `Invalid`.

    The first call trusts nobody and tells nothing: it fetches the authority's certificate, which counts only when its
    fingerprint is that of the token. The second shows the secret to whom that authority vouches for.
    """
    folder = data / FOLDER
    if (folder / "edge.json").exists():
        raise Invalid(Problem("data", "holds a gateway that has joined already", "name another folder by --data"))
    untrusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    untrusting.check_hostname = False
    untrusting.verify_mode = ssl.CERT_NONE
    told = await _once(untrusting, "GET", f"{token.url}/authority", b"")
    try:
        known = fingerprint_of(told.body) == token.fingerprint
    except ValueError:
        known = False
    if not known:
        raise Rejected("whoever answers at the address of the token is not the control plane that made it")
    key, request = new_request("gateway")
    answer = await _once(_trusting(told.body), "POST", f"{token.url}/join", token.secret.encode() + b"\n" + request)
    if answer.status != 200:
        raise Rejected("the invitation is not accepted: it was used, its time is over, or the name is taken")
    given = orjson.loads(answer.body)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "authority.pem", told.body)
    write_private(folder / "identity.pem", key + str(given["certificate"]).encode())
    joined = EdgeSettings(
        str(given["name"]), token.url, settings.host, settings.port, settings.control_port, settings.concurrency
    )
    write_private(folder / "edge.json", orjson.dumps(joined, option=orjson.OPT_INDENT_2))
    return joined


def has_joined(data: Path) -> bool:
    """Whether this data folder is that of a gateway that joined a control plane elsewhere."""
    return (data / FOLDER / "edge.json").is_file()


def read_settings(data: Path) -> EdgeSettings:
    """What the folder of a joined gateway says. Raises `OSError`, `TypeError`."""
    return EdgeSettings(**orjson.loads((data / FOLDER / "edge.json").read_bytes()))


def read_listeners(data: Path) -> tuple[Listener, ...]:
    """Where a joined gateway listens besides what `edge.json` says: `listeners.json`, kept by whoever runs it."""
    try:
        plain = orjson.loads((data / FOLDER / "listeners.json").read_bytes())
    except FileNotFoundError:
        return ()
    except orjson.JSONDecodeError:
        raise Invalid(Problem("edge/listeners.json", "is no JSON", "write a list of listeners")) from None
    listeners = thaw(tuple[Listener, ...], plain)
    problems = tuple(listener_problems(listeners, plain=False))
    if problems:
        raise Invalid(*problems)
    return listeners


def context_of(folder: Path) -> ssl.SSLContext:
    """Trusts the fleet's authority alone, and shows the identity of this gateway."""
    context = _trusting((folder / "authority.pem").read_bytes())
    context.load_cert_chain(folder / "identity.pem")
    return context


def write_private(path: Path, content: bytes) -> None:
    """A file for its owner alone, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _trusting(authority: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authority.decode("ascii"))
    return context


def _certificate_in(identity: Path) -> bytes:
    content = identity.read_bytes()
    return content[content.index(b"-----BEGIN CERTIFICATE") :]


def _pool(context: ssl.SSLContext, *, calls: int = _CALLS) -> AsyncConnectionPool:
    import httpcore

    return httpcore.AsyncConnectionPool(ssl_context=context, max_connections=calls, retries=0, keepalive_expiry=30)


async def _once(context: ssl.SSLContext, method: str, url: str, body: bytes) -> Answer:
    import httpcore

    timeout = {"connect": CONNECT_SECONDS, "read": CALL_SECONDS, "write": CALL_SECONDS, "pool": CONNECT_SECONDS}
    try:
        async with _pool(context, calls=1) as pool:
            return await _ask(pool, method, url, body, (), timeout)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as failure:
        raise Away(type(failure).__name__) from failure


async def _ask(
    pool: AsyncConnectionPool,
    method: str,
    url: str,
    body: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    bounds: dict[str, float],
) -> Answer:
    sent = [(b"host", url.split("/")[2].encode()), *headers]
    async with pool.stream(method, url, headers=sent, content=body, extensions={"timeout": bounds}) as response:
        content = bytearray()
        async for part in response.aiter_stream():
            content += part
            if len(content) > MOST:
                raise Away("the answer is too large")
        return Answer(response.status, tuple(response.headers), bytes(content))
