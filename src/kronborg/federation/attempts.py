"""A sign-in on its way: sent to a provider, waited for, taken back once, in the browser that began it.

What has to be remembered waits sealed in a table under the digest of `state`; the digest and the seal are bound to the
browser's own cookie. So a `state` is worth nothing in another browser (login CSRF, RFC 6749 §10.12), nothing the second
time, and nothing after ten minutes.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import orjson

from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Database, Session, from_micros, to_micros
from kronborg.core.ids import random_token
from kronborg.federation.model import Attempt, Told
from kronborg.federation.providers_store import delete_expired, insert_attempt, take_attempt, use_once

LIFETIME = timedelta(minutes=10)
MAX_STATE = 100


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
    values: dict[str, Any] = orjson.loads(vault.open(sealed, context=f"federation.attempt:{digest.hex()}"))
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


def seal_pending(vault: Vault, told: Told, attempt: Attempt, *, browser: str, now: datetime) -> str:
    """Who somebody is at a provider, until it is linked to an account; for this browser alone."""
    told_values = asdict(told)
    body = orjson.dumps([told_values, attempt.next, attempt.ticket, attempt.link, to_micros(now)])
    return vault.seal(body, context=_pending_context(vault, browser))


def open_pending(vault: Vault, text: str, *, browser: str, now: datetime) -> tuple[Told, Attempt, datetime] | None:
    """The same again; None for anything else, and after ten minutes."""
    if not text or len(text) > 16_384:
        return None
    try:
        told, next_path, ticket, link, at = orjson.loads(vault.open(text, context=_pending_context(vault, browser)))
    except KeyProblem:
        return None
    moment = from_micros(at)
    if not timedelta() <= now - moment <= LIFETIME:
        return None
    for name in ("groups", "amr"):
        told[name] = tuple(told[name])
    return Told(**told), Attempt(told["provider"], next_path, ticket, link), moment


def _digest(vault: Vault, state: str, browser: str) -> bytes:
    return vault.digest(f"{state}\n{browser}", context="federation.state")


def _pending_context(vault: Vault, browser: str) -> str:
    return f"federation.pending:{vault.digest(browser, context='federation.pending').hex()}"
