"""Versions: look at one, compare two, go back to one.

Going back is going on: the services, routes and shared policies of the old version become those that are declared, and
what follows is published as a new version, so that plan, export and the gateway agree. The APIs, whose tokens others
hold, stay as they are now; where the old version does not fit them, every reason is told and nothing changes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kronborg.core.db import ReadSession, Session
from kronborg.core.errors import NotFound
from kronborg.core.events import record
from kronborg.gateway.difference import Difference, difference
from kronborg.gateway.model import Route, Service, Snapshot
from kronborg.gateway.policy_changes import remove_policy, save_policy
from kronborg.gateway.publish import draft, publish_declared
from kronborg.gateway.routing import remove_route, remove_service, save_route, save_service
from kronborg.gateway.store import Published, find_published, latest_mark

_GONE = "there is no version of this number, or it is not kept any more"


async def version_of(session: ReadSession, number: int) -> Published:
    """One version, whole. Raises `NotFound`."""
    found = await find_published(session, number)
    if found is None:
        raise NotFound(_GONE)
    return found


async def compare_versions(session: ReadSession, before: int, after: int) -> Difference:
    """What differs between two versions; 0 is the nothing before the first. Raises `NotFound`."""
    old, new = [Snapshot("") if one == 0 else (await version_of(session, one)).snapshot for one in (before, after)]
    return difference(old, new)


async def would_roll_back(session: ReadSession, number: int, *, issuer: str, gateway_url: str) -> tuple[Snapshot, int]:
    """What would be published on the way back to a version, and what is published now. Raises `NotFound`."""
    old = await version_of(session, number)
    now = await draft(session, issuer=issuer, gateway_url=gateway_url)
    latest, _ = await latest_mark(session)
    kept = old.snapshot
    return replace(now, services=kept.services, routes=kept.routes, policies=kept.policies), latest


async def roll_back(
    session: Session,
    number: int,
    *,
    issuer: str,
    gateway_url: str,
    actor: str,
    now: datetime,
    comment: str = "",
) -> Snapshot:
    """Publish services, routes and shared policies of an old version once more. Raises `NotFound`, and `Invalid` with
    every reason why they cannot be published beside the APIs there are now."""
    old = (await version_of(session, number)).snapshot
    current = await draft(session, issuer=issuer, gateway_url=gateway_url)
    await _become(session, current, old, actor=actor, now=now)
    published = await publish_declared(
        session,
        issuer=issuer,
        gateway_url=gateway_url,
        author=actor,
        now=now,
        comment=comment or f"Back to version {number}",
    )
    detail = {"to": number, "version": published.version}
    await record(session, "gateway.rolled_back", actor=actor, subject=str(number), now=now, detail=detail)
    return published


async def _become(session: Session, current: Snapshot, wanted: Snapshot, *, actor: str, now: datetime) -> None:
    """Let the declared services, routes and policies be those of `wanted`; each difference is an event of its own."""
    routes = {route.name: route for route in wanted.routes}
    services = {service.name: service for service in wanted.services}
    had: dict[str, Route | Service] = {one.name: one for one in (*current.routes,)}
    for name in sorted({*had} - {*routes}):
        await remove_route(session, name, actor=actor, now=now)
    for service in wanted.services:
        if service not in current.services:
            await save_service(session, service, actor=actor, now=now)
    for policy in wanted.policies:
        if policy not in current.policies:
            await save_policy(session, policy, actor=actor, now=now)
    for name, route in routes.items():
        if had.get(name) != route:
            await save_route(session, route, actor=actor, now=now)
    for service in current.services:
        if service.name not in services:
            await remove_service(session, service.name, actor=actor, now=now)
    for one in sorted({policy.name for policy in current.policies} - {policy.name for policy in wanted.policies}):
        await remove_policy(session, one, actor=actor, now=now)
