"""Personal values in what is recorded: sealed with a key of the person they are about, so that they can be forgotten.

The log of events is never changed, and a person may ask to be forgotten. So names, addresses and attributes stand in
it as `{"sealed": …, "of": <person>}`: AES-256-GCM under the person's own key, which the vault seals. When the person is
deleted, the key is destroyed; what the log says of them then reads `(erased)`, and the chain over it still holds.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kronborg.core.crypto import Vault
from kronborg.core.db import ReadSession, Session
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.store import add_person_key, delete_person_key, read_person_key, read_person_keys

FIELDS = frozenset(
    {
        "username",
        "email",
        "name",
        "given_name",
        "family_name",
        "display_name",
        "phone",
        "address",
        "login",
        "attributes",
        "external_id",
    }
)
"""What is personal when it is recorded of a person."""
CHANGED = "changed"
ERASED = "(erased)"

_NONCE = 12


async def sealed_detail(session: Session, detail: JsonObject, person: str, *, now: datetime) -> JsonObject:
    """The detail with every personal value sealed for this person: its members, and the pairs under `changed`."""
    changed = detail.get(CHANGED)
    pairs = changed if isinstance(changed, Mapping) else {}
    if FIELDS.isdisjoint([*detail, *pairs]):
        return detail
    key = await _key_for(session, person, now=now)
    told = {name: _seal(key, person, value) if name in FIELDS else value for name, value in detail.items()}
    if pairs:
        told[CHANGED] = {
            name: [_seal(key, person, one) for one in _list(pair)] if name in FIELDS else pair
            for name, pair in pairs.items()
        }
    return told


async def forget_person(session: Session, person: str) -> None:
    """Destroy the key: what was recorded of this person cannot be read any more, by anybody."""
    await delete_person_key(session, person)


async def opened(session: ReadSession, vault: Vault, details: Sequence[JsonObject]) -> list[JsonObject]:
    """The details with every sealed value in the clear, or `(erased)`."""
    people = {person for detail in details for person in _people(detail)}
    sealed = await read_person_keys(session, people) if people else {}
    keys = {person: _open_key(vault, person, one) for person, one in sealed.items()}
    return [_members(detail, keys) for detail in details]


async def _key_for(session: Session, person: str, *, now: datetime) -> AESGCM | None:
    if session.vault is None:
        return None
    sealed = await read_person_key(session, person)
    if sealed is None:
        made = session.vault.seal(AESGCM.generate_key(bit_length=256), context=_context(person))
        await add_person_key(session, person, made, now=now)
        sealed = await read_person_key(session, person) or made
    return _open_key(session.vault, person, sealed)


def _open_key(vault: Vault, person: str, sealed: str) -> AESGCM:
    return AESGCM(vault.open(sealed, context=_context(person)))


def _context(person: str) -> str:
    return f"core.person:{person}"


def _seal(key: AESGCM | None, person: str, value: JsonValue) -> JsonValue:
    """A value as the log keeps it; empty ones say nothing about anybody. Without a key it is left out."""
    if value is None or value == "" or value == {}:
        return value
    if key is None:
        return {"sealed": "", "of": person}
    nonce = os.urandom(_NONCE)
    body = key.encrypt(nonce, orjson.dumps(value), person.encode())
    return {"sealed": base64.urlsafe_b64encode(nonce + body).decode(), "of": person}


def _people(value: JsonValue) -> Iterable[str]:
    """The people whose values are sealed in this one."""
    if isinstance(value, Mapping):
        of = value.get("of")
        if _is_sealed(value) and isinstance(of, str):
            yield of
        else:
            for member in value.values():
                yield from _people(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            yield from _people(member)


def _members(value: JsonObject, keys: Mapping[str, AESGCM]) -> JsonObject:
    return {name: _opened(member, keys) for name, member in value.items()}


def _opened(value: JsonValue, keys: Mapping[str, AESGCM]) -> JsonValue:
    if isinstance(value, Mapping):
        return _value(value, keys) if _is_sealed(value) else _members(value, keys)
    if isinstance(value, (list, tuple)):
        return [_opened(member, keys) for member in value]
    return value


def _value(value: JsonObject, keys: Mapping[str, AESGCM]) -> JsonValue:
    person = str(value["of"])
    key = keys.get(person)
    if key is None or not value["sealed"]:
        return ERASED
    try:
        raw = base64.urlsafe_b64decode(str(value["sealed"]))
        found: JsonValue = orjson.loads(key.decrypt(raw[:_NONCE], raw[_NONCE:], person.encode()))
    except (InvalidTag, ValueError):
        return ERASED
    return found


def _is_sealed(value: Collection[str]) -> bool:
    return set(value) == {"sealed", "of"}


def _list(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, (list, tuple)) else [value]
