"""Create, change, disable and delete users. Each change is an event that tells what it was and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Literal

from kronborg.accounts.links_store import delete_links_of
from kronborg.accounts.model import User, clean, folded, name_problems, role_problems
from kronborg.accounts.roles import unknown_roles
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
from kronborg.core.events import changes, record
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.personal import forget_person


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made; `groups` are names of groups that exist."""

    username: str
    email: str | None = None
    name: str = ""
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    disabled: bool = False
    kind: Literal["person", "service"] = "person"
    managed_by: str = ""
    email_verified: bool = False
    locale: str = ""
    attributes: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user; what is None stays. An empty `email` takes the address away."""

    username: str | None = None
    email: str | None = None
    name: str | None = None
    roles: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    disabled: bool | None = None
    managed_by: str | None = None
    email_verified: bool | None = None
    locale: str | None = None
    attributes: JsonObject | None = None


OWNED = ("username", "email", "name", "attributes")
"""What only the source of an account changes, when it has one (`managed_by`)."""


async def create_user(session: Session, new: NewUser, *, actor: str, now: datetime, user_id: str | None = None) -> User:
    """Make a user, without a password. Raises `Invalid` with all that is wrong, or `Conflict` for a name in use."""
    email = clean(new.email) if new.email else None
    user = User(
        user_id or new_id(),
        clean(new.username),
        email,
        clean(new.name),
        new.disabled,
        tuple(sorted(set(new.roles))),
        (),
        now,
        now,
        email_verified_at=now if new.email_verified and email is not None else None,
        locale=new.locale,
        attributes=new.attributes,
        kind=new.kind,
        managed_by=new.managed_by,
    )
    groups = await _checked(session, user, new.groups)
    await insert_user(session, user)
    await set_memberships(session, user.id, [group_id for group_id, _ in groups])
    made = replace(user, groups=tuple(name for _, name in groups))
    detail = {"username": user.username, **changes(None, made, but=("id",))}
    await record(session, "user.created", actor=actor, subject=user.id, now=now, detail=detail)
    return made


async def update_user(
    session: Session, user_id: str, change: UserChange, *, actor: str, now: datetime, by_source: bool = False
) -> User:
    """Change a user; nothing is written when nothing differs. Raises `NotFound`, `Invalid`, `Conflict`.

    `by_source`: the change comes from where the account is kept (`managed_by`), which alone may change what it owns.
    """
    before = await find_user(session, user_id)
    if before is None:
        raise NotFound("there is no such user")
    after = _changed(before, change, now)
    if before.managed_by and not by_source:
        _check_owned(before, after)
    names = before.groups if change.groups is None else change.groups
    groups = await _checked(session, after, names, had=before.roles)
    after = replace(after, groups=tuple(name for _, name in groups))
    changed = _told_changes(before, after)
    if not changed:
        return before
    after = replace(after, updated_at=now)
    await update_user_row(session, after)
    if "groups" in changed:
        await set_memberships(session, user_id, [group_id for group_id, _ in groups])
    if "email" in changed and actor != user_id:
        # Somebody else decided what the address is: no letter of before speaks for this person any more.
        await delete_links_of(session, user_id, ("verify", "invite", "reset", "lockdown"))
    await record(session, "user.updated", actor=actor, subject=user_id, now=now, detail={"changed": changed})
    if "disabled" in changed:
        name = "user.disabled" if after.disabled else "user.enabled"
        await record(session, name, actor=actor, subject=user_id, now=now)
    return after


def _changed(before: User, change: UserChange, now: datetime) -> User:
    after = replace(
        before,
        username=before.username if change.username is None else clean(change.username),
        email=before.email if change.email is None else clean(change.email) or None,
        name=before.name if change.name is None else clean(change.name),
        roles=before.roles if change.roles is None else tuple(sorted(set(change.roles))),
        disabled=before.disabled if change.disabled is None else change.disabled,
        managed_by=before.managed_by if change.managed_by is None else change.managed_by,
        locale=before.locale if change.locale is None else change.locale,
        attributes=before.attributes if change.attributes is None else change.attributes,
    )
    if folded(after.email or "") != folded(before.email or ""):
        after = replace(after, email_verified_at=None)
    if change.email_verified is not None and change.email_verified != after.email_verified:
        after = replace(after, email_verified_at=now if change.email_verified and after.email is not None else None)
    return after


def _check_owned(before: User, after: User) -> None:
    """Raise `Invalid` for each field that only the source of the account may change."""
    mend = "change it there; it is brought here with the next synchronisation"
    problems = [
        Problem(name, "this is kept by the directory or provider that the account comes from", mend)
        for name in OWNED
        if getattr(before, name) != getattr(after, name)
    ]
    if problems:
        raise Invalid(*problems)


def _told_changes(before: User, after: User) -> dict[str, JsonValue]:
    """What changed: each field with what it was and what it is."""
    changed: dict[str, JsonValue] = {}
    for one in fields(User):
        was, now_is = getattr(before, one.name), getattr(after, one.name)
        if was != now_is:
            changed[one.name] = [_plain(was), _plain(now_is)]
    return changed


def _plain(value: object) -> JsonValue:
    match value:
        case datetime():
            return value.isoformat()
        case tuple():
            return [str(item) for item in value]
        case Mapping():
            return dict(value)
        case bool() | str() | None:
            return value
        case _:
            raise TypeError("a user has no such field")


async def disable_user(session: Session, user_id: str, *, actor: str, now: datetime) -> User:
    """Let a user in no more: sessions stop working at once, tokens when the event is handled. Raises `NotFound`."""
    return await update_user(session, user_id, UserChange(disabled=True), actor=actor, now=now)


async def delete_user(session: Session, user_id: str, *, actor: str, now: datetime) -> None:
    """Remove a user with password, sessions and memberships. Raises `NotFound`."""
    if not await delete_user_row(session, user_id):
        raise NotFound("there is no such user")
    await record(session, "user.deleted", actor=actor, subject=user_id, now=now)
    # What the audit log says of them stays in the chain, and cannot be read any more.
    await forget_person(session, user_id)


async def join_group(session: Session, user_id: str, group: str, *, actor: str, now: datetime) -> User:
    """Put a user into one more group, by its name. Raises `NotFound`, `Invalid`."""
    before = await find_user(session, user_id)
    if before is None:
        raise NotFound("there is no such user")
    return await update_user(session, user_id, UserChange(groups=(*before.groups, group)), actor=actor, now=now)


async def _checked(
    session: Session, user: User, groups: Sequence[str], *, had: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """The ids and names of the groups, in the order of names, once everything about the user is right."""
    problems = name_problems(username=user.username, email=user.email, name=user.name)
    problems += role_problems(user.roles) or await unknown_roles(session, user.roles, had=had)
    found = await find_groups_by_names(session, groups)
    if any(folded(name) not in found for name in groups):
        problems.append(Problem("groups", "there is no group with this name", "create the group first"))
    if problems:
        raise Invalid(*problems)
    return [(found[key].id, found[key].name) for key in sorted(found)]
