"""Consent: what a person allows an app of somebody else, remembered until it is widened or withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kronborg.core.db import Database
from kronborg.core.errors import Refusal
from kronborg.core.events import record_in
from kronborg.core.group_writer import Execute
from kronborg.oauth.model import Consent
from kronborg.oauth.store import consents_of_user, forget_consent, hold_consent, keep_consent
from kronborg.tokens.ending import end_grants_to
from kronborg.tokens.model import Grant
from kronborg.tokens.store import grants_of_user


@dataclass(frozen=True, slots=True)
class Access:
    """What one client may do for a person: what was consented to, and what its grants hold.

    `types` are those of the authorization details of its grants (RFC 9396). `lasting`: it goes on after sign-out.
    """

    client_id: str
    scopes: frozenset[str]
    since: datetime
    last_used_at: datetime | None
    types: tuple[str, ...] = ()
    lasting: bool = False


class ConsentGone(Refusal):
    """The consent that a code was about to be given for does not stand any more."""


def unless_withdrawn(
    user_id: str, client_id: str, scopes: tuple[str, ...], audiences: tuple[str, ...]
) -> Callable[[Execute], None]:
    """For the unit that makes a code: raises `ConsentGone` unless all of this is still allowed.

    A withdrawal at the same moment either finds the grant of that unit and revokes it, or is found by it.
    """

    def check(execute: Execute) -> None:
        consent = hold_consent(execute, user_id, client_id)
        if consent is None or not consent.covers(scopes, audiences):
            raise ConsentGone("the consent was withdrawn meanwhile")

    return check


async def remember(database: Database, given: Consent) -> Consent:
    """Add a yes to what was allowed before; the whole of it. Answered after the commit."""

    def unit(execute: Execute) -> Consent:
        whole = keep_consent(execute, given)
        record_in(
            execute,
            "consent.granted",
            actor=given.user_id,
            subject=given.user_id,
            now=given.granted_at,
            detail={"client_id": given.client_id, "scopes": sorted(given.scopes), "audiences": sorted(given.audiences)},
        )
        return whole

    return await database.writer.run(unit)


async def withdraw(
    database: Database, user_id: str, client_id: str, *, now: datetime, actor: str | None = None
) -> bool:
    """Take everything back that a person allowed a client: the consent and all grants. Whether there was anything.

    `actor` is who does so, when it is not that person.

    Codes, refresh tokens and access tokens hang on a grant and are refused with it from the commit on.
    """
    who = actor or user_id

    def unit(execute: Execute) -> bool:
        forgotten = forget_consent(execute, user_id, client_id)
        ended = end_grants_to(execute, user_id, client_id, actor=who, reason="consent_withdrawn", now=now)
        if not forgotten and not ended:
            return False
        detail = {"client_id": client_id}
        record_in(execute, "consent.withdrawn", actor=who, subject=user_id, now=now, detail=detail)
        return True

    return await database.writer.run(unit)


async def access_of(database: Database, user_id: str, *, now: datetime) -> Sequence[Access]:
    """Every client that may act for a person, the one used last first."""
    consents = {consent.client_id: consent for consent in await consents_of_user(database.lookup, user_id)}
    grants: dict[str, list[Grant]] = {}
    for grant in await grants_of_user(database.lookup, user_id, now=now):
        grants.setdefault(grant.client_id, []).append(grant)
    found = [_access(client_id, consents.get(client_id), grants.get(client_id, [])) for client_id in consents | grants]
    return sorted(found, key=lambda access: access.last_used_at or access.since, reverse=True)


def _access(client_id: str, consent: Consent | None, grants: Sequence[Grant]) -> Access:
    scopes = frozenset(consent.scopes if consent else ()).union(*(grant.scopes for grant in grants))
    begun = [grant.created_at for grant in grants]
    since = min([*begun, consent.since] if consent else begun)
    types = {str(one["type"]) for grant in grants for one in grant.details.authorization_details}
    lasting = "offline_access" in scopes or any(grant.session_id is None for grant in grants)
    return Access(client_id, scopes, since, max(begun, default=None), tuple(sorted(types)), lasting)
