"""Claims about a person: those an API's tokens carry by its mapping, and those of OpenID Connect.

A claim without a value is left out, always.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from kronborg.accounts.model import User
from kronborg.clients.claim_sources import STATIC
from kronborg.core.json import JsonObject, JsonValue
from kronborg.tokens.engine import Engine
from kronborg.tokens.live import person_behind
from kronborg.tokens.model import Access, Grant
from kronborg.tokens.store import find_grant


async def mapped_claims(engine: Engine, access: Access, *, now: datetime) -> JsonObject:
    """The claims that the API of a token wishes for (`settings.claims`), as of now.

    What only a person has is told where a person's grant stands behind the token.
    """
    api = (await engine.directory.apis(now=now)).by_audience.get(access.audience)
    if api is None or not api.settings.claims:
        return {}
    mapping = api.settings.claims
    client = await engine.directory.client(access.client_id, now=now)
    known: dict[str, JsonValue] = {"client_name": None if client is None else client.name}
    if access.grant_id is not None:
        known |= await _about(engine, access.grant_id, now=now)
    told: dict[str, JsonValue] = {}
    for name, source in mapping.items():
        value = source.removeprefix(STATIC) if source.startswith(STATIC) else known.get(source)
        if value not in (None, "", ()):
            told[name] = value
    return told


async def _about(engine: Engine, grant_id: str, *, now: datetime) -> JsonObject:
    grant = await find_grant(engine.database.lookup, grant_id)
    person = None if grant is None else await person_behind(engine, grant, now=now)
    if grant is None or person is None:
        return {}
    return {
        "username": person.username,
        "name": person.name,
        "email": person.email,
        "groups": person.groups,
        "roles": person.roles,
        "auth_time": int(grant.auth_time.timestamp()),
        "amr": grant.amr,
        "acr": grant.details.acr,
    }


def claims_of(user: User, scopes: Collection[str], names: Collection[str] = ()) -> JsonObject:
    """What OpenID Connect tells by scopes (OIDC Core §5.4), and by the names of single claims (§5.5)."""
    known: dict[str, JsonValue] = {
        "preferred_username": user.username,
        "updated_at": int(user.updated_at.timestamp()),
        "name": user.name or None,
        "email": user.email,
        # Clients link accounts by an address only when it was proved to be theirs.
        "email_verified": None if user.email is None else user.email_verified,
        "locale": user.locale or None,
    }
    profile, email = "profile" in scopes, "email" in scopes
    return {
        name: value
        for name, value in known.items()
        if value is not None and ((email if name.startswith("email") else profile) or name in names)
    }


def asked_by_name(grant: Grant | None, place: str) -> tuple[str, ...]:
    """The claims that the `claims` parameter asked for in one place, `id_token` or `userinfo`."""
    kept = None if grant is None or grant.details.claims is None else grant.details.claims.get(place)
    return tuple(name for name in kept if isinstance(name, str)) if isinstance(kept, (list, tuple)) else ()
