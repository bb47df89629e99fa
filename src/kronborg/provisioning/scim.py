"""The verbs of SCIM on both kinds of resources: make, read, find, replace, change, remove (RFC 7644 §3).

Each works in the caller's transaction. What comes in is JSON of a client, what goes out is a resource as answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime

from kronborg.core.db import ReadSession, Session
from kronborg.core.json import JsonObject, JsonValue
from kronborg.provisioning import scim_groups as groups
from kronborg.provisioning import scim_store as store
from kronborg.provisioning import scim_users as users
from kronborg.provisioning.filters import (
    Both,
    Compare,
    Filter,
    Not,
    Some,
    bad_filter,
    matches,
    narrow_of,
    narrow_of_value,
    parse_filter,
    parse_value_path,
)
from kronborg.provisioning.model import LIST, Kept, Narrow, Resource, ScimError, gone
from kronborg.provisioning.patch import Operation, patched, read_operations
from kronborg.provisioning.reading import chosen, read_resource
from kronborg.provisioning.schemas import MAX_PAGE
from kronborg.provisioning.scim_store import Kind
from kronborg.provisioning.scim_users import Client

PAGE = 100
MAX_SCAN = 10_000
"""So many resources are looked at for a filter that no index helps with; of more the client is told."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Which attributes are asked for (RFC 7644 §3.9)."""

    only: tuple[str, ...] = ()
    but: tuple[str, ...] = ()

    @property
    def with_members(self) -> bool:
        """Whether somebody wants to see the members of a group, which can be many."""
        names = {name.lower().rpartition(":")[2].partition(".")[0] for name in self.only}
        return "members" in names if self.only else "members" not in {name.lower() for name in self.but}


@dataclass(frozen=True, slots=True)
class Query:
    """What somebody looks for. `cursor` None means pages by number (`start`, from 1), else RFC 9865."""

    filter: str = ""
    start: int = 1
    count: int = PAGE
    cursor: str | None = None
    shape: Shape = Shape()


async def make(
    session: Session, client: Client, kind: Kind, sent: JsonObject, shape: Shape, *, now: datetime
) -> Resource:
    """RFC 7644 §3.3. Raises `ScimError`."""
    _check_schemas(kind, sent)
    told = read_resource(kind, sent)
    make_one = users.make_user if kind == "User" else groups.make_group
    return await _answer(session, client, kind, await make_one(session, client, told, now=now), shape)


async def read(session: ReadSession, client: Client, kind: Kind, resource_id: str, shape: Shape) -> Resource:
    """RFC 7644 §3.4.1. Raises `ScimError`."""
    return await _answer(session, client, kind, await _known(session, client, kind, resource_id), shape)


async def replace(
    session: Session,
    client: Client,
    kind: Kind,
    resource_id: str,
    sent: JsonObject,
    shape: Shape,
    *,
    match: str | None,
    now: datetime,
) -> Resource:
    """RFC 7644 §3.5.1. Raises `ScimError`."""
    before = await _known(session, client, kind, resource_id, match)
    _check_schemas(kind, sent)
    told = read_resource(kind, sent)
    change_one = users.change_user if kind == "User" else groups.change_group
    return await _answer(session, client, kind, await change_one(session, client, before, told, now=now), shape)


async def change(
    session: Session,
    client: Client,
    kind: Kind,
    resource_id: str,
    sent: JsonObject,
    shape: Shape,
    *,
    match: str | None,
    now: datetime,
) -> Resource:
    """RFC 7644 §3.5.2. Raises `ScimError`."""
    before = await _known(session, client, kind, resource_id, match)
    operations = read_operations(sent)
    if kind == "User":
        # What is patched is what the client sees: `active` may have been changed by others.
        (seen,) = await users.shown_users(session, client, [before])
        base = {**before.told, "active": False} if seen.get("active") is False else dict(before.told)
        told = patched(kind, base, operations)
        kept = await users.change_user(session, client, before, told, now=now)
    else:
        kept = await _patched_group(session, client, before, operations, now=now)
    return await _answer(session, client, kind, kept, shape)


async def remove(
    session: Session, client: Client, kind: Kind, resource_id: str, *, match: str | None, now: datetime
) -> None:
    """RFC 7644 §3.6. Raises `ScimError`."""
    kept = await _known(session, client, kind, resource_id, match)
    remove_one = users.remove_user if kind == "User" else groups.remove_group
    await remove_one(session, client, kept, now=now)


async def find(session: ReadSession, client: Client, kind: Kind, query: Query) -> Resource:
    """RFC 7644 §3.4.2, RFC 9865. Raises `ScimError`."""
    filter_ = parse_filter(kind, query.filter) if query.filter else None
    count = max(0, min(query.count, MAX_PAGE))
    if query.cursor is not None:
        return await _by_cursor(session, client, kind, filter_, query, count)
    start = max(1, query.start)
    if filter_ is None:
        total = await store.count(session, kind, client.id, Narrow())
        found = await store.page(session, kind, client.id, Narrow(), skip=start - 1, limit=count) if count else []
        resources = await _shown(session, client, kind, found, query.shape)
    else:
        every = await _all_matching(session, client, kind, filter_, query.shape)
        total, resources = len(every), every[start - 1 : start - 1 + count]
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(resources),
        "Resources": [chosen(kind, one, only=query.shape.only, but=query.shape.but) for one in resources],
    }


async def find_everywhere(session: ReadSession, client: Client, query: Query) -> Resource:
    """RFC 7644 §3.4.2.1: people, then groups, as one list. A filter on what one kind does not have finds none of it."""
    if query.cursor is not None:
        raise ScimError(400, "all resources together are paged by number", "invalidCursor")
    found: list[JsonValue] = []
    total, served, start, count = 0, False, max(1, query.start), max(0, min(query.count, MAX_PAGE))
    kinds: tuple[Kind, ...] = ("User", "Group")
    for kind in kinds:
        part = replaced(query, start=max(1, start - total), count=count - len(found))
        try:
            answer = await find(session, client, kind, part)
        except ScimError as refusal:
            if refusal.kind != "invalidFilter":
                raise
            continue
        served = True
        listed, matching = answer["Resources"], answer["totalResults"]
        found += listed if isinstance(listed, list) else []
        total += matching if isinstance(matching, int) else 0
    if not served:
        raise bad_filter()
    return {
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": len(found),
        "Resources": found,
    }


async def _by_cursor(
    session: ReadSession, client: Client, kind: Kind, filter_: Filter | None, query: Query, count: int
) -> Resource:
    """A page after a cursor, which is the id of the last one before it: nothing is skipped, however many there are."""
    narrow = Narrow() if filter_ is None else narrow_of(filter_)
    after, found, looked, more = query.cursor or "", list[Resource](), 0, True
    while more and len(found) < count and looked < MAX_SCAN:
        some = await store.page(session, kind, client.id, narrow, after=after, limit=MAX_PAGE)
        more = len(some) == MAX_PAGE
        looked += len(some)
        for kept, resource in zip(some, await _shown(session, client, kind, some, query.shape), strict=False):
            if len(found) == count:
                more = True
                break
            after = kept.id
            if filter_ is None or matches(filter_, resource):
                found.append(resource)
    answer: Resource = {
        "schemas": [LIST],
        "itemsPerPage": len(found),
        "Resources": [chosen(kind, one, only=query.shape.only, but=query.shape.but) for one in found],
    }
    return {**answer, "nextCursor": after} if more and count else answer


async def _all_matching(
    session: ReadSession, client: Client, kind: Kind, filter_: Filter, shape: Shape
) -> list[Resource]:
    narrow, after, found, looked = narrow_of(filter_), "", list[Resource](), 0
    wants_members = _names(filter_, "members")
    seen = Shape() if wants_members else shape
    while True:
        some = await store.page(session, kind, client.id, narrow, after=after, limit=MAX_PAGE)
        looked += len(some)
        if looked > MAX_SCAN:
            raise ScimError(400, "the filter is about too many resources: ask for a name or an id", "tooMany")
        found += [one for one in await _shown(session, client, kind, some, seen) if matches(filter_, one)]
        if len(some) < MAX_PAGE:
            return found
        after = some[-1].id


def _names(filter_: Filter, attribute: str) -> bool:
    """Whether a filter looks at an attribute."""
    match filter_:
        case Compare(place, _, _) | Some(place, _):
            return place.attribute.name == attribute
        case Not(inner):
            return _names(inner, attribute)
        case Both(_, left, right):
            return _names(left, attribute) or _names(right, attribute)


async def _patched_group(
    session: Session, client: Client, before: Kept, operations: Sequence[Operation], *, now: datetime
) -> Kept:
    """The members of a group can be many: putting some in and taking some out reads none of the others."""
    into, out, rest = list[str](), list[str](), list[Operation]()
    for operation in operations:
        moved = _moved(operation)
        if moved is None:
            rest.append(operation)
        else:
            into += [one for one in moved[0] if one not in into]
            out = [one for one in out if one not in moved[0]] + moved[1]
            into = [one for one in into if one not in moved[1]]
    if any(_about_members(operation) for operation in rest):
        # Something else about members (replace, other filters): in the order in which it was asked for, on all of them.
        everybody = await groups.members_of(session, client, before.id)
        told = patched("Group", {**before.told, "members": everybody}, tuple(operations))
        return await groups.change_group(session, client, before, told, now=now)
    plain = patched("Group", dict(before.told), tuple(rest)) if rest else dict(before.told)
    name = plain.get("displayName")
    there = await store.members_among(session, before.id, [*into, *out])
    mine = await store.known_ids(session, "User", client.id, out) | await store.known_ids(
        session, "Group", client.id, out
    )
    fresh, leaving = [one for one in into if one not in there], [one for one in out if one in there and one in mine]
    moved_any = await groups.move_members(session, client, before.id, into=fresh, out=leaving, now=now)
    return await groups.write_group(session, client, before, plain, str(name).strip(), moved=moved_any, now=now)


def _moved(operation: Operation) -> tuple[list[str], list[str]] | None:
    """Who is put in and who is taken out by an operation that says no more than that."""
    found = parse_value_path("Group", operation.path) if operation.path else None
    if found is None or found[0].attribute.name != "members" or found[0].part is not None:
        return None
    filter_ = found[1]
    if operation.op == "add" and filter_ is None:
        listed = operation.value if isinstance(operation.value, list) else [operation.value]
        return groups.member_ids(listed), []
    if operation.op == "remove" and filter_ is not None and isinstance(filter_, Compare):
        one = narrow_of_value(filter_)
        return None if one is None else ([], [one])
    if operation.op == "remove" and filter_ is None and operation.value not in (None, []):
        listed = operation.value if isinstance(operation.value, list) else [operation.value]
        return [], groups.member_ids(listed)
    return None


def _about_members(operation: Operation) -> bool:
    if operation.path:
        return operation.path.lower().startswith("members") or ":group:members" in operation.path.lower()
    return isinstance(operation.value, dict) and any(name.lower().startswith("members") for name in operation.value)


async def _answer(session: ReadSession, client: Client, kind: Kind, kept: Kept, shape: Shape) -> Resource:
    shown = await _shown(session, client, kind, [kept], shape)
    if not shown:
        raise gone()
    return chosen(kind, shown[0], only=shape.only, but=shape.but)


async def _shown(
    session: ReadSession, client: Client, kind: Kind, found: Sequence[Kept], shape: Shape
) -> list[Resource]:
    if kind == "User":
        return await users.shown_users(session, client, found)
    return await groups.shown_groups(session, client, found, members=shape.with_members)


async def _known(session: ReadSession, client: Client, kind: Kind, resource_id: str, match: str | None = None) -> Kept:
    kept = await store.find(session, kind, client.id, resource_id)
    if kept is None:
        raise gone()
    # RFC 7644 §3.14.
    if match is not None and match.strip() != "*" and kept.etag not in {one.strip() for one in match.split(",")}:
        raise ScimError(412, "the resource has changed since it was read")
    return kept


def _check_schemas(kind: str, sent: JsonObject) -> None:
    """RFC 7643 §3: `schemas` says what this is."""
    schemas: JsonValue = sent.get("schemas")
    core = f"urn:ietf:params:scim:schemas:core:2.0:{kind}"
    if not isinstance(schemas, list) or core.lower() not in [str(one).lower() for one in schemas]:
        raise ScimError(400, "schemas does not name the schema of this resource", "invalidSyntax")


async def version_of(session: ReadSession, client: Client, kind: Kind, resource_id: str) -> str:
    """The ETag of a resource."""
    return (await _known(session, client, kind, resource_id)).etag
