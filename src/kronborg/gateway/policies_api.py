"""Shared Cedar policies in the admin API. Each change is published, or refused as a whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import Field

from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, caller_of, check_match, refusals, with_etag
from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.policy_changes import retire_policy, routes_with, save_policy
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.shared_policies import LARGEST
from kronborg.gateway.shared_policies_store import find_policy, list_policies

router = APIRouter(prefix="/policies", tags=["policies"])

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class PolicyToSave(Body):
    """A shared policy as it shall be."""

    text: Annotated[str, Field(min_length=1, max_length=LARGEST)]
    """Cedar: one policy or several."""


class ShownPolicy(Shown):
    """A Cedar policy that routes share by its name."""

    name: str
    text: str


class ShownPolicyInUse(ShownPolicy):
    """A shared policy, with the routes that name it."""

    routes: list[str]


@router.get("")
async def read_policies(request: Request) -> Page[ShownPolicy]:
    """Every shared policy, by name (there are at most 200)."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_shown(one) for one in await list_policies(session)], next=None)


@router.get("/{name}", responses=refusals(404, 422))
async def read_policy(request: Request, response: Response, name: Name) -> ShownPolicyInUse:
    """One of them, with the routes that name it."""
    async with parts_of(request).database.read() as session:
        policy = await _existing(session, name)
        routes = [route.name for route in await routes_with(session, name)]
    with_etag(response, _shown(policy))
    return ShownPolicyInUse(name=policy.name, text=policy.text, routes=routes)


@router.put("/{name}", responses=refusals(412, 422))
async def put_policy(request: Request, response: Response, name: Name, body: PolicyToSave) -> ShownPolicy:
    """Make or replace one, and publish it. `If-Match` guards against changes made meanwhile."""
    async with whole(parts_of(request).database) as session:
        before = await find_policy(session, name)
        check_match(request, None if before is None else _shown(before))
        wanted = NamedPolicy(name, body.text)
        saved = await save_policy(session, wanted, actor=caller_of(request).actor, now=clock.now())
        await _publish(request, session)
    shown = _shown(saved)
    with_etag(response, shown)
    return shown


@router.delete("/{name}", status_code=204, responses=refusals(404, 409, 412, 422))
async def delete_policy(request: Request, name: Name) -> None:
    """Remove one that no route names, and publish."""
    async with whole(parts_of(request).database) as session:
        check_match(request, _shown(await _existing(session, name)))
        await retire_policy(session, name, actor=caller_of(request).actor, now=clock.now())
        await _publish(request, session)


async def _publish(request: Request, session: Session) -> None:
    parts = parts_of(request)
    await publish_declared(
        session,
        issuer=parts.issuer,
        gateway_url=parts.gateway_url,
        author=caller_of(request).actor,
        now=clock.now(),
    )


def _shown(policy: NamedPolicy) -> ShownPolicy:
    return ShownPolicy(name=policy.name, text=policy.text)


async def _existing(session: ReadSession, name: str) -> NamedPolicy:
    found = await find_policy(session, name)
    if found is None:
        raise NotFound("there is no policy with this name")
    return found
