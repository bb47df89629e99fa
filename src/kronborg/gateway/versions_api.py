"""Versions of the gateway's configuration in the admin API: the list, one of them, what differs, the way back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field, JsonValue

from kronborg.core import clock
from kronborg.core.api import Body, Limit, Page, Shown, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway.declare.route_section import route_fields, service_fields
from kronborg.gateway.difference import Difference
from kronborg.gateway.model import Delivery
from kronborg.gateway.versions import compare_versions, roll_back, version_of
from kronborg.gateway.versions_store import Version, deliveries_of, find_version, list_versions

router = APIRouter(prefix="/versions", tags=["versions"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class ShownWordOfGateway(Shown):
    """What a gateway said to a version; `reason` is its own."""

    proxy: str
    status: Literal["acked", "rejected"]
    reason: str
    at: datetime


class ShownVersion(Shown):
    """One published version."""

    number: int
    digest: str
    author: str
    comment: str
    created_at: datetime
    services: int
    routes: int
    deliveries: list[ShownWordOfGateway]


class ShownVersionContent(ShownVersion):
    """One published version with what it holds, as a file writes it."""

    content: dict[str, dict[str, dict[str, JsonValue]]]


class ShownFieldChange(Shown):
    """One field before and after."""

    name: str
    before: JsonValue
    after: JsonValue


class ShownObjectChange(Shown):
    """One object that is made, changed or removed."""

    action: Literal["create", "update", "delete"]
    kind: Literal["service", "route", "audience", "policy"]
    name: str
    fields: list[ShownFieldChange]


class ShownWord(Shown):
    """What a change means: it `opens` something, `closes` something, or `moves` something."""

    weight: Literal["opens", "closes", "moves"]
    kind: str
    name: str
    text: str


class ShownDifference(Shown):
    """What differs, field by field, and in words what that opens and closes."""

    changes: list[ShownObjectChange]
    words: list[ShownWord]


class CommentBody(Body):
    """Why it is done."""

    comment: Annotated[str, Field(max_length=300)] = ""
    """What is told in the list of versions."""


class ShownPublished(Shown):
    """The version that the gateway has now been given."""

    version: int


def shown_difference(found: Difference) -> ShownDifference:
    """A difference as an answer."""
    return ShownDifference.model_validate(found)


@router.get("")
async def read_versions(
    request: Request, before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None, limit: Limit = 50
) -> Page[ShownVersion]:
    """Versions, the newest first; `next` goes into `before`."""
    async with parts_of(request).database.read() as session:
        found = await list_versions(session, before=before, limit=limit + 1)
        shown = found[:limit]
        said = await deliveries_of(session, [one.number for one in shown])
    items = [_version(one, said.get(one.number, ())) for one in shown]
    return Page(items=items, next=str(shown[-1].number) if len(found) > limit else None)


@router.get("/{number}", responses=refusals(404, 422))
async def read_version(request: Request, number: Number) -> ShownVersionContent:
    """One version with its services, routes and shared policies."""
    async with parts_of(request).database.read() as session:
        told, published = await find_version(session, number), await version_of(session, number)
        said = await deliveries_of(session, [number])
    if told is None:
        raise NotFound("there is no version of this number")
    snapshot = published.snapshot
    content = {
        "services": {one.name: service_fields(one) for one in snapshot.services},
        "routes": {one.name: route_fields(one) for one in snapshot.routes},
        "policies": {one.name: {"text": one.text} for one in snapshot.policies},
    }
    shown = _version(told, said.get(number, ()))
    fields = cast("dict[str, dict[str, dict[str, JsonValue]]]", content)
    return ShownVersionContent(**{name: getattr(shown, name) for name in ShownVersion.model_fields}, content=fields)


@router.get("/{number}/diff", responses=refusals(404, 422))
async def diff_versions(
    request: Request, number: Number, since: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None
) -> ShownDifference:
    """What a version changed: since the one before, or since `since`."""
    async with parts_of(request).database.read() as session:
        return shown_difference(await compare_versions(session, number - 1 if since is None else since, number))


@router.post("/{number}/rollback", responses=refusals(404, 422))
async def roll_back_to(request: Request, number: Number, body: CommentBody) -> ShownPublished:
    """Publish services, routes and shared policies of an old version once more, as a new one."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        published = await roll_back(
            session,
            number,
            issuer=parts.issuer,
            gateway_url=parts.gateway_url,
            actor=caller_of(request).actor,
            now=clock.now(),
            comment=body.comment,
        )
    return ShownPublished(version=published.version)


def _version(one: Version, said: tuple[tuple[Delivery, datetime], ...]) -> ShownVersion:
    deliveries = [
        ShownWordOfGateway(proxy=word.proxy, status=word.status, reason=word.reason, at=at) for word, at in said
    ]
    told = {name: getattr(one, name) for name in ShownVersion.model_fields if name != "deliveries"}
    return ShownVersion(**told, deliveries=deliveries)
