"""Create, change and delete groups, and the roles they give."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kronborg.accounts.model import MAX_NAME, Group, clean, printable, role_problems
from kronborg.accounts.store import delete_group_row, find_group, insert_group, update_group_row
from kronborg.core.db import Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id


async def create_group(
    session: Session, name: str, *, roles: tuple[str, ...] = (), actor: str, now: datetime, group_id: str | None = None
) -> Group:
    """Make a group. Raises `Invalid`, or `Conflict` for a name in use."""
    group = Group(group_id or new_id(), clean(name), tuple(sorted(set(roles))), now, now)
    _check(group)
    await insert_group(session, group)
    await record(session, "group.created", actor=actor, subject=group.id, now=now, detail={"name": group.name})
    return group


async def update_group(
    session: Session,
    group_id: str,
    *,
    name: str | None = None,
    roles: tuple[str, ...] | None = None,
    actor: str,
    now: datetime,
) -> Group:
    """Rename a group, set its roles, or both. Raises `NotFound`, `Invalid`, `Conflict`."""
    before = await find_group(session, group_id)
    if before is None:
        raise NotFound("there is no such group")
    after = replace(
        before,
        name=before.name if name is None else clean(name),
        roles=before.roles if roles is None else tuple(sorted(set(roles))),
    )
    if after == before:
        return before
    after = replace(after, updated_at=now)
    _check(after)
    await update_group_row(session, after)
    detail = {"name": after.name, "roles": list(after.roles)}
    await record(session, "group.updated", actor=actor, subject=group_id, now=now, detail=detail)
    return after


async def delete_group(session: Session, group_id: str, *, actor: str, now: datetime) -> None:
    """Remove a group; its members lose its roles. Raises `NotFound`."""
    if not await delete_group_row(session, group_id):
        raise NotFound("there is no such group")
    await record(session, "group.deleted", actor=actor, subject=group_id, now=now)


def _check(group: Group) -> None:
    problems = role_problems(group.roles)
    if not 1 <= len(group.name) <= MAX_NAME or not printable(group.name):
        problems.append(Problem("name", "this is not a possible name", f"use 1 to {MAX_NAME} printable characters"))
    if problems:
        raise Invalid(*problems)
