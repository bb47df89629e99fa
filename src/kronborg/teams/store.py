"""The tables of teams, their members, invitations and apps, and the SQL that touches them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Boolean, Column, ForeignKey, Index, Table, Text, delete, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.errors import Conflict
from kronborg.core.json import JsonValue
from kronborg.core.values import freeze, thaw
from kronborg.teams.model import App, Customer, Invitation, Member, Role, Team

teams_table = Table(
    "teams_teams",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("customer", Json, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("ix_teams_teams_name", "name"),
)

members_table = Table(
    "teams_members",
    metadata,
    Column("team_id", Text, ForeignKey("teams_teams.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Index("ix_teams_members_user_id", "user_id"),
)

invitations_table = Table(
    "teams_invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", Text, ForeignKey("teams_teams.id", ondelete="CASCADE"), nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("invited_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_teams_invitations_team_id", "team_id"),
    Index("ix_teams_invitations_expires_at", "expires_at"),
)

apps_table = Table(
    "teams_apps",
    metadata,
    Column("client_id", Text, ForeignKey("clients_clients.id", ondelete="CASCADE"), primary_key=True),
    Column("team_id", Text, ForeignKey("teams_teams.id", ondelete="RESTRICT"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    Index("ix_teams_apps_team_id", "team_id"),
)

_teams, _members, _invitations, _apps = teams_table.c, members_table.c, invitations_table.c, apps_table.c
MOST = 200


async def insert_team(session: Session, team: Team) -> None:
    """A new team."""
    await session.execute(insert(teams_table).values(**_values(team)))


async def update_team(session: Session, team: Team) -> None:
    """All of an existing team."""
    await session.execute(update(teams_table).where(_teams.id == team.id).values(**_values(team)))


async def delete_team(session: Session, team_id: str) -> bool:
    """Remove a team, its members and invitations; False when there is none. Raises `Conflict` while it has apps."""
    gone = delete(teams_table).where(_teams.id == team_id).returning(_teams.id)
    try:
        return await session.scalar(gone) is not None
    except IntegrityError:
        raise Conflict("the team has apps; remove them first") from None


async def find_team(session: ReadSession, team_id: str) -> Team | None:
    """The team of this id."""
    row = await session.first(select(teams_table).where(_teams.id == team_id))
    return None if row is None else _team(row)


async def find_teams(session: ReadSession, ids: Collection[str]) -> dict[str, Team]:
    """Teams by id, those that there are; at most as many as a page has."""
    rows = await session.execute(select(teams_table).where(_teams.id.in_(sorted(set(ids))[:MOST])))
    return {str(row.id): _team(row) for row in rows}


async def list_teams(
    session: ReadSession, *, search: str = "", before: str | None = None, limit: int = 50
) -> Sequence[Team]:
    """Teams, the newest first, from before `before` on; `search` is the beginning of a name."""
    query = select(teams_table).order_by(_teams.id.desc()).limit(max(1, min(limit, MOST)))
    if search:
        query = query.where(func.lower(_teams.name).startswith(search.lower(), autoescape=True))
    if before is not None:
        query = query.where(_teams.id < before)
    return [_team(row) for row in await session.execute(query)]


async def teams_of(session: ReadSession, user_id: str) -> Sequence[tuple[Team, Role]]:
    """The teams of a person and what they are there, by name."""
    query = (
        select(teams_table, _members.role)
        .join(members_table, _members.team_id == _teams.id)
        .where(_members.user_id == user_id)
        .order_by(_teams.name, _teams.id)
        .limit(MOST)
    )
    return [(_team(row), cast("Role", row.role)) for row in await session.execute(query)]


async def find_member(session: ReadSession, team_id: str, user_id: str) -> Member | None:
    """A person of a team."""
    query = select(members_table).where(_members.team_id == team_id, _members.user_id == user_id)
    row = await session.first(query)
    return None if row is None else _member(row)


async def list_members(session: ReadSession, team_id: str) -> Sequence[Member]:
    """Everybody of a team, who was first there first."""
    query = select(members_table).where(_members.team_id == team_id).order_by(_members.since, _members.user_id)
    return [_member(row) for row in await session.execute(query.limit(MOST))]


async def put_member(session: Session, member: Member) -> None:
    """A member with this role."""
    await delete_member(session, member.team_id, member.user_id)
    values = {"team_id": member.team_id, "user_id": member.user_id, "role": member.role, "since": member.since}
    await session.execute(insert(members_table).values(**values))


async def delete_member(session: Session, team_id: str, user_id: str) -> bool:
    """Remove a person from a team; False when they are not in it."""
    gone = delete(members_table).where(_members.team_id == team_id, _members.user_id == user_id)
    return await session.scalar(gone.returning(_members.user_id)) is not None


async def insert_invitation(session: Session, one: Invitation) -> None:
    """A new invitation."""
    values = {name: getattr(one, name) for name in Invitation.__slots__}
    await session.execute(insert(invitations_table).values(**values))


async def find_invitation(session: ReadSession, invitation_id: str, *, now: datetime) -> Invitation | None:
    """An invitation that stands."""
    query = select(invitations_table).where(_invitations.id == invitation_id, _invitations.expires_at > now)
    row = await session.first(query)
    return None if row is None else _invitation(row)


async def list_invitations(session: ReadSession, team_id: str, *, now: datetime) -> Sequence[Invitation]:
    """The invitations of a team that stand, the newest first."""
    query = select(invitations_table).where(_invitations.team_id == team_id, _invitations.expires_at > now)
    return [_invitation(row) for row in await session.execute(query.order_by(_invitations.id.desc()).limit(MOST))]


async def delete_invitation(session: Session, invitation_id: str) -> bool:
    """Take an invitation back, or spend it; True for the one who did so."""
    gone = delete(invitations_table).where(_invitations.id == invitation_id).returning(_invitations.id)
    return await session.scalar(gone) is not None


async def purge_invitations(session: Session, *, now: datetime) -> None:
    """Forget invitations whose time is over."""
    await session.execute(delete(invitations_table).where(_invitations.expires_at <= now))


async def insert_app(session: Session, app: App) -> None:
    """A client becomes an app of a team. Raises `Conflict` when it is one already."""
    try:
        await session.execute(insert(apps_table).values(**{name: getattr(app, name) for name in App.__slots__}))
    except IntegrityError:
        raise Conflict("the client is an app of a team already, or is not there") from None


async def delete_app(session: Session, client_id: str) -> bool:
    """A client is no team's app any more; False when it was none."""
    gone = delete(apps_table).where(_apps.client_id == client_id).returning(_apps.client_id)
    return await session.scalar(gone) is not None


async def find_app(session: ReadSession, client_id: str) -> App | None:
    """The app that a client is."""
    row = await session.first(select(apps_table).where(_apps.client_id == client_id))
    return None if row is None else _app(row)


async def list_apps(session: ReadSession, team_id: str) -> Sequence[App]:
    """The apps of a team, the oldest first."""
    query = select(apps_table).where(_apps.team_id == team_id).order_by(_apps.created_at, _apps.client_id)
    return [_app(row) for row in await session.execute(query.limit(MOST))]


def _values(team: Team) -> dict[str, object]:
    plain = {name: getattr(team, name) for name in ("id", "name", "suspended", "created_at", "updated_at")}
    return plain | {"customer": cast("JsonValue", freeze(team.customer))}


def _team(row: Row[tuple[object, ...]]) -> Team:
    made, changed = cast("datetime", row.created_at), cast("datetime", row.updated_at)
    return Team(str(row.id), str(row.name), made, changed, thaw(Customer, row.customer), bool(row.suspended))


def _member(row: Row[tuple[object, ...]]) -> Member:
    return Member(str(row.team_id), str(row.user_id), cast("Role", row.role), cast("datetime", row.since))


def _invitation(row: Row[tuple[object, ...]]) -> Invitation:
    made, ends = cast("datetime", row.created_at), cast("datetime", row.expires_at)
    texts = str(row.id), str(row.team_id), str(row.email)
    return Invitation(*texts, cast("Role", row.role), str(row.invited_by), made, ends)


def _app(row: Row[tuple[object, ...]]) -> App:
    return App(str(row.client_id), str(row.team_id), cast("datetime", row.created_at), str(row.created_by))
