"""Signed checkpoints: statements that the chain had this link at that place, by a key that only the vault opens.

Whoever can write to the database can make the whole chain anew, but not its checkpoints; and one that is kept elsewhere
(printed, or pushed to a webhook) tells even when checkpoints and the end of the chain were removed together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from kronborg.audit import chain_store as store
from kronborg.audit import webhooks_store
from kronborg.audit.chain import canonical
from kronborg.audit.model import ZERO, AuditKey, AuditSettings, Checkpoint
from kronborg.core.base64url import b64, from_b64
from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Database, from_micros, to_micros
from kronborg.core.errors import Invalid, Problem
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.json import JsonObject

_SIGNED = b"kronborg audit checkpoint\n"
_MEMBERS = frozenset({"k", "n", "link", "previous", "at", "kid", "signature"})
NEWS = "audit.checkpoint"

Keys = Mapping[str, Ed25519PublicKey]
"""Public keys that are believed, by id."""


async def make_checkpoint(
    database: Database, vault: Vault, *, now: datetime, settings: AuditSettings | None = None
) -> Checkpoint | None:
    """Sign the end of the chain, when it is time by `settings`, else whenever it has grown; None when it is not."""
    head, last = await store.read_head(database.lookup), await store.last_checkpoint(database.lookup)
    grown = head.n - (0 if last is None else last.n)
    if grown <= 0 or (settings is not None and not _is_time(settings, grown, last, now)):
        return None
    key = await _signing_key(database, vault, now=now)
    private = _private(vault, key)

    def unit(execute: Execute) -> Checkpoint | None:
        n, link = store.hold_head(execute)
        before = store.last_checkpoint_in(execute)
        if before is not None and before.n >= n:
            return None
        number, previous = (1, ZERO) if before is None else (before.k + 1, digest_of(before))
        made = signed(Checkpoint(number, n, link, previous, to_micros(now), key.id, ""), private)
        store.add_checkpoint(execute, made)
        body = orjson.dumps(message(made)).decode()
        for webhook_id in webhooks_store.of_checkpoints(execute):
            webhooks_store.add_delivery(
                execute, webhook_id, message_id=f"checkpoint-{made.k}", n=n, name=NEWS, body=body, now=now
            )
        return made

    return await database.writer.run(unit, alone=True)


def _is_time(settings: AuditSettings, grown: int, last: Checkpoint | None, now: datetime) -> bool:
    is_old = last is None or now - from_micros(last.at) >= settings.checkpoint_every
    return grown >= settings.checkpoint_events or is_old


def message(one: Checkpoint) -> JsonObject:
    """What webhooks are told of a checkpoint."""
    moment = from_micros(one.at).isoformat().replace("+00:00", "Z")
    return {"type": NEWS, "timestamp": moment, "data": checkpoint_json(one)}


def signed(one: Checkpoint, private: Ed25519PrivateKey) -> Checkpoint:
    """The checkpoint with its signature (Ed25519, RFC 8032)."""
    return replace(one, signature=b64(private.sign(_SIGNED + canonical(_statement(one)))))


def is_signed_by(one: Checkpoint, keys: Keys) -> bool:
    """Whether one of these keys signed this very statement."""
    key = keys.get(one.kid)
    if key is None:
        return False
    try:
        key.verify(from_b64(one.signature), _SIGNED + canonical(_statement(one)))
    except (InvalidSignature, ValueError):
        return False
    return True


def digest_of(one: Checkpoint) -> str:
    """What the checkpoint after this one names as `previous`."""
    return sha256(canonical(_statement(one))).hexdigest()


def checkpoint_json(one: Checkpoint) -> JsonObject:
    """A checkpoint as it is printed, pushed and exported."""
    return {**_statement(one), "signature": one.signature}


def read_checkpoint(value: object) -> Checkpoint:
    """What `checkpoint_json` wrote. Raises `Invalid`."""
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        value = value["data"]  # as a webhook got it
    if not isinstance(value, dict) or set(value) != _MEMBERS:
        raise Invalid(Problem("checkpoint", "is not a checkpoint", "print one with kronborg audit checkpoint"))
    numbers, texts = ("k", "n", "at"), ("link", "previous", "kid", "signature")
    if not all(type(value[name]) is int for name in numbers) or not all(type(value[name]) is str for name in texts):
        raise Invalid(Problem("checkpoint", "has members of the wrong type"))
    return Checkpoint(**value)


def _statement(one: Checkpoint) -> JsonObject:
    return {"at": one.at, "k": one.k, "kid": one.kid, "link": one.link, "n": one.n, "previous": one.previous}


async def rotate_key(database: Database, vault: Vault, *, actor: str, now: datetime) -> AuditKey:
    """Sign with a new key from now on. The old ones are kept: what they signed is still verified."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kid = b64(sha256(public).digest()[:12])
    raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    key = AuditKey(kid, b64(public), vault.seal(raw, context=_context(kid)), now, None)

    def unit(execute: Execute) -> None:
        store.add_audit_key(execute, key)
        record_in(execute, "audit.key_made", actor=actor, subject=kid, now=now)

    await database.writer.run(unit)
    return key


async def _signing_key(database: Database, vault: Vault, *, now: datetime) -> AuditKey:
    keys = [key for key in await store.read_audit_keys(database.lookup) if key.retired_at is None]
    return keys[-1] if keys else await rotate_key(database, vault, actor="system", now=now)


async def own_keys(database: Database, vault: Vault) -> tuple[dict[str, Ed25519PublicKey], tuple[str, ...]]:
    """The keys of this installation, and the ids of rows that are none: only the vault tells which are ours."""
    found, strange = {}, []
    for key in await store.read_audit_keys(database.lookup):
        try:
            public = _private(vault, key).public_key()
        except (KeyProblem, ValueError):
            strange.append(key.id)
            continue
        if b64(public.public_bytes(Encoding.Raw, PublicFormat.Raw)) == key.public:
            found[key.id] = public
        else:
            strange.append(key.id)
    return found, tuple(strange)


def key_json(kid: str, public: Ed25519PublicKey) -> JsonObject:
    """A public key as a JWK (RFC 8037)."""
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": b64(raw)}


def read_keys(value: object) -> dict[str, Ed25519PublicKey]:
    """The keys of a JWK Set as `kronborg audit key` prints it. Raises `Invalid`."""
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= 1000:
        raise Invalid(Problem("key", "is not a set of public keys", "print it with kronborg audit key"))
    try:
        return {str(one["kid"]): Ed25519PublicKey.from_public_bytes(from_b64(str(one["x"]))) for one in keys}
    except (KeyError, TypeError, ValueError):
        raise Invalid(Problem("key", "holds something that is no Ed25519 key")) from None


def _private(vault: Vault, key: AuditKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(vault.open(key.sealed, context=_context(key.id)))


def _context(kid: str) -> str:
    return f"audit.key:{kid}"
