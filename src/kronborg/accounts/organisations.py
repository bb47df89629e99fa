"""Organisations: make and change them, their domains, and who is a member.

A domain counts once it is verified: an administrator says so, after looking for the token in the domain's TXT record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kronborg.accounts.model import (
    MAX_DOMAINS,
    MEMBER_ROLES,
    Domain,
    Organisation,
    clean,
    domain_name,
    organisation_problems,
)
from kronborg.accounts.organisations_store import (
    delete_member,
    delete_organisation_row,
    find_member,
    find_organisation,
    insert_organisation,
    put_member,
    update_organisation_row,
)
from kronborg.accounts.store import find_user
from kronborg.core.db import Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id, random_token
from kronborg.core.json import JsonValue

TXT = "kronborg-domain="
"""What stands before the token in a TXT record."""


@dataclass(frozen=True, slots=True)
class OrganisationDraft:
    """An organisation as somebody wishes it to be; `domains` and `verified` (some of them) are names."""

    slug: str
    name: str = ""
    provider: str = ""
    domains: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()


async def create_organisation(
    session: Session, draft: OrganisationDraft, *, actor: str, now: datetime, organisation_id: str | None = None
) -> Organisation:
    """Make an organisation. Raises `Invalid` with all that is wrong, or `Conflict` for what others have."""
    one = _drafted(draft, Organisation(organisation_id or new_id(), "", "", "", (), now, now), now)
    await insert_organisation(session, one)
    detail: dict[str, JsonValue] = {"name": one.name, "slug": one.slug}
    await record(session, "organisation.created", actor=actor, subject=one.id, now=now, detail=detail)
    return one


async def update_organisation(
    session: Session, organisation_id: str, draft: OrganisationDraft, *, actor: str, now: datetime
) -> Organisation:
    """Make an organisation as drafted; domains that stay keep their tokens. Raises like `create_organisation`."""
    before = await find_organisation(session, organisation_id)
    if before is None:
        raise NotFound("there is no such organisation")
    after = _drafted(draft, before, now)
    if after == before:
        return before
    after = replace(after, updated_at=now)
    await update_organisation_row(session, after)
    changed: dict[str, JsonValue] = {}
    for field in ("name", "slug", "provider"):
        if getattr(before, field) != getattr(after, field):
            changed[field] = [getattr(before, field), getattr(after, field)]
    if before.domains != after.domains:
        changed["domains"] = [_told(before.domains), _told(after.domains)]
    detail: dict[str, JsonValue] = {"changed": changed}
    await record(session, "organisation.updated", actor=actor, subject=organisation_id, now=now, detail=detail)
    return after


async def delete_organisation(session: Session, organisation_id: str, *, actor: str, now: datetime) -> None:
    """Remove an organisation; its members keep their accounts. Raises `NotFound`."""
    before = await find_organisation(session, organisation_id)
    if before is None or not await delete_organisation_row(session, organisation_id):
        raise NotFound("there is no such organisation")
    detail: dict[str, JsonValue] = {"name": before.name, "slug": before.slug}
    await record(session, "organisation.deleted", actor=actor, subject=organisation_id, now=now, detail=detail)


async def add_member(
    session: Session, organisation_id: str, user_id: str, *, role: str = "member", actor: str, now: datetime
) -> None:
    """Make a person a member, or change what they are there. Raises `NotFound`, `Invalid`."""
    if role not in MEMBER_ROLES:
        raise Invalid(Problem("role", "there is no such role of members", "use member or admin"))
    if await find_organisation(session, organisation_id) is None:
        raise NotFound("there is no such organisation")
    user = await find_user(session, user_id)
    if user is None:
        raise NotFound("there is no such user")
    before = await find_member(session, organisation_id, user_id)
    if before == role:
        return
    await put_member(session, organisation_id, user_id, role, now)
    name = "organisation.member_added" if before is None else "organisation.member_changed"
    detail: dict[str, JsonValue] = {"user": user_id, "changed": {"role": [before, role]}}
    await record(session, name, actor=actor, subject=organisation_id, now=now, detail=detail)


async def remove_member(session: Session, organisation_id: str, user_id: str, *, actor: str, now: datetime) -> None:
    """Let a person be no member any more; the account stays. Raises `NotFound`."""
    before = await find_member(session, organisation_id, user_id)
    if before is None or not await delete_member(session, organisation_id, user_id):
        raise NotFound("this person is no member of the organisation")
    detail: dict[str, JsonValue] = {"user": user_id, "changed": {"role": [before, None]}}
    await record(session, "organisation.member_removed", actor=actor, subject=organisation_id, now=now, detail=detail)


def _drafted(draft: OrganisationDraft, before: Organisation, now: datetime) -> Organisation:
    slug, name, provider = clean(draft.slug).lower(), clean(draft.name or draft.slug), clean(draft.provider)
    problems = organisation_problems(name=name, slug=slug, provider=provider)
    domains = _domains(draft, {one.name: one for one in before.domains}, now, problems)
    if problems:
        raise Invalid(*problems)
    return replace(before, name=name, slug=slug, provider=provider, domains=domains)


def _domains(
    draft: OrganisationDraft, known: dict[str, Domain], now: datetime, problems: list[Problem]
) -> tuple[Domain, ...]:
    names = [domain_name(text) for text in draft.domains]
    verified = {domain_name(text) for text in draft.verified}
    if None in names or len(names) > MAX_DOMAINS:
        mend = f"write at most {MAX_DOMAINS}, each like company.example"
        problems.append(Problem("domains", "this is not a domain, or there are too many", mend))
    if not verified <= set(names):
        problems.append(Problem("verified", "this is not a domain of the organisation", "name it under domains too"))
    found = []
    for name in sorted({name for name in names if name is not None}):
        one = known.get(name) or Domain(name, random_token(16), None)
        found.append(replace(one, verified_at=(one.verified_at or now) if name in verified else None))
    return tuple(found)


def _told(domains: Sequence[Domain]) -> list[JsonValue]:
    return [f"{one.name} ({'verified' if one.verified else 'not verified'})" for one in domains]
