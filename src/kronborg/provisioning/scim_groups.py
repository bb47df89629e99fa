"""Groups as a SCIM client provisions them: people and groups of its own in groups of its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from kronborg.accounts.groups import create_group, delete_group, update_group
from kronborg.accounts.model import Group
from kronborg.accounts.store import child_groups, find_group
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import Conflict, Invalid
from kronborg.core.events import record
from kronborg.core.ids import new_id
from kronborg.core.json import JsonObject, JsonValue
from kronborg.provisioning import scim_store as store
from kronborg.provisioning.model import GROUP, Kept, Resource, ScimError, bad_value, gone
from kronborg.provisioning.scim_users import Client, meta_of

TOLD = 100
"""So many members an event names; of more it says how many."""


async def shown_groups(
    session: ReadSession, client: Client, found: Sequence[Kept], *, members: bool = True
) -> list[Resource]:
    """Groups as they are answered."""
    shown = []
    for one in found:
        resource: Resource = {"schemas": [GROUP], "id": one.id, **one.told, "meta": meta_of("Group", one, client.base)}
        if members and (inside := await members_of(session, client, one.id)):
            resource["members"] = inside
        shown.append(resource)
    return shown


async def members_of(session: ReadSession, client: Client, group_id: str) -> list[JsonValue]:
    """The members of a group: people, then groups."""
    people = await store.people_in(session, group_id)
    groups = await child_groups(session, [group_id])
    return [
        *(_member(client, "User", user_id) for user_id in sorted(people)),
        *(_member(client, "Group", one.id) for one in groups),
    ]


def _member(client: Client, kind: str, member_id: str) -> JsonValue:
    return {"value": member_id, "$ref": f"{client.base}/{kind}s/{member_id}", "type": kind}


async def make_group(session: Session, client: Client, told: Resource, *, now: datetime) -> Kept:
    """Make a group. Raises `ScimError`."""
    name, wanted = _display_name(told), _wanted(told)
    plain = _without_members(told)
    group_id = new_id()
    try:
        await create_group(session, name, actor=client.manager, now=now, group_id=group_id)
    except Conflict:
        raise ScimError(409, "there is a group of this name already", "uniqueness") from None
    except Invalid:
        raise bad_value("displayName is no possible name of a group") from None
    kept = Kept(group_id, client.id, _external_id(told), plain, 1, now, now)
    await store.add(session, "Group", kept, name)
    await set_members(session, client, group_id, wanted, now=now)
    return kept


async def change_group(session: Session, client: Client, before: Kept, told: Resource, *, now: datetime) -> Kept:
    """Make a group and its members what `told` says. Raises `ScimError`."""
    name, wanted, plain = _display_name(told), _wanted(told), _without_members(told)
    moved = await set_members(session, client, before.id, wanted, now=now)
    return await write_group(session, client, before, plain, name, moved=moved, now=now)


async def write_group(
    session: Session, client: Client, before: Kept, plain: Resource, name: str, *, moved: bool, now: datetime
) -> Kept:
    """Write everything but the members; `moved` says that those have changed."""
    try:
        await update_group(session, before.id, name=name, actor=client.manager, now=now)
    except Conflict:
        raise ScimError(409, "there is a group of this name already", "uniqueness") from None
    except Invalid:
        raise bad_value("displayName is no possible name of a group") from None
    if dict(before.told) == plain and not moved:
        return before
    kept = Kept(before.id, client.id, _external_id(plain), plain, before.version + 1, before.created_at, now)
    if not await store.replace(session, "Group", kept, name, version=before.version):
        raise ScimError(412, "the resource has changed since it was read")
    return kept


async def remove_group(session: Session, client: Client, kept: Kept, *, now: datetime) -> None:
    """Remove a group; groups in it stand by themselves again, its people lose its roles."""
    for child in await child_groups(session, [kept.id]):
        await update_group(session, child.id, parent="", actor=client.manager, now=now)
    await delete_group(session, kept.id, actor=client.manager, now=now)


async def set_members(
    session: Session, client: Client, group_id: str, wanted: Collection[str], *, now: datetime
) -> bool:
    """Make these the members, and no others of this client's; whether anything changed. Raises `ScimError`."""
    people = await store.people_in(session, group_id)
    groups = {one.id: one for one in await child_groups(session, [group_id])}
    there = people | groups.keys()
    # People who were put in by an administrator are not the client's to take out.
    mine = await store.known_ids(session, "User", client.id, sorted(people - set(wanted)))
    mine |= await store.known_ids(session, "Group", client.id, sorted(groups.keys() - set(wanted)))
    fresh = [one for one in dict.fromkeys(wanted) if one not in there]
    return await move_members(session, client, group_id, into=fresh, out=sorted(mine), now=now)


async def move_members(
    session: Session,
    client: Client,
    group_id: str,
    *,
    into: Sequence[str],
    out: Sequence[str],
    now: datetime,
) -> bool:
    """Put members in who are not there, and take others out. Raises `ScimError` for ids that are not the client's."""
    new_people = await store.known_ids(session, "User", client.id, into)
    new_groups = await store.known_ids(session, "Group", client.id, [one for one in into if one not in new_people])
    if len(new_people) + len(new_groups) != len(set(into)):
        raise bad_value("a member is no user or group of this client")
    await store.put_into(session, group_id, sorted(new_people))
    await store.take_out(session, group_id, out)
    for child in await child_groups(session, [group_id]):
        if child.id in out:
            await update_group(session, child.id, parent="", actor=client.manager, now=now)
    for one in sorted(new_groups):
        await _stand_in(session, client, await _group(session, one), await _group(session, group_id), now=now)
    if not into and not out:
        return False
    detail: JsonObject = {"added": len(set(into)), "removed": len(out), "who": [*sorted(set(into)), *out][:TOLD]}
    await record(session, "group.members_changed", actor=client.manager, subject=group_id, now=now, detail=detail)
    return True


async def _stand_in(session: Session, client: Client, child: Group, parent: Group, *, now: datetime) -> None:
    if child.parent is not None:
        raise bad_value("a group stands in one other group at most")
    try:
        await update_group(session, child.id, parent=parent.name, actor=client.manager, now=now)
    except Invalid:
        raise bad_value("groups cannot stand in a circle, or deeper than ten") from None


async def _group(session: ReadSession, group_id: str) -> Group:
    group = await find_group(session, group_id)
    if group is None:
        raise gone()
    return group


def _display_name(told: Resource) -> str:
    name = told.get("displayName")
    if not isinstance(name, str) or not name.strip():
        raise bad_value("displayName is missing")
    return name.strip()


def _external_id(told: Resource) -> str | None:
    value = told.get("externalId")
    return value if isinstance(value, str) else None


def _wanted(told: Resource) -> list[str]:
    return member_ids(told.get("members"))


def member_ids(value: JsonValue) -> list[str]:
    """The ids in a list of members. Raises `ScimError`."""
    found = []
    for one in value if isinstance(value, list) else []:
        member = one.get("value") if isinstance(one, dict) else None
        if not isinstance(member, str):
            raise bad_value("a member has no value")
        found.append(member)
    return list(dict.fromkeys(found))


def _without_members(told: Resource) -> Resource:
    return {name: value for name, value in told.items() if name != "members"}
