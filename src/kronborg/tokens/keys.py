"""Keys, a line for each algorithm: next, active, retiring; rotated by age, shared by all processes by the database.

A key is published as `next` long before it signs, and stays published as `retiring` longer than anything it signed
lives, so that nobody who caches the JWKS ever meets an unknown key. A line exists from the moment something asks for
its algorithm; ES256, and the key for what is sent to us encrypted, are always there. A process reads the keys again
after `FRESH`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import anyio
import orjson
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from joserfc.jwk import ECKey

from kronborg.core.base64url import b64
from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, NotFound
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.hardware import token_at
from kronborg.core.jose import PublicKey, public_key
from kronborg.core.json import JsonObject
from kronborg.core.jwe import EncryptionKey, encryption_key
from kronborg.core.jws import DECRYPTING, LINES, SIGNING, Line, SigningKey, line_of, read_private
from kronborg.tokens import keys_store as store
from kronborg.tokens.ending import end_key
from kronborg.tokens.key_holders import HELD, HeldKeys, KeyHolder, SealedKeys
from kronborg.tokens.model import KEY_AGE, KEY_NOTICE, KEY_RETIREMENT, KeyState, StoredKey

FRESH = timedelta(seconds=5)
ACCESS_TYPE = "at+jwt"
ID_TYPE = "JWT"
ALWAYS: frozenset[Line] = frozenset({"ES256", DECRYPTING})
"""The lines that nobody has to ask for."""


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys at one moment. `active` signs by default (ES256), `signers` holds the active key of each signing line.

    `jwks` is the document for the public, `etag` its validator; `signing_jwks` leaves the key for encryption out.
    """

    active: SigningKey
    signers: Mapping[Line, SigningKey]
    public: tuple[PublicKey, ...]
    decryption: tuple[EncryptionKey, ...]
    jwks: bytes
    signing_jwks: bytes
    etag: str
    read_at: datetime


class KeyRing:
    """The keys of this installation as this process knows them; for use from one event loop."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._sealed = database, SealedKeys(vault)
        self._held_lines = () if vault.held is None else vault.held.algorithms
        self._held = None if vault.held is None else HeldKeys(token_at(vault.held))
        self._keys: Keys | None = None
        self._making = anyio.Lock()

    async def current(self, *, now: datetime) -> Keys:
        """The keys, at most `FRESH` old; makes the first ones if there are none."""
        keys = self._keys
        if keys is not None and abs(now - keys.read_at) < FRESH:
            return keys
        return await self._read(now=now)

    async def signer(self, algorithm: str, *, now: datetime) -> SigningKey:
        """The active key for an algorithm; makes the line when it is the first to ask."""
        line = line_of(algorithm)
        found = (await self.current(now=now)).signers.get(line)
        if found is not None:
            return found
        async with self._making:
            if line not in (await self.current(now=now)).signers:
                await self.rotate(now=now, line=line)
            return (await self.current(now=now)).signers[line]

    async def rotate(
        self,
        *,
        now: datetime,
        force: bool = False,
        compromised: bool = False,
        line: Line | None = None,
        wanted: Collection[Line] | None = None,
        actor: str = "system",
    ) -> bool:
        """See that each line has an active and a next key, and promote the next one when the active one is old.

        For the worker, every few minutes; any number of processes may call it at once. `force` promotes whatever the
        age; `compromised` also forgets the old key at once, so that nothing it signed is believed any more. Both are
        about the signing lines, or the one named. With `wanted`, lines that nobody wants end when their key is old.
        Whether another key signs now.
        """
        stored = await store.read_keys(self._database.lookup)
        lines = {line} if line else {key.line for key in stored} | ALWAYS | set(wanted or ())
        changed = False
        for one in sorted(lines, key=LINES.index):
            pushed = (force or compromised) and (line is not None or one in SIGNING)
            step = _Step(one, [key for key in stored if key.line == one], pushed, compromised and pushed, actor)
            if wanted is not None and one not in ALWAYS and one not in wanted and step.is_old(now):
                await self._end_line(step, now=now)
            else:
                changed |= await self._step(step, now=now) and one in SIGNING
        self._keys = None
        return changed

    async def revoke(self, kid: str, *, actor: str, now: datetime) -> None:
        """Believe nothing that one key signed, from now on. Raises `NotFound`."""
        stored = await store.read_keys(self._database.lookup)
        key = next((one for one in stored if one.id == kid), None)
        if key is None:
            raise NotFound("there is no key with this id")
        if key.state == "active":
            await self.rotate(now=now, compromised=True, line=key.line, actor=actor)
            return

        def unit(execute: Execute) -> tuple[str, ...]:
            dropped = store.drop_key(execute, kid)
            if dropped:
                _tell_revoked(execute, key, actor=actor, now=now)
            return dropped

        await self._forget(await self._database.writer.run(unit))
        await self.rotate(now=now, line=key.line)

    async def bring(self, text: str, line: Line, *, actor: str, now: datetime) -> StoredKey:
        """Import a private key (PEM or JWK) as the next one of its line. Raises `BadKey`, `Conflict`.

        What was next until now never signed, and is forgotten. It signs after `rotate`, or when its turn has come.
        """
        private, kid = read_private(text, line)
        made = self._sealed.seal(private, line, kid=kid)
        key = StoredKey(made.kid, "next", made.public_jwk, made.sealed, now, None, None, line)

        def unit(execute: Execute) -> tuple[str, ...]:
            dropped = store.drop_next_key(execute, line)
            if not store.add_key(execute, key):
                raise Conflict("there is a key with this id already")
            record_in(execute, "key.imported", actor=actor, subject=key.id, now=now, detail={"alg": line})
            return dropped

        if any(one.id == key.id for one in await self.stored()):
            raise Conflict("there is a key with this id already")
        await self._forget(await self._database.writer.run(unit))
        self._keys = None
        return key

    async def stored(self) -> tuple[StoredKey, ...]:
        """Every key as stored, oldest first; for listings."""
        return await store.read_keys(self._database.lookup)

    async def _step(self, step: _Step, *, now: datetime) -> bool:
        active, follows = step.in_state("active"), step.in_state("next")
        due = active is not None and (step.pushed or (step.is_old(now) and _announced(follows, now)))
        made: list[StoredKey] = []
        if follows is None and (due or active is None):
            made.append(await self._new(step.line, "active", now=now))
        if follows is None or due or active is None:
            made.append(await self._new(step.line, "next", now=now))

        def unit(execute: Execute) -> tuple[bool, list[str]]:
            changed = False
            unused: list[str] = []
            if active is None:
                changed = store.activate_next_key(execute, step.line, now=now) is not None
            elif due and store.retire_key(execute, active.id, now=now):
                changed = True
                store.activate_next_key(execute, step.line, now=now)
                if step.compromised:
                    unused += store.drop_key(execute, active.id)
            for key in made:
                added = store.add_key(execute, key)
                unused += [] if added else [key.sealed]
                changed |= added and key.state == "active"
            if changed:
                subject = "" if active is None else active.id
                detail: JsonObject = {"compromised": step.compromised, "forced": step.pushed, "alg": step.line}
                record_in(execute, "key.rotated", actor=step.actor, subject=subject, now=now, detail=detail)
            unused += store.drop_retired_keys(execute, step.line, retired_before=now - KEY_RETIREMENT)
            if changed and step.compromised and active is not None:
                _tell_revoked(execute, active, actor=step.actor, now=now)
            return changed, unused

        changed, unused = await self._database.writer.run(unit)
        await self._forget(unused)
        return changed

    async def _end_line(self, step: _Step, *, now: datetime) -> None:
        """Nothing asks for this algorithm any more: no key of it signs, and none follows."""
        active = step.in_state("active")

        def unit(execute: Execute) -> list[str]:
            if active is not None:
                store.retire_key(execute, active.id, now=now)
            unused = [*store.drop_next_key(execute, step.line)]
            return [*unused, *store.drop_retired_keys(execute, step.line, retired_before=now - KEY_RETIREMENT)]

        await self._forget(await self._database.writer.run(unit))

    async def _read(self, *, now: datetime) -> Keys:
        stored = await store.read_keys(self._database.lookup)
        if not any(key.line == "ES256" and key.state == "active" for key in stored):
            await self.rotate(now=now)
            stored = await store.read_keys(self._database.lookup)
        known = {} if self._keys is None else self._keys.signers
        signers: dict[Line, SigningKey] = {}
        for key in stored:
            if key.state == "active" and key.line in SIGNING:
                before = known.get(key.line)
                signers[key.line] = before if before is not None and before.kid == key.id else await self._open(key)
        published = [key for key in stored if key.line in SIGNING or key.state == "active"]
        jwks = _document(published)
        self._keys = Keys(
            signers["ES256"],
            signers,
            tuple(public_key(key.public_jwk) for key in published if key.line in SIGNING),
            tuple(self._decrypting(key) for key in stored if key.line == DECRYPTING),
            jwks,
            _document(key for key in published if key.line in SIGNING),
            etag_of(jwks),
            now,
        )
        return self._keys

    async def _open(self, stored: StoredKey) -> SigningKey:
        return SigningKey(stored.id, stored.line, await self._holder_of(stored.sealed).open(stored))

    def _decrypting(self, stored: StoredKey) -> EncryptionKey:
        jwk = ECKey.import_key(self._sealed.private(stored)).as_dict(private=True)  # type: ignore[arg-type]  # P-256
        return encryption_key({**cast("JsonObject", jwk), "kid": stored.id}, private=True)

    async def _new(self, line: Line, state: KeyState, *, now: datetime) -> StoredKey:
        holder: KeyHolder = self._sealed if self._held is None or line not in self._held_lines else self._held
        made = await holder.make(line)
        activated = now if state == "active" else None
        return StoredKey(made.kid, state, made.public_jwk, made.sealed, now, activated, None, line)

    async def _forget(self, unused: Iterable[str]) -> None:
        for sealed in unused:
            await self._holder_of(sealed).forget(sealed)

    def _holder_of(self, sealed: str) -> KeyHolder:
        if not sealed.startswith(HELD):
            return self._sealed
        if self._held is None:
            raise KeyProblem("a signing key is in a PKCS#11 token, and server.keys.pkcs11 does not say where that is")
        return self._held


@dataclass(frozen=True, slots=True)
class _Step:
    """What a rotation does to one line. `pushed`: whatever the age."""

    line: Line
    keys: list[StoredKey]
    pushed: bool
    compromised: bool
    actor: str

    def in_state(self, state: KeyState) -> StoredKey | None:
        return next((key for key in self.keys if key.state == state), None)

    def is_old(self, now: datetime) -> bool:
        active = self.in_state("active")
        return active is not None and now - (active.activated_at or now) >= KEY_AGE


def _announced(follows: StoredKey | None, now: datetime) -> bool:
    return follows is not None and now - follows.created_at >= KEY_NOTICE


def _tell_revoked(execute: Execute, key: StoredKey, *, actor: str, now: datetime) -> None:
    detail: JsonObject = {"alg": key.line, "state": key.state}
    record_in(execute, "key.revoked", actor=actor, subject=key.id, now=now, detail=detail)
    if key.line in SIGNING:
        end_key(execute, key.id, now=now)


def _document(keys: Iterable[StoredKey]) -> bytes:
    return orjson.dumps({"keys": [key.public_jwk for key in keys]})


def etag_of(body: bytes) -> str:
    """A strong validator (RFC 9110 §8.8.3) of a document."""
    digest = Hash(SHA256())
    digest.update(body)
    return f'"{b64(digest.finalize()[:12])}"'
