"""A sign-in on its way: sent to a provider, waited for, taken back once, in the browser that began it.

What has to be remembered waits sealed in a table under the digest of `state`; the digest and the seal are bound to the
browser's own cookie. So a `state` is worth nothing in another browser (login CSRF, RFC 6749 §10.12), nothing the second
time, and nothing after ten minutes.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Database, Session, from_micros, to_micros
from kronborg.core.ids import random_token
from kronborg.federation.model import Attempt, Told
from kronborg.federation.providers_store import (
    delete_expired,
    insert_attempt,
    read_attempt,
    take_attempt,
    use_once,
)

LIFETIME = timedelta(minutes=10)
MAX_STATE = 100


@dataclass(frozen=True, slots=True)
class Pending:
    """Who a provider said somebody is, waiting to be linked, and the sign-in that led to it."""

    told: Told
    attempt: Attempt
    at: datetime


async def send_away(database: Database, vault: Vault, attempt: Attempt, *, browser: str, now: datetime) -> str:
    """Remember an attempt; the `state` to send along."""
    state = random_token()
    digest = _digest(vault, state, browser)
    sealed = vault.seal(
        orjson.dumps({**asdict(attempt), "at": to_micros(now)}), context=f"federation.attempt:{digest.hex()}"
    )
    async with database.write() as session:
        await insert_attempt(session, digest, sealed, expires_at=now + LIFETIME)
    return state


async def take_back(
    database: Database, vault: Vault, state: str, *, browser: str, provider: str, now: datetime
) -> tuple[Attempt, datetime] | None:
    """The attempt of this state and when it began; None for another browser's, another provider's, a second time."""
    if not 0 < len(state) <= MAX_STATE or not state.isascii():
        return None
    digest = _digest(vault, state, browser)
    async with database.write() as session:
        sealed = await take_attempt(session, digest, now=now)
    if sealed is None:
        return None
    try:
        values: dict[str, Any] = orjson.loads(vault.open(sealed, context=f"federation.attempt:{digest.hex()}"))
    except KeyProblem:  # something else that waits in this table
        return None
    at = from_micros(values.pop("at"))
    attempt = Attempt(**values)
    # Mix-up (RFC 9700 §4.4): an answer counts only at the address of the provider that was asked.
    return (attempt, at) if attempt.provider == provider else None


async def spend(session: Session, provider: str, kind: str, mark: str, *, expires_at: datetime) -> bool:
    """Use something up that a provider sent, like the `jti` of a logout token; False when it was used before."""
    digest = hashlib.sha256(f"{provider}\n{kind}\n{mark}".encode()).digest()
    return await use_once(session, digest, expires_at=expires_at)


async def forget_old(database: Database, *, now: datetime, limit: int = 500) -> int:
    """Forget what nobody can come back to, a batch; how many. For the worker."""
    async with database.write() as session:
        return await delete_expired(session, now=now, limit=limit)


async def keep_pending(
    database: Database, vault: Vault, told: Told, attempt: Attempt, *, browser: str, now: datetime
) -> str:
    """Keep who somebody is at a provider until it is linked to an account; the name to ask for it by."""
    name = random_token()
    digest = _digest(vault, name, browser)
    body = orjson.dumps([asdict(told), asdict(attempt), to_micros(now)])
    sealed = vault.seal(body, context=f"federation.pending:{digest.hex()}")
    async with database.write() as session:
        await insert_attempt(session, digest, sealed, expires_at=now + LIFETIME)
    return name


async def pending(
    database: Database, vault: Vault, name: str, *, browser: str, now: datetime, take: bool = False
) -> Pending | None:
    """The same again; None for another browser's or one that is over. With `take` nobody gets it a second time."""
    if not 0 < len(name) <= MAX_STATE or not name.isascii():
        return None
    digest = _digest(vault, name, browser)
    if take:
        async with database.write() as session:
            sealed = await take_attempt(session, digest, now=now)
    else:
        async with database.read() as reading:
            sealed = await read_attempt(reading, digest, now=now)
    if sealed is None:
        return None
    try:
        told, attempt, at = orjson.loads(vault.open(sealed, context=f"federation.pending:{digest.hex()}"))
    except KeyProblem:  # the state of a sign-in on its way
        return None
    for field in ("groups", "amr"):
        told[field] = tuple(told[field])
    return Pending(Told(**told), Attempt(**attempt), from_micros(at))


def _digest(vault: Vault, state: str, browser: str) -> bytes:
    return vault.digest(f"{state}\n{browser}", context="federation.state")
