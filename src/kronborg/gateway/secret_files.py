"""The certificates of a proxy as files that it reads (SDS): where private keys are open, and nowhere else.

Each file is replaced by renaming, so that new handshakes see the new certificate while listeners and open connections
stay as they are. Envoy refuses a file that is broken and goes on with the one before.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from prometheus_client import Gauge

from kronborg.certificates.keep import opened_key
from kronborg.certificates.store import find_certificate
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.log import get_logger
from kronborg.gateway.envoy import tls
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.listener_model import Listener

log = get_logger("kronborg.gateway.secret_files")

EVERY_SECONDS = 1.0
expires = Gauge("kronborg_certificate_expires_seconds", "Until a certificate of the gateway ends", ("name",))


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate with its key in the clear, and when it ends."""

    chain: str
    key: str = field(repr=False)
    not_after: datetime


Certificates = Callable[[Sequence[str]], Awaitable[Mapping[str, Shown]]]
"""Those of these names that there are."""


def from_database(database: Database, vault: Vault) -> Certificates:
    """The certificates of this installation. A key is opened again only when its certificate changed."""
    known: dict[str, tuple[datetime | None, Shown]] = {}

    async def read(names: Sequence[str]) -> Mapping[str, Shown]:
        found: dict[str, Shown] = {}
        for name in names:
            async with database.read() as session:
                one = await find_certificate(session, name)
                if one is None or one.not_after is None:
                    continue
                before = known.get(name)
                if before is None or before[0] != one.updated_at:
                    key = await opened_key(session, vault, name)
                    if key is None:
                        continue
                    before = known[name] = one.updated_at, Shown(one.chain, key, one.not_after)
            found[name] = before[1]
        return found

    return read


def from_folder(folder: Path) -> Certificates:
    """Files `NAME.pem` and `NAME.key`: a gateway elsewhere has its own, and its control plane never sends it any."""

    async def read(names: Sequence[str]) -> Mapping[str, Shown]:
        return await asyncio.to_thread(lambda: {name: one for name in names if (one := _pair(folder, name))})

    return read


def begin(names: Sequence[str], proxy: Proxy) -> None:
    """Envoy takes no configuration that names a file which is not there: until a certificate is, one that is for no
    name stands in its place, and nobody believes it."""
    folder = proxy.folder / tls.FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in names:
        if not tls.path_of(proxy, name).exists():
            _replace(proxy, name, tls.certificate_secret(name, *_nobody()))
    for listener in proxy.listening:
        _put_authorities(listener, proxy)


async def refresh(names: Sequence[str], certificates: Certificates, proxy: Proxy, *, now: datetime) -> None:
    """Bring the files up to date."""
    await asyncio.to_thread(begin, names, proxy)
    shown = await certificates(names)
    expires.clear()
    for name, one in shown.items():
        _replace(proxy, name, tls.certificate_secret(name, one.chain, one.key))
        expires.labels(name).set((one.not_after - now).total_seconds())


async def keep(
    names: Callable[[], Sequence[str]],
    certificates: Certificates,
    proxy: Proxy,
    *,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
) -> None:
    """Keep the files up to date until `stop` is set."""
    while not stop.is_set():
        try:
            await refresh(names(), certificates, proxy, now=clock())
        except Exception:  # the edge of a process: the next turn tries again
            log.exception("certificates_not_written")
        try:
            async with asyncio.timeout(EVERY_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


def _put_authorities(listener: Listener, proxy: Proxy) -> None:
    """Those who vouch for the callers of a listener; while their file cannot be read, those from before, or nobody."""
    asked = listener.tls
    if asked is None or asked.client_certificates == "none":
        return
    name = tls.authorities_name(listener)
    anyone = asked.authorities is None
    try:
        trusted = None if asked.authorities is None else Path(asked.authorities).read_text(encoding="ascii")
        revoked = None if asked.revoked is None else Path(asked.revoked).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        log.exception("authorities_unreadable", listener=listener.name)
        if tls.path_of(proxy, name).exists():
            return
        trusted, revoked, anyone = None, None, False
    if trusted is None and tls.path_of(proxy, name).exists():
        return  # whoever stands in for authorities need not change
    _replace(proxy, name, tls.authorities_secret(listener, trusted or _nobody()[0], revoked, anyone=anyone))


def _nobody() -> tuple[str, str]:
    """A fresh certificate for no name that anybody would ask for."""
    from kronborg.certificates.pairs import self_signed

    return self_signed("no-certificate-yet.invalid")


def _pair(folder: Path, name: str) -> Shown | None:
    from kronborg.certificates.pairs import read_pair
    from kronborg.core import clock
    from kronborg.core.errors import Invalid

    try:
        chain, key = ((folder / f"{name}.{end}").read_text(encoding="ascii") for end in ("pem", "key"))
        pair = read_pair(chain, key, now=clock.now())
    except (OSError, UnicodeDecodeError, Invalid):
        return None
    return Shown(pair.chain, pair.key, pair.not_after)


def _replace(proxy: Proxy, name: str, content: bytes) -> None:
    """A file, whole or not at all, private; nothing happens when it is as wanted already."""
    target = tls.path_of(proxy, name)
    if target.exists() and target.read_bytes() == content:
        return
    scratch = proxy.folder / "scratch"
    scratch.mkdir(mode=0o700, exist_ok=True)
    fresh = scratch / f"tls-{target.name}"
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
