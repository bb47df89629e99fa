"""Signing keys: next, active, retiring; rotated by age, shared by all processes through the database.

A key is published as `next` long before it signs, and stays published as `retiring` longer than anything it signed
lives, so that nobody who caches the JWKS ever meets an unknown key. A process reads the keys again after `FRESH`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from joserfc.jwk import ECKey

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.jose import PublicKey, b64, new_key, public_key
from kronborg.core.json import JsonObject
from kronborg.tokens import keys_store as store
from kronborg.tokens.model import KEY_AGE, KEY_RETIREMENT, KeyState, StoredKey

FRESH = timedelta(seconds=5)
ACCESS_TYPE = "at+jwt"
ID_TYPE = "JWT"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The active key."""

    kid: str
    key: ECKey


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys at one moment. `jwks` is the document for the public, `etag` its validator."""

    active: SigningKey
    public: tuple[PublicKey, ...]
    jwks: bytes
    etag: str
    read_at: datetime


class KeyRing:
    """The keys of this installation as this process knows them; for use from one event loop."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._keys: Keys | None = None

    async def current(self, *, now: datetime) -> Keys:
        """The keys, at most `FRESH` old; makes the first ones if there are none."""
        keys = self._keys
        if keys is not None and abs(now - keys.read_at) < FRESH:
            return keys
        return await self._read(now=now)

    async def rotate(self, *, now: datetime, force: bool = False, compromised: bool = False) -> bool:
        """See that there is an active and a next key, and promote the next one when the active one is old.

        For the worker, every few minutes; any number of processes may call it at once. `force` promotes whatever the
        age; `compromised` also forgets the old key at once, so that nothing it signed is believed any more. Whether
        another key is active now.
        """
        stored = await store.read_keys(self._database.lookup)
        active = next((key for key in stored if key.state == "active"), None)
        due = active is not None and (force or compromised or now - (active.activated_at or now) >= KEY_AGE)
        spares = self._new_key("active", now=now), self._new_key("next", now=now)

        def unit(execute: Execute) -> bool:
            changed = False
            if active is None:
                changed = store.add_key(execute, spares[0])
            elif due and store.retire_key(execute, active.id, now=now):
                promoted = store.activate_next_key(execute, now=now)
                if promoted is None:
                    store.add_key(execute, spares[0])
                if compromised:
                    store.drop_key(execute, active.id)
                changed = True
            store.add_key(execute, spares[1])
            store.drop_retired_keys(execute, retired_before=now - KEY_RETIREMENT)
            if changed:
                subject = "" if active is None else active.id
                detail: JsonObject = {"compromised": compromised, "forced": force}
                record_in(execute, "key.rotated", actor="system", subject=subject, now=now, detail=detail)
            return changed

        rotated = await self._database.writer.run(unit)
        self._keys = None
        return rotated

    async def stored(self) -> tuple[StoredKey, ...]:
        """Every key as stored, oldest first; for listings."""
        return await store.read_keys(self._database.lookup)

    async def _read(self, *, now: datetime) -> Keys:
        stored = await store.read_keys(self._database.lookup)
        active = next((key for key in stored if key.state == "active"), None)
        if active is None:
            await self.rotate(now=now)
            stored = await store.read_keys(self._database.lookup)
            active = next(key for key in stored if key.state == "active")
        known = self._keys
        signing = known.active if known and known.active.kid == active.id else self._open(active)
        jwks = orjson.dumps({"keys": [key.public_jwk for key in stored]})
        public = tuple(public_key(key.public_jwk) for key in stored)
        self._keys = Keys(signing, public, jwks, etag_of(jwks), now)
        return self._keys

    def _open(self, stored: StoredKey) -> SigningKey:
        private = self._vault.open(stored.sealed, context=f"tokens.key:{stored.id}")
        return SigningKey(stored.id, ECKey.import_key(orjson.loads(private)))

    def _new_key(self, state: KeyState, *, now: datetime) -> StoredKey:
        key = new_key()
        kid = str(key.kid)
        sealed = self._vault.seal(orjson.dumps(key.as_dict(private=True)), context=f"tokens.key:{kid}")
        return StoredKey(kid, state, key.as_dict(private=False), sealed, now, now if state == "active" else None, None)


def etag_of(body: bytes) -> str:
    """A strong validator (RFC 9110 §8.8.3) of a document."""
    digest = Hash(SHA256())
    digest.update(body)
    return f'"{b64(digest.finalize()[:12])}"'
