"""Claims about a person: those an API's tokens carry by its mapping, and those of OpenID Connect.

A claim without a value is left out, always.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from kronborg.accounts.attributes import attribute_claims
from kronborg.accounts.model import User, told_roles
from kronborg.accounts.settings import Attribute
from kronborg.clients.claim_sources import ORGANISATION_SOURCES, STATIC
from kronborg.clients.model import Client
from kronborg.core.json import JsonObject, JsonValue
from kronborg.tokens.engine import Engine
from kronborg.tokens.live import account_of, person_behind
from kronborg.tokens.model import Access, Grant, Subject
from kronborg.tokens.people_store import organisations_of
from kronborg.tokens.store import find_grant


async def mapped_claims(engine: Engine, access: Access, *, now: datetime) -> JsonObject:
    """The claims that the API of a token wishes for (`settings.claims`), as of now.

    What only a person has is told where a person's grant, or a service account, stands behind the token.
    """
    api = (await engine.directory.apis(now=now)).by_audience.get(access.audience)
    if api is None or not api.settings.claims:
        return {}
    mapping = api.settings.claims
    client = await engine.directory.client(access.client_id, now=now)
    known: dict[str, JsonValue] = {"client_name": None if client is None else client.name}
    grant = None
    if access.grant_id is not None:
        grant = await find_grant(engine.database.lookup, access.grant_id)
        person = None if grant is None else await person_behind(engine, grant, now=now)
    else:
        accountable = client is not None and client.settings.service_account is not None
        person = await account_of(engine, client) if client is not None and accountable else None
    if person is not None:
        known |= _of_person(person, api.settings.role_prefix)
        if not ORGANISATION_SOURCES.isdisjoint(mapping.values()):
            known |= await organisation_claims(engine, person.id, grant)
    if grant is not None and person is not None:
        known |= {"auth_time": int(grant.auth_time.timestamp()), "amr": grant.amr, "acr": grant.details.acr}
    told: dict[str, JsonValue] = {}
    for name, source in mapping.items():
        value = source.removeprefix(STATIC) if source.startswith(STATIC) else known.get(source)
        if value not in (None, "", ()):
            told[name] = value
    return told


def _of_person(person: Subject, role_prefix: str | None) -> dict[str, JsonValue]:
    return {
        "username": person.username,
        "name": person.name,
        "email": person.email,
        "groups": person.groups,
        "roles": told_roles(person.roles, role_prefix),
    }


async def organisation_claims(engine: Engine, user_id: str, grant: Grant | None) -> dict[str, JsonValue]:
    """The organisation to tell of: the one that the grant was asked for, else the only one there is.

    Somebody in several, of whom nobody asked for one, is in none of them here.
    """
    found = await organisations_of(engine.database.lookup, user_id)
    wanted = None if grant is None else grant.details.organisation
    if wanted is not None:
        found = [one for one in found if one[0] == wanted]
    if len(found) != 1:
        return {}
    org_id, slug, role = found[0]
    return {"org_id": org_id, "organisation": slug, "org_role": role}


async def client_claims(engine: Engine, client: Client, grant: Grant, *, now: datetime) -> JsonObject:
    """What ID tokens and userinfo tell this client besides: its own roles of the person, the organisation asked for.

    Ask only where `tells_more` says that there is something.
    """
    told: dict[str, JsonValue] = {}
    if client.settings.roles:
        person, own = await person_behind(engine, grant, now=now), f"{client.id}/"
        roles = () if person is None else tuple(r.removeprefix(own) for r in person.roles if r.startswith(own))
        if roles:
            told["roles"] = roles
    if grant.details.organisation is not None:
        told |= await organisation_claims(engine, grant.user_id, grant)
    return told


def tells_more(client: Client, grant: Grant) -> bool:
    """Whether there may be something that only this client is told."""
    return bool(client.settings.roles) or grant.details.organisation is not None


def claims_of(
    user: User, scopes: Collection[str], names: Collection[str] = (), attributes: Sequence[Attribute] = ()
) -> JsonObject:
    """What OpenID Connect tells by scopes (OIDC Core §5.4), and by the names of single claims (§5.5).

    `attributes` are those of the installation's schema, told by scopes alone.
    """
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
    told = {
        name: value
        for name, value in known.items()
        if value is not None and ((email if name.startswith("email") else profile) or name in names)
    }
    return {**told, **attribute_claims(attributes, user, scopes)} if attributes else told


def told_attributes(engine: Engine) -> tuple[Attribute, ...]:
    """The attributes that clients are told of."""
    return () if engine.people is None else tuple(one for one in engine.people.settings.attributes if one.claim)


def asked_by_name(grant: Grant | None, place: str) -> tuple[str, ...]:
    """The claims that the `claims` parameter asked for in one place, `id_token` or `userinfo`."""
    kept = None if grant is None or grant.details.claims is None else grant.details.claims.get(place)
    return tuple(name for name in kept if isinstance(name, str)) if isinstance(kept, (list, tuple)) else ()
