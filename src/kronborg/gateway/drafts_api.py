"""Drafts in the admin API: made, filled, looked at, published as one version, or discarded. Nobody is served by one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, WrongPart, caller_of, refusals
from kronborg.core.errors import Invalid
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway import drafts
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.api import Name, RouteToSave, ServiceToSave
from kronborg.gateway.declare.route_section import route_of, service_of
from kronborg.gateway.drafts_store import Draft, Kind, Thing, list_drafts
from kronborg.gateway.policies_api import PolicyToSave
from kronborg.gateway.shared_policies import policy_problems
from kronborg.gateway.versions_api import ShownDifference, ShownPublished, shown_difference

router = APIRouter(prefix="/drafts", tags=["drafts"])


class ShownDraft(Shown):
    """A named set of changes. `base` is the version that was published when it was begun or last rebased."""

    name: str
    comment: str
    base: int
    author: str
    created_at: datetime
    updated_at: datetime
    changes: int


class ShownClash(Shown):
    """An object that the draft changes and somebody else has changed since."""

    kind: Literal["service", "route", "policy"]
    name: str


class ShownLook(Shown):
    """A draft beside what is published: publish with `digest`, and what was looked at is what is published."""

    draft: ShownDraft
    published: int
    difference: ShownDifference
    problems: list[WrongPart]
    clashes: list[ShownClash]
    ready: bool
    digest: str


class DraftToMake(Body):
    """A new draft."""

    comment: Annotated[str, Field(max_length=300)] = ""
    """What it is for; told in the list of versions when it is published without another."""


class PublishBody(Body):
    """How a draft is published."""

    comment: Annotated[str, Field(max_length=300)] = ""
    """What is told in the list of versions."""
    digest: Annotated[str, Field(max_length=64)] | None = None
    """Publish only if the draft and what is published are still as they were looked at."""


@router.get("")
async def read_drafts(request: Request) -> Page[ShownDraft]:
    """Every draft, by name."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_draft(one) for one in await list_drafts(session)], next=None)


@router.get("/{name}", responses=refusals(404, 422))
async def look_at_draft(request: Request, name: Name) -> ShownLook:
    """What publishing a draft would change, what is wrong with it, and what clashes."""
    parts = parts_of(request)
    async with parts.database.read() as session:
        looked = await drafts.look(session, name, issuer=parts.issuer, gateway_url=parts.gateway_url)
    return ShownLook(
        draft=_draft(looked.draft),
        published=looked.published,
        difference=shown_difference(looked.difference),
        problems=[WrongPart(where=one.where, detail=one.detail, mend=one.mend) for one in looked.problems[:200]],
        clashes=[ShownClash(kind=one.kind, name=one.name) for one in looked.clashes],
        ready=looked.ready,
        digest=looked.digest,
    )


@router.post("/{name}", status_code=201, responses=refusals(409, 422))
async def make_draft(request: Request, name: Name, body: DraftToMake) -> ShownDraft:
    """A new, empty draft."""
    async with whole(parts_of(request).database) as session:
        actor = caller_of(request).actor
        return _draft(await drafts.make_draft(session, name, comment=body.comment, actor=actor, now=clock.now()))


@router.delete("/{name}", status_code=204, responses=refusals(404, 422))
async def discard_draft(request: Request, name: Name) -> None:
    """Throw a draft away."""
    async with whole(parts_of(request).database) as session:
        await drafts.discard(session, name, actor=caller_of(request).actor, now=clock.now())


@router.put("/{name}/services/{service}", status_code=204, responses=refusals(404, 409, 422))
async def put_service_in_draft(request: Request, name: Name, service: Name, body: ServiceToSave) -> None:
    """Let the draft make or change a service."""
    await _wish(request, name, "service", service, service_of(service, body))


@router.put("/{name}/routes/{route}", status_code=204, responses=refusals(404, 409, 422))
async def put_route_in_draft(request: Request, name: Name, route: Name, body: RouteToSave) -> None:
    """Let the draft make or change a route."""
    await _wish(request, name, "route", route, route_of(route, body, audience=body.audience))


@router.delete("/{name}/services/{service}", status_code=204, responses=refusals(404, 409, 422))
async def drop_service_in_draft(request: Request, name: Name, service: Name) -> None:
    """Let the draft remove a service."""
    await _wish(request, name, "service", service, None)


@router.delete("/{name}/routes/{route}", status_code=204, responses=refusals(404, 409, 422))
async def drop_route_in_draft(request: Request, name: Name, route: Name) -> None:
    """Let the draft remove a route."""
    await _wish(request, name, "route", route, None)


@router.put("/{name}/policies/{policy}", status_code=204, responses=refusals(404, 409, 422))
async def put_policy_in_draft(request: Request, name: Name, policy: Name, body: PolicyToSave) -> None:
    """Let the draft make or change a shared policy."""
    wanted = NamedPolicy(policy, body.text)
    if problems := tuple(policy_problems(wanted)):
        raise Invalid(*problems)
    await _wish(request, name, "policy", policy, wanted)


@router.delete("/{name}/policies/{policy}", status_code=204, responses=refusals(404, 409, 422))
async def drop_policy_in_draft(request: Request, name: Name, policy: Name) -> None:
    """Let the draft remove a shared policy."""
    await _wish(request, name, "policy", policy, None)


@router.delete("/{name}/changes/{kind}/{subject}", status_code=204, responses=refusals(404, 422))
async def undo_in_draft(request: Request, name: Name, kind: Kind, subject: Name) -> None:
    """Let go of what the draft wants of one object."""
    async with whole(parts_of(request).database) as session:
        await drafts.undo(session, name, kind, subject, now=clock.now())


@router.post("/{name}/rebase", status_code=204, responses=refusals(404, 422))
async def rebase_draft(request: Request, name: Name) -> None:
    """Take what is declared now as what the draft's changes were decided against."""
    async with whole(parts_of(request).database) as session:
        await drafts.rebase(session, name, now=clock.now())


@router.post("/{name}/publish", responses=refusals(404, 409, 422))
async def publish_draft(request: Request, name: Name, body: PublishBody) -> ShownPublished:
    """Publish a draft as one version; it is gone then. 409 when others changed the same objects since."""
    parts = parts_of(request)
    async with whole(parts.database) as session:
        published = await drafts.publish_draft(
            session,
            name,
            issuer=parts.issuer,
            gateway_url=parts.gateway_url,
            actor=caller_of(request).actor,
            now=clock.now(),
            comment=body.comment,
            digest=body.digest,
        )
    return ShownPublished(version=published.version)


async def _wish(request: Request, name: str, kind: Kind, subject: str, after: Thing | None) -> None:
    async with whole(parts_of(request).database) as session:
        actor = caller_of(request).actor
        await drafts.wish(session, name, kind, subject, after, actor=actor, now=clock.now())


def _draft(draft: Draft) -> ShownDraft:
    return ShownDraft.model_validate(draft)
