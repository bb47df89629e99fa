"""Create, change, disable and delete users. Each change is an event that names what changed, never the value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from kronborg.accounts.model import User, clean, folded, name_problems, role_problems
from kronborg.accounts.store import (
    delete_user_row,
    find_groups_by_names,
    find_user,
    insert_user,
    set_memberships,
    update_user_row,
)
from kronborg.core.db import Session
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.ids import new_id


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made; `groups` are names of groups that exist."""

    username: str
    email: str | None = None
    name: str = ""
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user; what is None stays. An empty `email` takes the address away."""

    username: str | None = None
    email: str | None = None
    name: str | None = None
    roles: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    disabled: bool | None = None


async def create_user(session: Session, new: NewUser, *, actor: str, now: datetime, user_id: str | None = None) -> User:
    """Make a user, without a password. Raises `Invalid` with all that is wrong, or `Conflict` for a name in use."""
    user = User(
        user_id or new_id(),
        clean(new.username),
        clean(new.email) if new.email else None,
        clean(new.name),
        new.disabled,
        tuple(sorted(set(new.roles))),
        (),
        now,
        now,
    )
    groups = await _checked(session, user, new.groups)
    await insert_user(session, user)
    await set_memberships(session, user.id, [group_id for group_id, _ in groups])
    await record(session, "user.created", actor=actor, subject=user.id, now=now, detail={"username": user.username})
    return replace(user, groups=tuple(name for _, name in groups))


async def update_user(session: Session, user_id: str, change: UserChange, *, actor: str, now: datetime) -> User:
    """Change a user; nothing is written when nothing differs. Raises `NotFound`, `Invalid`, `Conflict`."""
    before = await find_user(session, user_id)
    if before is None:
        raise NotFound("there is no such user")
    after = replace(
        before,
        username=before.username if change.username is None else clean(change.username),
        email=before.email if change.email is None else clean(change.email) or None,
        name=before.name if change.name is None else clean(change.name),
        roles=before.roles if change.roles is None else tuple(sorted(set(change.roles))),
        disabled=before.disabled if change.disabled is None else change.disabled,
    )
    if folded(after.email or "") != folded(before.email or ""):
        after = replace(after, email_verified_at=None)
    groups = await _checked(session, after, before.groups if change.groups is None else change.groups)
    after = replace(after, groups=tuple(name for _, name in groups))
    changed = [field.name for field in fields(User) if getattr(before, field.name) != getattr(after, field.name)]
    if not changed:
        return before
    after = replace(after, updated_at=now)
    await update_user_row(session, after)
    if "groups" in changed:
        await set_memberships(session, user_id, [group_id for group_id, _ in groups])
    await record(session, "user.updated", actor=actor, subject=user_id, now=now, detail={"changed": changed})
    if "disabled" in changed:
        name = "user.disabled" if after.disabled else "user.enabled"
        await record(session, name, actor=actor, subject=user_id, now=now)
    return after


async def disable_user(session: Session, user_id: str, *, actor: str, now: datetime) -> User:
    """Let a user in no more: sessions stop working at once, tokens when the event is handled. Raises `NotFound`."""
    return await update_user(session, user_id, UserChange(disabled=True), actor=actor, now=now)


async def delete_user(session: Session, user_id: str, *, actor: str, now: datetime) -> None:
    """Remove a user with password, sessions and memberships. Raises `NotFound`."""
    if not await delete_user_row(session, user_id):
        raise NotFound("there is no such user")
    await record(session, "user.deleted", actor=actor, subject=user_id, now=now)


async def _checked(session: Session, user: User, groups: Sequence[str]) -> list[tuple[str, str]]:
    """The ids and names of the groups, in the order of names, once everything about the user is right."""
    problems = name_problems(username=user.username, email=user.email, name=user.name) + role_problems(user.roles)
    found = await find_groups_by_names(session, groups)
    if any(folded(name) not in found for name in groups):
        problems.append(Problem("groups", "there is no group with this name", "create the group first"))
    if problems:
        raise Invalid(*problems)
    return [(found[key].id, found[key].name) for key in sorted(found)]
