"""A key at the gateway: traded for the internal JWT that says what its owner may at this moment."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from kronborg.api_keys import store
from kronborg.api_keys.keys import digest_of
from kronborg.api_keys.model import PERSON, ApiKey, kind_of
from kronborg.core.addresses import networks
from kronborg.core.db import Database
from kronborg.core.log import get_logger
from kronborg.tokens.engine import Engine
from kronborg.tokens.issue import internal
from kronborg.tokens.live import account_of
from kronborg.tokens.model import Access, InternalJwt
from kronborg.tokens.people_store import find_subject
from kronborg.tokens.store import find_standing

log = get_logger("kronborg.api_keys")

COARSE = timedelta(minutes=1)
FLUSH_SECONDS = 5.0
_MOST_NOTED = 100_000


class Uses:
    """When keys were last used, written now and then: nobody waits for it, and the last seconds may be lost."""

    def __init__(self) -> None:
        self._noted: dict[str, datetime] = {}

    def note(self, key: ApiKey, now: datetime) -> None:
        """Remember a use, unless the last one that is known was just now."""
        recent = key.last_used_at is not None and now - key.last_used_at < COARSE
        if not recent and (key.id in self._noted or len(self._noted) < _MOST_NOTED):
            self._noted[key.id] = now

    async def flush(self, database: Database) -> None:
        """Write what was noted."""
        noted, self._noted = self._noted, {}
        if noted:
            await database.writer.run(lambda execute: store.mark_used(execute, noted))

    async def run(self, database: Database, stop: asyncio.Event) -> None:
        """Write every few seconds until `stop` is set, and once more then."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await stop.wait()
            try:
                await self.flush(database)
            except Exception:  # the edge of a process: the next turn tries again
                log.exception("uses_not_written")


async def exchange_key(
    engine: Engine, uses: Uses, text: str, *, audience: str, address: str, now: datetime
) -> tuple[InternalJwt, bool] | None:
    """The JWT for a key at one API, and whether it is good from this address only; None when it is not valid there."""
    if kind_of(text) is None:
        return None
    key = await store.find_by_digest(engine.database.lookup, digest_of(engine.vault, text))
    if key is None or not key.stands(now) or audience not in key.audiences or not _from_there(key, address):
        return None
    access = await _access(engine, key, audience, now=now)
    if access is None:
        return None
    uses.note(key, now)
    return await internal(engine, access, now=now), bool(key.addresses)


async def _access(engine: Engine, key: ApiKey, audience: str, *, now: datetime) -> Access | None:
    """What the key may now: its own scopes, those of the API, and those of its owner, whichever is least."""
    api = (await engine.directory.apis(now=now)).by_audience.get(audience)
    # An API of bound tokens takes nothing that whoever holds it may use.
    if api is None or api.settings.require_sender_constraint:
        return None
    plain = Access(
        jti=key.id,
        client_id="",
        subject="",
        grant_id=None,
        session_id=None,
        audience=audience,
        scopes=tuple(scope for scope in key.scopes if scope in api.scope_names),
        roles=(),
        issued_at=now,
        expires_at=key.expires_at,
    )
    if key.user_id is not None:
        lookup = engine.database.lookup
        person = await find_subject(lookup, key.user_id, session_id=None, idle=engine.session_idle, now=now)
        if person is None or not await _stands(engine, key, PERSON + person.id):
            return None
        return replace(plain, subject=person.id, client_id=PERSON + person.id, roles=person.roles)
    return await _of_client(engine, key, plain, now=now)


async def _of_client(engine: Engine, key: ApiKey, plain: Access, *, now: datetime) -> Access | None:
    client = await engine.directory.client(key.client_id or "", now=now)
    if client is None or client.disabled:
        return None
    if not await _stands(engine, key, client.id):
        return None
    roles: tuple[str, ...] = ()
    if client.settings.service_account is not None:
        account = await account_of(engine, client)
        if account is None:
            return None
        roles = account.roles
    scopes = tuple(scope for scope in plain.scopes if scope in client.scopes)
    return replace(plain, subject=client.id, client_id=client.id, scopes=scopes, roles=roles)


async def _stands(engine: Engine, key: ApiKey, client_id: str) -> bool:
    """What somebody holds is taken back by one moment; a key made before it goes too."""
    standing = await find_standing(engine.database.lookup, jti=key.id, client_id=client_id, grant_id=None)
    return standing.not_before is None or key.created_at >= standing.not_before


def _from_there(key: ApiKey, address: str) -> bool:
    if not key.addresses:
        return True
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in networks(key.addresses))
