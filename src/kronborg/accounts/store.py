"""The tables of users, groups and memberships, and the SQL that touches them.

`*_key` columns hold the folded form of a name; their unique indexes decide who has it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import cast

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from kronborg.accounts.model import MAX_NAME, Group, User, folded
from kronborg.core.db import Json, ReadSession, Session, UtcDateTime, metadata
from kronborg.core.errors import Conflict

MAX_PAGE = 200

# Beginnings are searched for as ranges of code points; PostgreSQL otherwise sorts as a language does.
Key = Text().with_variant(Text(collation="C"), "postgresql")

OWN_ROLES = "roles <> '[]'"

users_table = Table(
    "accounts_users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("username_key", Key, nullable=False, unique=True),
    Column("email", Text),
    Column("email_key", Key, unique=True),
    Column("name", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("roles", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("email_verified_at", UtcDateTime),
    Column("locale", Text, nullable=False, server_default=""),
    Column("attributes", Json, nullable=False, server_default="{}"),
    Column("kind", Text, nullable=False, server_default="person"),
    Column("managed_by", Text, nullable=False, server_default=""),
    Column("name_key", Key, nullable=False, server_default=""),
    Index("ix_accounts_users_name_key_id", "name_key", "id"),
    # The few who have roles of their own: who has which role is asked without looking at everybody.
    Index("ix_accounts_users_with_roles", "id", sqlite_where=text(OWN_ROLES), postgresql_where=text(OWN_ROLES)),
)

groups_table = Table(
    "accounts_groups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Key, nullable=False, unique=True),
    Column("roles", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("parent_id", Text),
    Column("effective_roles", Json, nullable=False, server_default="[]"),
    Column("lineage", Json, nullable=False, server_default="[]"),
    Index("ix_accounts_groups_parent_id", "parent_id"),
)

memberships_table = Table(
    "accounts_memberships",
    metadata,
    Column("user_id", Text, ForeignKey("accounts_users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", Text, ForeignKey("accounts_groups.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_accounts_memberships_group_id_user_id", "group_id", "user_id"),
)

_users, _groups, _members = users_table.c, groups_table.c, memberships_table.c


async def insert_user(session: Session, user: User) -> None:
    """One new user, without groups. Raises `Conflict` when the username or e-mail is taken."""
    async with _unique("the username or e-mail address is already in use"):
        await session.execute(insert(users_table).values(**_user_values(user), id=user.id, created_at=user.created_at))


async def insert_users(session: Session, users: Sequence[User]) -> frozenset[str]:
    """New users by the batch, without groups; the ids of those whose id and names were free."""
    rows: list[dict[str, object]] = [{**_user_values(one), "id": one.id, "created_at": one.created_at} for one in users]
    await session.execute_many(postgresql.insert(users_table).on_conflict_do_nothing(), rows)
    ids = [one.id for one in users]
    # An id that was taken before is not one of these: whoever imports has looked.
    return frozenset(str(row[0]) for row in await session.execute(select(_users.id).where(_users.id.in_(ids))))


async def update_user_row(session: Session, user: User) -> None:
    """All columns of an existing user but its groups. Raises `Conflict` like `insert_user`."""
    async with _unique("the username or e-mail address is already in use"):
        await session.execute(update(users_table).where(_users.id == user.id).values(**_user_values(user)))


async def delete_user_row(session: Session, user_id: str) -> bool:
    """Remove a user and the memberships; False when there was none."""
    gone = await session.scalar(delete(users_table).where(_users.id == user_id).returning(_users.id))
    return gone is not None


async def find_user(session: ReadSession, user_id: str) -> User | None:
    """The user with this id."""
    return await _one_user(session, await session.first(select(users_table).where(_users.id == sought(user_id))))


async def find_by_login(session: ReadSession, login: str) -> User | None:
    """The user with this username, or with this e-mail address if there is an `@` in it (usernames have none)."""
    column = _users.email_key if "@" in login else _users.username_key
    return await _one_user(session, await session.first(select(users_table).where(column == sought(login))))


async def list_users(
    session: ReadSession, *, search: str = "", after: str | None = None, limit: int = 50
) -> Sequence[User]:
    """Users by username, after the user with id `after`.

    `search` is the beginning of a username, an e-mail address or a name: first come those found by username, then those
    by address, then those by name, each in that order. Each is a range of one index, however many people there are.
    """
    limit = max(1, min(limit, MAX_PAGE))
    last = None if after is None else await session.first(select(users_table).where(_users.id == after))
    if after is not None and last is None:
        return []
    prefix = sought(search)[:254]
    if not prefix:
        query = select(users_table).order_by(_users.username_key).limit(limit)
        rows = await session.execute(query if last is None else query.where(_users.username_key > last.username_key))
    else:
        rows = await _found(session, prefix, last, limit)
    return await users_of_rows(session, rows)


async def _found(
    session: ReadSession, prefix: str, last: Row[tuple[object, ...]] | None, limit: int
) -> Sequence[Row[tuple[object, ...]]]:
    """One page of a search: what is left of the part that `last` was found in, and of the parts behind it."""
    by_username, by_email = begins(_users.username_key, prefix), begins(_users.email_key, prefix)
    parts = (
        ((_users.username_key,), ()),
        ((_users.email_key,), (~by_username,)),
        ((_users.name_key, _users.id), (~by_username, by_email.is_not(True))),
    )
    at = -1 if last is None else _part_of(last, prefix)
    rows: list[Row[tuple[object, ...]]] = []
    for number, (order, without) in enumerate(parts):
        if number < at or len(rows) >= limit:
            continue
        start, within = prefix, without
        if number == at and last is not None:
            # The range itself begins here: what came before is not read again.
            start = str(getattr(last, order[0].name))
            within = (*without, tuple_(*order) > tuple_(*(getattr(last, column.name) for column in order)))
        ranged = begins(order[0], prefix, start=start)
        query = select(users_table).where(ranged, *within).order_by(*order).limit(limit - len(rows))
        rows += await session.execute(query)
    return rows


async def disable_managed(session: Session, manager: str, *, now: datetime) -> Sequence[str]:
    """Disable the accounts that this source manages; the ids of those that were not."""
    theirs = (users_table.c.managed_by == manager) & users_table.c.disabled.is_(False)
    shut = update(users_table).where(theirs).values(disabled=True, updated_at=now)
    return [str(row.id) for row in await session.execute(shut.returning(users_table.c.id))]


async def release_managed(session: Session, manager: str, *, now: datetime) -> Sequence[str]:
    """Nobody manages the accounts of this source any more; their ids."""
    free = update(users_table).where(users_table.c.managed_by == manager).values(managed_by="", updated_at=now)
    return [str(row.id) for row in await session.execute(free.returning(users_table.c.id))]


def _part_of(row: Row[tuple[object, ...]], prefix: str) -> int:
    return 0 if row.username_key.startswith(prefix) else 1 if (row.email_key or "").startswith(prefix) else 2


def begins(column: ColumnElement[str], prefix: str, *, start: str | None = None) -> ColumnElement[bool]:
    """Whether a folded name begins so, as a range that an index serves; from `start` on, which begins so too."""
    return and_(column >= (start or prefix), column < prefix + "\U0010ffff")


async def users_of_rows(session: ReadSession, rows: Sequence[Row[tuple[object, ...]]]) -> list[User]:
    """Rows of the table of users as users, with the names of their groups."""
    names = await _group_names(session, [str(row.id) for row in rows])
    return [_user(row, names.get(str(row.id), ())) for row in rows]


async def roles_of(session: ReadSession, user_id: str) -> tuple[str, ...]:
    """Every role of a user, direct or by a group, sorted."""
    direct = cast("Sequence[str] | None", await session.scalar(select(_users.roles).where(_users.id == user_id)))
    by_group = await session.execute(
        select(_groups.effective_roles)
        .join(memberships_table, _members.group_id == _groups.id)
        .where(_members.user_id == user_id)
    )
    roles = set(direct or ())
    for row in by_group:
        roles.update(cast("Sequence[str]", row.effective_roles))
    return tuple(sorted(roles))


async def list_group_members(
    session: ReadSession, group_id: str, *, after: str = "", limit: int = 50
) -> Sequence[User]:
    """The users directly in a group, by id, after the id `after`."""
    rows = await session.execute(
        select(users_table)
        .join(memberships_table, _members.user_id == _users.id)
        .where(_members.group_id == group_id, _members.user_id > after)
        .order_by(_members.user_id)
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    return await users_of_rows(session, rows)


async def set_memberships(session: Session, user_id: str, group_ids: Sequence[str]) -> None:
    """Make these the groups of a user, and no others."""
    await session.execute(delete(memberships_table).where(_members.user_id == user_id))
    rows: list[dict[str, object]] = [{"user_id": user_id, "group_id": group_id} for group_id in group_ids]
    await session.execute_many(insert(memberships_table), rows)


async def insert_group(session: Session, group: Group) -> None:
    """One new group. Raises `Conflict` when the name is taken."""
    async with _unique("there is already a group with this name"):
        await session.execute(
            insert(groups_table).values(**_group_values(group), id=group.id, created_at=group.created_at)
        )


async def update_group_row(session: Session, group: Group) -> None:
    """All columns of an existing group. Raises `Conflict` when the name is taken."""
    async with _unique("there is already a group with this name"):
        await session.execute(update(groups_table).where(_groups.id == group.id).values(**_group_values(group)))


async def delete_group_row(session: Session, group_id: str) -> bool:
    """Remove a group and its memberships; False when there was none."""
    gone = await session.scalar(delete(groups_table).where(_groups.id == group_id).returning(_groups.id))
    return gone is not None


async def find_group(session: ReadSession, group_id: str) -> Group | None:
    """The group with this id."""
    row = await session.first(select(groups_table).where(_groups.id == group_id))
    return None if row is None else _group(row)


async def find_group_by_name(session: ReadSession, name: str) -> Group | None:
    """The group with this name, in any case."""
    row = await session.first(select(groups_table).where(_groups.name_key == sought(name)))
    return None if row is None else _group(row)


async def find_groups_by_names(session: ReadSession, names: Sequence[str]) -> Mapping[str, Group]:
    """The groups with these names, by folded name; unknown names are missing."""
    keys = sorted({sought(name) for name in names})
    rows = await session.execute(select(groups_table).where(_groups.name_key.in_(keys)))
    return {folded(group.name): group for group in map(_group, rows)}


async def child_groups(session: ReadSession, group_ids: Sequence[str]) -> Sequence[Group]:
    """The groups that stand directly in these."""
    return [_group(row) for row in await session.execute(select(groups_table).where(_groups.parent_id.in_(group_ids)))]


async def list_groups(
    session: ReadSession, *, search: str = "", after: str | None = None, limit: int = 50
) -> Sequence[Group]:
    """Groups in the order of their names, after the group with id `after`; `search` is the beginning of a name."""
    query = select(groups_table).order_by(_groups.name_key).limit(max(1, min(limit, MAX_PAGE)))
    if search:
        query = query.where(begins(_groups.name_key, sought(search)[:MAX_NAME]))
    if after is not None:
        query = query.where(_groups.name_key > select(_groups.name_key).where(_groups.id == after).scalar_subquery())
    return [_group(row) for row in await session.execute(query)]


@asynccontextmanager
async def _unique(detail: str) -> AsyncIterator[None]:
    """A violated unique index, told as a `Conflict`: the index decides, so racing writers cannot both win."""
    try:
        yield
    except IntegrityError:
        raise Conflict(detail) from None


def sought(text: str) -> str:
    """What somebody looks for, folded; PostgreSQL has no text with NUL in it, so that can never be found."""
    return folded(text).replace("\0", "\ufffd")


async def _one_user(session: ReadSession, row: Row[tuple[object, ...]] | None) -> User | None:
    if row is None:
        return None
    user_id = str(row.id)
    return _user(row, (await _group_names(session, [user_id])).get(user_id, ()))


async def _group_names(session: ReadSession, user_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    rows = await session.execute(
        select(_members.user_id, _groups.name)
        .join(groups_table, _groups.id == _members.group_id)
        .where(_members.user_id.in_(user_ids))
        .order_by(_groups.name_key)
    )
    names: dict[str, tuple[str, ...]] = {}
    for row in rows:
        names[str(row.user_id)] = (*names.get(str(row.user_id), ()), str(row.name))
    return names


def _user(row: Row[tuple[object, ...]], groups: tuple[str, ...]) -> User:
    return User(
        row.id,
        row.username,
        row.email,
        row.name,
        row.disabled,
        tuple(row.roles),
        groups,
        row.created_at,
        row.updated_at,
        row.email_verified_at,
        row.locale,
        row.attributes,
        row.kind,
        row.managed_by,
    )


def _group(row: Row[tuple[object, ...]]) -> Group:
    return Group(
        row.id,
        row.name,
        tuple(row.roles),
        row.created_at,
        row.updated_at,
        row.parent_id,
        tuple(row.effective_roles),
        tuple(row.lineage),
    )


def _user_values(user: User) -> dict[str, object]:
    return {
        "username": user.username,
        "username_key": folded(user.username),
        "email": user.email,
        "email_key": None if user.email is None else folded(user.email),
        "name": user.name,
        "name_key": folded(user.name),
        "disabled": user.disabled,
        "roles": list(user.roles),
        "updated_at": user.updated_at,
        "email_verified_at": user.email_verified_at,
        "locale": user.locale,
        "attributes": dict(user.attributes),
        "kind": user.kind,
        "managed_by": user.managed_by,
    }


def _group_values(group: Group) -> dict[str, object]:
    return {
        "name": group.name,
        "name_key": folded(group.name),
        "roles": list(group.roles),
        "updated_at": group.updated_at,
        "parent_id": group.parent_id,
        "effective_roles": list(group.effective_roles),
        "lineage": list(group.lineage),
    }
