"""Make, rotate and revoke API keys and personal access tokens. The audit log hears of each, gateways of an end."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kronborg.api_keys import store
from kronborg.api_keys.model import MOST, PREFIXES, SHOWN, ApiKey, KeyDraft, KeySettings, Kind, NewKey
from kronborg.clients.model import Api, Client
from kronborg.core import opaque
from kronborg.core.addresses import networks
from kronborg.core.crypto import Vault
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject
from kronborg.tokens.engine import Engine
from kronborg.tokens.feed import Notice, tell
from kronborg.tokens.feed_store import hold_numbers
from kronborg.tokens.model import INTERNAL_LIFETIME
from kronborg.tokens.people_store import find_subject

DIGEST = "api-key"
_SHORTEST = timedelta(minutes=1)
_LISTS = 20


async def make_for_client(
    engine: Engine, client_id: str, draft: KeyDraft, settings: KeySettings, *, actor: str, now: datetime
) -> NewKey:
    """A key of a client. Its scopes are among those that the client may ask for. Raises `Invalid`, `NotFound`."""
    client = await engine.directory.client(client_id, now=now)
    if client is None:
        raise NotFound("there is no client with this id")
    problems = [*_problems(draft, settings.longest), *await _scope_problems(engine, draft, client, now=now)]
    if problems:
        raise Invalid(*problems)
    return await _make(engine, "api_key", draft, settings, client_id=client_id, actor=actor, now=now)


async def make_for_person(
    engine: Engine, user_id: str, draft: KeyDraft, settings: KeySettings, *, actor: str, now: datetime
) -> NewKey:
    """A personal access token. Raises `Invalid`, `NotFound`, `Conflict` where people may make none."""
    if not settings.personal:
        raise Conflict("people make no personal access tokens here")
    if await find_subject(engine.database.lookup, user_id, session_id=None, idle=engine.session_idle, now=now) is None:
        raise NotFound("there is no such user, or the account is switched off")
    problems = [*_problems(draft, settings.longest_personal), *await _scope_problems(engine, draft, None, now=now)]
    if problems:
        raise Invalid(*problems)
    return await _make(engine, "personal_token", draft, settings, user_id=user_id, actor=actor, now=now)


async def rotate(engine: Engine, key_id: str, settings: KeySettings, *, actor: str, now: datetime) -> NewKey:
    """A new key of a client like this one, which goes on for the overlap. It lasts as long as the old one was made for.

    Raises `NotFound`, and `Conflict` when the old one has ended, was rotated before, or is of a person: whoever makes
    one of those is that person from then on.
    """
    old = await store.find_key(engine.database.lookup, key_id)
    if old is None:
        raise NotFound("there is no key with this id")
    if old.kind != "api_key":
        raise Conflict("personal access tokens are made by their person alone: revoke it, and let them make another")
    lifetime = min(old.expires_at - old.created_at, settings.longest)
    fresh, digest, text = _minted(engine.vault, replace(old, created_at=now, created_by=actor, rotated_at=None))
    fresh = replace(fresh, expires_at=now + lifetime, last_used_at=None)

    def unit(execute: Execute) -> None:
        if not store.rotate_key(execute, old.id, until=now + settings.overlap, now=now):
            raise Conflict("the key has ended, or was rotated before")
        store.add_key(execute, digest, fresh)
        detail: JsonObject = {"key": old.id, "owner": old.owner, "successor": fresh.id}
        record_in(execute, f"{old.kind}.rotated", actor=actor, subject=_about(old), now=now, detail=detail)

    await engine.database.writer.run(unit)
    return NewKey(fresh, text)


async def revoke(engine: Engine, key_id: str, *, actor: str, now: datetime, user_id: str | None = None) -> None:
    """End a key at once, also at the gateways that know it. Raises `NotFound`.

    With `user_id`, only a personal access token of that person.
    """
    key = await store.find_key(engine.database.lookup, key_id)
    if key is None or (user_id is not None and key.user_id != user_id):
        raise NotFound("there is no key with this id")

    def unit(execute: Execute) -> None:
        hold_numbers(execute)
        if not store.revoke_key(execute, key_id, now=now):
            raise NotFound("there is no key with this id")
        detail: JsonObject = {"key": key_id, "owner": key.owner}
        record_in(execute, f"{key.kind}.revoked", actor=actor, subject=_about(key), now=now, detail=detail)
        # What gateways remember of it names the key as its `jti`, and is not believed for longer than this.
        tell(execute, (Notice("token", key_id, until=now + 2 * INTERNAL_LIFETIME),), now=now)

    await engine.database.writer.run(unit)


def _about(key: ApiKey) -> str:
    """Whom an event is about: a person reads of their own tokens."""
    return key.user_id or key.id


def digest_of(vault: Vault, text: str) -> bytes:
    """What a key is stored and found by."""
    return vault.digest(text, context=DIGEST)


async def _make(
    engine: Engine,
    kind: Kind,
    draft: KeyDraft,
    settings: KeySettings,
    *,
    actor: str,
    now: datetime,
    client_id: str | None = None,
    user_id: str | None = None,
) -> NewKey:
    longest = settings.longest if kind == "api_key" else settings.longest_personal
    plain = ApiKey(
        id="",
        kind=kind,
        shown="",
        name=draft.name.strip(),
        client_id=client_id,
        user_id=user_id,
        audiences=tuple(sorted(set(draft.audiences))),
        scopes=tuple(sorted(set(draft.scopes))),
        addresses=tuple(str(network) for network in networks(draft.addresses)),
        created_at=now,
        created_by=actor,
        expires_at=now + (draft.lifetime or longest),
    )
    key, digest, text = _minted(engine.vault, plain)

    def unit(execute: Execute) -> None:
        if store.count_keys(execute, key.owner, personal=user_id is not None, now=now) >= MOST:
            raise Conflict("there are 50 keys already: revoke one first")
        store.add_key(execute, digest, key)
        detail: JsonObject = {
            "key": key.id,
            "owner": key.owner,
            "audiences": list(key.audiences),
            "scopes": list(key.scopes),
            "expires_at": key.expires_at.isoformat(),
        }
        record_in(execute, f"{kind}.created", actor=actor, subject=_about(key), now=now, detail=detail)

    await engine.database.writer.run(unit)
    return NewKey(key, text)


def _minted(vault: Vault, key: ApiKey) -> tuple[ApiKey, bytes, str]:
    text = opaque.mint(PREFIXES[key.kind])
    return replace(key, id=new_id(), shown=text[:SHOWN]), digest_of(vault, text), text


def _problems(draft: KeyDraft, longest: timedelta) -> list[Problem]:
    found: list[Problem] = []
    name = draft.name.strip()
    if not 0 < len(name) <= 100 or any(unicodedata.category(letter) in ("Cc", "Cf") for letter in name):
        found.append(Problem("name", "is empty, longer than 100 characters, or holds characters that nobody sees"))
    if not draft.audiences or len(draft.audiences) > _LISTS:
        found.append(Problem("audiences", "names no API, or more than 20", "name the APIs that it is for"))
    if len(draft.scopes) > 100:
        found.append(Problem("scopes", "are more than 100"))
    if draft.lifetime is not None and not _SHORTEST <= draft.lifetime <= longest:
        found.append(Problem("lifetime", "is shorter than a minute, or longer than this installation allows"))
    try:
        several = networks(draft.addresses)
    except ValueError:
        found.append(Problem("addresses", "holds something that is no address or network", "write 192.0.2.0/24"))
    else:
        if len(several) > _LISTS:
            found.append(Problem("addresses", "are more than 20"))
    return found


async def _scope_problems(
    engine: Engine, draft: KeyDraft, client: Client | None, *, now: datetime
) -> Sequence[Problem]:
    """Every scope is one of the APIs named, and one that the client may ask for."""
    apis = await engine.directory.apis(now=now)
    named: list[Api] = []
    for audience in draft.audiences:
        api = apis.by_audience.get(audience)
        # The admin API and SCIM are served beside the gateway, and take tokens only.
        if api is None or audience in (f"{engine.issuer}/api", f"{engine.issuer}/scim"):
            return [Problem("audiences", "names an API that does not exist, or that takes no keys")]
        named.append(api)
    known = {scope for api in named for scope in api.scope_names}
    wrong = [scope for scope in draft.scopes if scope not in known]
    if wrong:
        return [Problem("scopes", "holds a scope that none of these APIs has")]
    if client is not None and not set(draft.scopes) <= set(client.scopes):
        return [Problem("scopes", "holds a scope that the client may not ask for", "give it to the client first")]
    return []
