"""Save and remove services and routes. What is saved here reaches the gateway when it is published.

The verbs work in the caller's transaction and judge nothing by themselves: a route is only right or wrong beside
all others, so callers end with `publish.publish_declared`, which refuses the whole.
"""

from __future__ import annotations

from datetime import datetime

from kronborg.core.db import Session
from kronborg.core.errors import NotFound
from kronborg.core.events import changes, record
from kronborg.gateway.model import Route, Service
from kronborg.gateway.store import (
    delete_route,
    delete_service,
    find_route,
    find_service,
    put_route,
    put_service,
)


async def save_service(session: Session, service: Service, *, actor: str, now: datetime) -> None:
    """Make or change a service; nothing is written when nothing differs."""
    before = await find_service(session, service.name)
    if before == service:
        return
    await put_service(session, service, now=now)
    name = "service.created" if before is None else "service.changed"
    await record(session, name, actor=actor, subject=service.name, now=now, detail=changes(before, service))


async def save_route(session: Session, route: Route, *, actor: str, now: datetime) -> None:
    """Make or change a route; nothing is written when nothing differs."""
    before = await find_route(session, route.name)
    if before == route:
        return
    await put_route(session, route, now=now)
    name = "route.created" if before is None else "route.changed"
    await record(session, name, actor=actor, subject=route.name, now=now, detail=changes(before, route))


async def remove_service(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Remove a service. Raises `NotFound`."""
    before = await find_service(session, name)
    if not await delete_service(session, name):
        raise NotFound("there is no service with this name")
    await record(session, "service.removed", actor=actor, subject=name, now=now, detail=changes(before, None))


async def remove_route(session: Session, name: str, *, actor: str, now: datetime) -> None:
    """Remove a route. Raises `NotFound`."""
    before = await find_route(session, name)
    if not await delete_route(session, name):
        raise NotFound("there is no route with this name")
    await record(session, "route.removed", actor=actor, subject=name, now=now, detail=changes(before, None))
