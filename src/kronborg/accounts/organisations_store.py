"""The tables of organisations, their domains and members, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from sqlalchemy import Column, ForeignKey, Index, Table, Text, delete, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from kronborg.accounts.model import Belonging, Domain, Member, MemberRole, Organisation
from kronborg.accounts.store import MAX_PAGE, Key, begins, sought, users_of_rows, users_table
from kronborg.core.db import ReadSession, Session, UtcDateTime, metadata
from kronborg.core.errors import Conflict

organisations_table = Table(
    "accounts_organisations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("slug", Key, nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

domains_table = Table(
    "accounts_domains",
    metadata,
    Column("name", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("accounts_organisations.id", ondelete="CASCADE"), nullable=False),
    Column("token", Text, nullable=False),
    Column("verified_at", UtcDateTime),
    Index("ix_accounts_domains_organisation_id", "organisation_id"),
)

members_table = Table(
    "accounts_members",
    metadata,
    Column("organisation_id", Text, ForeignKey("accounts_organisations.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Index("ix_accounts_members_user_id", "user_id"),
)

_organisations, _domains, _members = organisations_table.c, domains_table.c, members_table.c
_users = users_table.c


async def insert_organisation(session: Session, one: Organisation) -> None:
    """One new organisation, with its domains. Raises `Conflict` when its short name or a domain is taken."""
    try:
        await session.execute(insert(organisations_table).values(**_values(one), id=one.id, created_at=one.created_at))
    except IntegrityError:
        raise Conflict("there is already an organisation with this short name") from None
    await _insert_domains(session, one.id, one.domains)


async def update_organisation_row(session: Session, one: Organisation) -> None:
    """All of an existing organisation but its members. Raises `Conflict` like `insert_organisation`."""
    try:
        await session.execute(update(organisations_table).where(_organisations.id == one.id).values(**_values(one)))
    except IntegrityError:
        raise Conflict("there is already an organisation with this short name") from None
    await session.execute(delete(domains_table).where(_domains.organisation_id == one.id))
    await _insert_domains(session, one.id, one.domains)


async def _insert_domains(session: Session, organisation_id: str, domains: Sequence[Domain]) -> None:
    rows: list[dict[str, object]] = [
        {"name": one.name, "organisation_id": organisation_id, "token": one.token, "verified_at": one.verified_at}
        for one in domains
    ]
    try:
        await session.execute_many(insert(domains_table), rows)
    except IntegrityError:
        raise Conflict("a domain already belongs to another organisation") from None


async def delete_organisation_row(session: Session, organisation_id: str) -> bool:
    """Remove an organisation, its domains and memberships; False when there was none."""
    gone = delete(organisations_table).where(_organisations.id == organisation_id).returning(_organisations.id)
    return await session.scalar(gone) is not None


async def find_organisation(session: ReadSession, organisation_id: str) -> Organisation | None:
    """The organisation with this id."""
    return await _one(
        session, await session.first(select(organisations_table).where(_organisations.id == organisation_id))
    )


async def find_organisation_by_slug(session: ReadSession, slug: str) -> Organisation | None:
    """The organisation with this short name."""
    return await _one(
        session, await session.first(select(organisations_table).where(_organisations.slug == sought(slug)))
    )


async def organisation_of_domain(session: ReadSession, domain: str) -> Organisation | None:
    """The organisation whose verified domain this is: for home-realm discovery and provisioning by e-mail address."""
    found = await session.first(
        select(_domains.organisation_id).where(_domains.name == sought(domain), _domains.verified_at.is_not(None))
    )
    return None if found is None else await find_organisation(session, str(found.organisation_id))


async def list_organisations(
    session: ReadSession,
    *,
    search: str = "",
    after: str | None = None,
    limit: int = 50,
    only: Collection[str] | None = None,
) -> Sequence[Organisation]:
    """Organisations by short name, after the one with id `after`; `search` is the beginning of a short name.

    `only`: no others than those with these ids.
    """
    query = select(organisations_table).order_by(_organisations.slug).limit(max(1, min(limit, MAX_PAGE)))
    if search:
        query = query.where(begins(_organisations.slug, sought(search)[:63]))
    if only is not None:
        query = query.where(_organisations.id.in_(sorted(only)))
    if after is not None:
        last = select(_organisations.slug).where(_organisations.id == after).scalar_subquery()
        query = query.where(_organisations.slug > last)
    rows = await session.execute(query)
    domains = await _domains_of(session, [str(row.id) for row in rows])
    return [_organisation(row, domains.get(str(row.id), ())) for row in rows]


async def organisations_of(session: ReadSession, user_id: str) -> Sequence[Belonging]:
    """The organisations that a person is a member of, by short name."""
    rows = await session.execute(
        select(_organisations.id, _organisations.slug, _organisations.name, _members.role)
        .join(members_table, _members.organisation_id == _organisations.id)
        .where(_members.user_id == user_id)
        .order_by(_organisations.slug)
    )
    return [Belonging(row.id, row.slug, row.name, row.role) for row in rows]


async def administered_by(session: ReadSession, user_id: str) -> tuple[str, ...]:
    """The ids of the organisations that a person administers."""
    query = select(_members.organisation_id).where(_members.user_id == user_id, _members.role == "admin")
    return tuple(sorted(str(row.organisation_id) for row in await session.execute(query)))


async def find_member(session: ReadSession, organisation_id: str, user_id: str) -> MemberRole | None:
    """What a person is in an organisation; None for nothing."""
    this = (_members.organisation_id == organisation_id) & (_members.user_id == user_id)
    return cast("MemberRole | None", await session.scalar(select(_members.role).where(this)))


async def put_member(session: Session, organisation_id: str, user_id: str, role: str, added_at: object) -> None:
    """Make a person a member, or change what they are there."""
    this = (_members.organisation_id == organisation_id) & (_members.user_id == user_id)
    changed = update(members_table).where(this).values(role=role).returning(_members.user_id)
    if await session.scalar(changed) is None:
        row = {"organisation_id": organisation_id, "user_id": user_id, "role": role, "added_at": added_at}
        await session.execute(insert(members_table).values(**row))


async def delete_member(session: Session, organisation_id: str, user_id: str) -> bool:
    """Let a person be no member any more; False when they were none."""
    this = (_members.organisation_id == organisation_id) & (_members.user_id == user_id)
    return await session.scalar(delete(members_table).where(this).returning(_members.user_id)) is not None


async def list_members(
    session: ReadSession, organisation_ids: Sequence[str], *, search: str = "", after: str = "", limit: int = 50
) -> Sequence[Member]:
    """The members of organisations, in the order of their ids, after the id `after`; each person once.

    `search` is the beginning of a username, an e-mail address or a name.
    """
    query = (
        select(users_table, _members.role.label("member_role"), _members.added_at)
        .join(members_table, _members.user_id == _users.id)
        .where(_members.organisation_id.in_(sorted(organisation_ids)), _members.user_id > after)
        .order_by(_members.user_id)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    if search:
        prefix = sought(search)[:254]
        columns = (_users.username_key, _users.email_key, _users.name_key)
        query = query.where(begins(columns[0], prefix) | begins(columns[1], prefix) | begins(columns[2], prefix))
    rows = {str(row.id): row for row in await session.execute(query)}
    users = await users_of_rows(session, list(rows.values()))
    return [Member(user, rows[user.id].member_role, rows[user.id].added_at) for user in users]


async def _one(session: ReadSession, row: Row[tuple[object, ...]] | None) -> Organisation | None:
    if row is None:
        return None
    return _organisation(row, (await _domains_of(session, [str(row.id)])).get(str(row.id), ()))


async def _domains_of(session: ReadSession, ids: Sequence[str]) -> Mapping[str, tuple[Domain, ...]]:
    rows = await session.execute(select(domains_table).where(_domains.organisation_id.in_(ids)).order_by(_domains.name))
    found: dict[str, tuple[Domain, ...]] = {}
    for row in rows:
        one = Domain(row.name, row.token, row.verified_at)
        found[row.organisation_id] = (*found.get(row.organisation_id, ()), one)
    return found


def _organisation(row: Row[tuple[object, ...]], domains: tuple[Domain, ...]) -> Organisation:
    return Organisation(row.id, row.name, row.slug, row.provider, domains, row.created_at, row.updated_at)


def _values(one: Organisation) -> dict[str, object]:
    return {"name": one.name, "slug": one.slug, "provider": one.provider, "updated_at": one.updated_at}
