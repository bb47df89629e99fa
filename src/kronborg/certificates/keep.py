"""Keeping certificates: uploaded with their key, or wished for from an ACME server; removed; opened for a gateway."""

from __future__ import annotations

import re
from datetime import datetime

from kronborg.certificates.model import Certificate
from kronborg.certificates.pairs import Pair, read_pair
from kronborg.certificates.store import (
    delete_certificate,
    find_certificate,
    put_certificate,
    sealed_key_of,
)
from kronborg.core.crypto import Vault
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# RFC 8555 section 7.1.3 lets wildcards be ordered, but they cannot be proved by HTTP (section 8.3).
_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_MOST_HOSTS = 50


def context_of(name: str) -> str:
    """What a certificate's key is sealed for."""
    return f"certificate:{name}"


async def upload(
    session: Session, vault: Vault, name: str, chain: str, key: str, *, actor: str, now: datetime
) -> Certificate:
    """Keep a certificate that somebody brought. Raises `Invalid`."""
    _check_name(name)
    pair = read_pair(chain, key, now=now)
    return await keep_pair(session, vault, name, pair, source="uploaded", actor=actor, now=now)


async def wish(session: Session, name: str, hosts: tuple[str, ...], *, actor: str, now: datetime) -> Certificate:
    """Ask for a certificate that the ACME server shall make. Raises `Invalid`."""
    _check_name(name)
    wanted = tuple(sorted({host.strip().lower().rstrip(".") for host in hosts}))
    if not 1 <= len(wanted) <= _MOST_HOSTS or any(_HOST.fullmatch(host) is None for host in wanted):
        raise Invalid(Problem("hosts", "are not host names", f"1 to {_MOST_HOSTS} public DNS names without wildcards"))
    before = await find_certificate(session, name)
    if before is not None and before.source == "acme" and before.hosts == wanted:
        return before
    certificate = Certificate(name, wanted, "acme", updated_at=now)
    await put_certificate(session, certificate, sealed_key="")
    await record(session, "certificate.wished", actor=actor, subject=name, now=now, detail={"hosts": list(wanted)})
    return certificate


async def keep_pair(
    session: Session, vault: Vault, name: str, pair: Pair, *, source: str, actor: str, now: datetime
) -> Certificate:
    """Keep a pair that was found fit, its key sealed."""
    made = Certificate(
        name,
        pair.hosts,
        "acme" if source == "acme" else "uploaded",
        pair.chain,
        pair.not_before,
        pair.not_after,
        pair.fingerprint,
        tried_at=now,
        updated_at=now,
    )
    await put_certificate(session, made, sealed_key=vault.seal(pair.key.encode(), context=context_of(name)))
    detail = {"hosts": list(pair.hosts), "fingerprint": pair.fingerprint, "not_after": pair.not_after.isoformat()}
    await record(session, "certificate.kept", actor=actor, subject=name, now=now, detail=detail)
    return made


async def remove(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Forget a certificate and its key. Raises `NotFound`; the caller knows that no listener needs it."""
    if not await delete_certificate(session, name):
        raise NotFound("there is no certificate with this name")
    await record(session, "certificate.removed", actor=actor, subject=name, now=now)


async def opened_key(session: ReadSession, vault: Vault, name: str) -> str | None:
    """The private key in PEM, for the gateway's own files only; None while there is none."""
    sealed = await sealed_key_of(session, name)
    return vault.open(sealed, context=context_of(name)).decode() if sealed else None


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise Invalid(Problem("name", "is not a possible name", "use a-z, 0-9 and -, at most 63 characters"))
