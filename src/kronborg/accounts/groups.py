"""Create, change and delete groups, the roles they give, and how they stand in one another.

What a group passes on is worked out here, when something is written: `effective_roles` and `lineage` of each row hold
the roles and names of all that it stands in, so that reading a person takes no recursion.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kronborg.accounts.model import MAX_DEPTH, MAX_NAME, Group, clean, printable, role_problems
from kronborg.accounts.roles import unknown_roles
from kronborg.accounts.store import (
    child_groups,
    delete_group_row,
    find_group,
    find_group_by_name,
    insert_group,
    update_group_row,
)
from kronborg.core.db import Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id
from kronborg.core.json import JsonValue


async def create_group(
    session: Session,
    name: str,
    *,
    roles: tuple[str, ...] = (),
    parent: str = "",
    actor: str,
    now: datetime,
    group_id: str | None = None,
) -> Group:
    """Make a group, in the group named `parent` if any. Raises `Invalid`, or `Conflict` for a name in use."""
    group = Group(group_id or new_id(), clean(name), tuple(sorted(set(roles))), now, now)
    group = _within(group, await _checked(session, group, parent))
    await insert_group(session, group)
    detail: dict[str, JsonValue] = {"name": group.name}
    if group.parent is not None:
        detail["parent"] = group.parent
    await record(session, "group.created", actor=actor, subject=group.id, now=now, detail=detail)
    return group


async def update_group(
    session: Session,
    group_id: str,
    *,
    name: str | None = None,
    roles: tuple[str, ...] | None = None,
    parent: str | None = None,
    actor: str,
    now: datetime,
) -> Group:
    """Change a group; what is None stays, an empty `parent` lets it stand by itself.

    Raises `NotFound`, `Invalid` (also for a circle), `Conflict`.
    """
    # On PostgreSQL too, two moves that make a circle together must see each other.
    await session.wait_to_be_alone()
    before = await find_group(session, group_id)
    if before is None:
        raise NotFound("there is no such group")
    after = replace(
        before,
        name=before.name if name is None else clean(name),
        roles=before.roles if roles is None else tuple(sorted(set(roles))),
    )
    over = await _checked(session, after, (before.parent or "") if parent is None else parent, had=before.roles)
    after = _within(after, over)
    if after == before:
        return before
    after = replace(after, updated_at=now)
    for one in [after, *await _renewed_below(session, after)]:
        await update_group_row(session, one)
    changed: dict[str, JsonValue] = {}
    for field, was, now_is in (
        ("name", before.name, after.name),
        ("roles", list(before.roles), list(after.roles)),
        ("parent", before.parent, after.parent),
    ):
        if was != now_is:
            changed[field] = [was, now_is]
    await record(session, "group.updated", actor=actor, subject=group_id, now=now, detail={"changed": changed})
    return after


async def delete_group(session: Session, group_id: str, *, actor: str, now: datetime) -> None:
    """Remove a group; its members lose its roles, and groups in it stand by themselves. Raises `NotFound`."""
    await session.wait_to_be_alone()
    before = await find_group(session, group_id)
    if before is None or not await delete_group_row(session, group_id):
        raise NotFound("there is no such group")
    for child in await child_groups(session, (group_id,)):
        alone = _within(child, None)
        for one in [alone, *await _renewed_below(session, alone)]:
            await update_group_row(session, one)
    await record(session, "group.deleted", actor=actor, subject=group_id, now=now, detail={"name": before.name})


def _within(group: Group, parent: Group | None) -> Group:
    """The group as it is in that one."""
    if parent is None:
        return replace(group, parent_id=None, effective_roles=group.roles, lineage=(group.name,))
    return replace(
        group,
        parent_id=parent.id,
        effective_roles=tuple(sorted({*group.roles, *parent.effective_roles})),
        lineage=(group.name, *parent.lineage),
    )


async def _renewed_below(session: Session, group: Group) -> list[Group]:
    """All groups below this one that get something else from it now. Raises `Invalid` when they are too deep then."""
    found, level = [], [group]
    while level:
        over = {one.id: one for one in level}
        renewed = [
            (child, _within(child, over[child.parent_id or ""])) for child in await child_groups(session, [*over])
        ]
        if any(len(now_is.lineage) > MAX_DEPTH for _, now_is in renewed):
            raise Invalid(_TOO_DEEP)
        level = [now_is for was, now_is in renewed if was != now_is]
        found += level
    return found


_TOO_DEEP = Problem("parent", f"at most {MAX_DEPTH} groups stand one in another", "choose a group further up")


async def _checked(session: Session, group: Group, parent: str, *, had: tuple[str, ...] = ()) -> Group | None:
    """The group that this one stands in, once everything is right."""
    problems = role_problems(group.roles) or await unknown_roles(session, group.roles, had=had)
    if not 1 <= len(group.name) <= MAX_NAME or not printable(group.name):
        problems.append(Problem("name", "this is not a possible name", f"use 1 to {MAX_NAME} printable characters"))
    over = await find_group_by_name(session, parent) if parent else None
    if parent and over is None:
        problems.append(Problem("parent", "there is no group with this name", "create that group first"))
    if over is not None and await _is_below(session, over, group):
        problems.append(Problem("parent", "a group cannot stand in itself or in one below it", "choose another group"))
    elif over is not None and len(over.lineage) >= MAX_DEPTH:
        problems.append(_TOO_DEEP)
    if problems:
        raise Invalid(*problems)
    return over


async def _is_below(session: Session, one: Group | None, other: Group) -> bool:
    """Whether `one` is `other` or stands in it, at whatever depth."""
    for _ in range(MAX_DEPTH + 1):
        if one is None:
            return False
        if one.id == other.id:
            return True
        one = await find_group(session, one.parent_id) if one.parent_id else None
    return True
