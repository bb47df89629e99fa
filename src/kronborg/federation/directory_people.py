"""Accounts of people of a directory: made at the first sight, brought up to date at each, never taken from others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kronborg.accounts.model import User, folded
from kronborg.accounts.store import find_by_login, find_groups_by_names, find_user
from kronborg.accounts.users import NewUser, UserChange, create_user, update_user
from kronborg.core.db import Database, Session
from kronborg.core.errors import Conflict, Invalid
from kronborg.core.events import record
from kronborg.federation import directory_store as store
from kronborg.federation.directory_entries import Known, mapped_groups, without
from kronborg.federation.directory_model import Directory, Link


@dataclass(frozen=True, slots=True)
class Kept:
    """The account of a person of a directory, and what became of it."""

    user: User
    change: Literal["created", "updated", "same"]


async def keep(
    database: Database, directory: Directory, known: Known, groups: frozenset[str], *, create: bool, now: datetime
) -> Kept | None:
    """`keep_person` in a transaction of its own; None, and an event that says so, when it cannot be."""
    for _ in range(2):  # another sign-in of the same person may be a moment ahead: then there is an account to find
        try:
            async with database.write() as session:
                return await keep_person(session, directory, known, groups, create=create, now=now)
        except (Conflict, Invalid):
            continue
    async with database.write() as session:
        detail = {"directory": directory.key}
        await record(
            session, "directory.conflict", actor=directory.manager, subject=known.entry_id, now=now, detail=detail
        )
    return None


async def keep_person(
    session: Session, directory: Directory, known: Known, groups: frozenset[str], *, create: bool, now: datetime
) -> Kept | None:
    """Make the account what the directory says; None when there is none and none may be made.

    Raises `Conflict` when the username belongs to somebody else: an account is tied to the directory's own id of a
    person, so neither a name given away again nor a name like that of a local account lets anybody into an account of
    others. Raises `Invalid` for what cannot be an account.
    """
    manager = directory.manager
    link = await store.find_link(session, directory.key, known.entry_id)
    user = None if link is None else await find_user(session, link.user_id)
    if link is None:
        owner = await find_by_login(session, known.username)
        # Tied anew after the directory was removed and made again: whoever has a link of its own keeps it.
        if owner is not None and owner.managed_by == manager and await store.find_user_link(session, owner.id) is None:
            user = owner
    elif user is None or user.managed_by != manager:
        # Somebody took the account over by hand: the directory has no say any more.
        return None
    email = await _free_email(session, known.email, None if user is None else user.id)
    if user is None:
        made = create and not known.shut
        return await _made(session, directory, known, email, groups, now=now) if made else None
    return await _updated(session, directory, known, user, link, email, groups, now=now)


async def _made(
    session: Session, directory: Directory, known: Known, email: str | None, groups: frozenset[str], *, now: datetime
) -> Kept:
    if await find_by_login(session, known.username) is not None:
        raise Conflict("the username or e-mail address is already in use")
    there = await _existing(session, groups)
    new = NewUser(
        known.username,
        email,
        known.name,
        groups=tuple(sorted(there)),
        disabled=known.shut,
        email_verified=directory.trust_email and email is not None,
        attributes=dict(known.attributes),
        managed_by=directory.manager,
    )
    user = await create_user(session, new, actor=directory.manager, now=now)
    await store.write_link(session, Link(directory.key, known.entry_id, user.id, now, known.shut))
    return Kept(user, "created")


async def _updated(
    session: Session,
    directory: Directory,
    known: Known,
    before: User,
    link: Link | None,
    email: str | None,
    groups: frozenset[str],
    *,
    now: datetime,
) -> Kept:
    # Who was disabled here by hand stays so; who was disabled because the directory said so is let in when it says so.
    shut_by_us = before.disabled and not (link is not None and link.shut)
    trusted = directory.trust_email and email is not None
    kept = {name: value for name, value in before.attributes.items() if name not in directory.attributes}
    change = UserChange(
        username=known.username,
        email=email or "",
        name=known.name,
        groups=without(before.groups, mapped_groups(directory), await _existing(session, groups)),
        disabled=known.shut or shut_by_us,
        # An address that they proved themselves stays proved as long as it is the same.
        email_verified=True if trusted else None,
        attributes={**kept, **known.attributes},
    )
    after = await update_user(session, before.id, change, actor=directory.manager, now=now, by_source=True)
    shut = known.shut and not shut_by_us
    await store.write_link(session, Link(directory.key, known.entry_id, before.id, now, shut))
    return Kept(after, "same" if after == before else "updated")


async def _free_email(session: Session, email: str | None, user_id: str | None) -> str | None:
    """The address, unless somebody else has it: an account without it is better than one that is somebody else's."""
    if email is None:
        return None
    owner = await find_by_login(session, email)
    return email if owner is None or owner.id == user_id else None


async def _existing(session: Session, groups: frozenset[str]) -> frozenset[str]:
    """Those groups that there are: one that was removed here must not keep anybody out."""
    found = await find_groups_by_names(session, sorted(groups))
    return frozenset(found[folded(name)].name for name in groups if folded(name) in found)
