"""Services, routes, snapshots and deliveries in the admin API. Each change is published, or refused as a whole."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ConfigDict

from kronborg.core import clock
from kronborg.core.api import (
    After,
    Limit,
    Page,
    Shown,
    caller_of,
    check_match,
    refusals,
    with_etag,
)
from kronborg.core.db import Session
from kronborg.core.errors import Conflict, NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway.declare.route_section import (
    RouteSection,
    ServiceSection,
    route_fields,
    route_of,
    service_fields,
    service_of,
)
from kronborg.gateway.model import Route, Service, Snapshot
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.routing import remove_route, remove_service, save_route, save_service
from kronborg.gateway.store import (
    find_route,
    find_service,
    latest_published,
    list_deliveries,
    list_routes,
    list_services,
)

router = APIRouter()

Containing = Annotated[str, Query(max_length=200, description="Only those that hold this somewhere.")]
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class ServiceToSave(ServiceSection):
    """A microservice behind the gateway."""

    model_config = ConfigDict(strict=False)


class ShownService(ServiceToSave):
    """A microservice behind the gateway."""

    name: str


class RouteToSave(RouteSection):
    """A way through the gateway: one way to spell its path, and either `public` or an `audience`."""

    model_config = ConfigDict(strict=False)


class ShownRoute(RouteToSave):
    """A way through the gateway."""

    name: str


class ShownSnapshot(Shown):
    """What was published last."""

    version: int
    digest: str
    author: str
    comment: str
    created_at: datetime
    services: int
    routes: int


class ShownDelivery(Shown):
    """What a proxy said to a version; `reason` is the proxy's own."""

    proxy: str
    version: int
    status: Literal["acked", "rejected"]
    reason: str
    at: datetime


class Published(Shown):
    """The version that the gateway has been given."""

    version: int


def _service(service: Service) -> ShownService:
    return ShownService.model_validate({"name": service.name, **service_fields(service)})


def _route(route: Route) -> ShownRoute:
    return ShownRoute.model_validate({"name": route.name, **route_fields(route)})


async def _publish(request: Request, session: Session) -> Snapshot:
    """Publish what is declared now, in the transaction of the change. Raises `Invalid`."""
    parts = parts_of(request)
    return await publish_declared(
        session,
        issuer=parts.issuer,
        gateway_url=parts.gateway_url,
        author=caller_of(request).actor,
        now=clock.now(),
    )


@router.get("/services", tags=["services"])
async def read_services(
    request: Request, after: After = None, q: Containing = "", limit: Limit = 50
) -> Page[ShownService]:
    """Services, by name."""
    async with parts_of(request).database.read() as session:
        found = await list_services(session, after=after or "", search=q, limit=limit + 1)
    items = [_service(one) for one in found[:limit]]
    return Page(items=items, next=items[-1].name if len(found) > limit else None)


@router.get("/services/{name}", tags=["services"], responses=refusals(404, 422))
async def read_service(request: Request, response: Response, name: Name) -> ShownService:
    """One service."""
    async with parts_of(request).database.read() as session:
        service = await find_service(session, name)
    if service is None:
        raise NotFound("there is no service with this name")
    shown = _service(service)
    with_etag(response, shown)
    return shown


@router.put("/services/{name}", tags=["services"], responses=refusals(412, 422))
async def put_service(request: Request, response: Response, name: Name, body: ServiceToSave) -> ShownService:
    """Make or replace a service, and publish it. `If-Match` guards against changes made meanwhile."""
    service = service_of(name, body)
    async with whole(parts_of(request).database) as session:
        before = await find_service(session, name)
        check_match(request, None if before is None else _service(before))
        await save_service(session, service, actor=caller_of(request).actor, now=clock.now())
        await _publish(request, session)
    shown = _service(service)
    with_etag(response, shown)
    return shown


@router.delete("/services/{name}", status_code=204, tags=["services"], responses=refusals(404, 409, 412, 422))
async def drop_service(request: Request, name: Name) -> None:
    """Remove a service that no route needs."""
    async with whole(parts_of(request).database) as session:
        before = await find_service(session, name)
        check_match(request, None if before is None else _service(before))
        if any(route.service == name for route in await list_routes(session)):
            raise Conflict("a route needs this service: remove the route first")
        await remove_service(session, name, actor=caller_of(request).actor, now=clock.now())
        await _publish(request, session)


@router.get("/routes", tags=["routes"])
async def read_routes(request: Request, after: After = None, q: Containing = "", limit: Limit = 50) -> Page[ShownRoute]:
    """Routes, by name."""
    async with parts_of(request).database.read() as session:
        found = await list_routes(session, after=after or "", search=q, limit=limit + 1)
    items = [_route(one) for one in found[:limit]]
    return Page(items=items, next=items[-1].name if len(found) > limit else None)


@router.get("/routes/{name}", tags=["routes"], responses=refusals(404, 422))
async def read_route(request: Request, response: Response, name: Name) -> ShownRoute:
    """One route."""
    async with parts_of(request).database.read() as session:
        route = await find_route(session, name)
    if route is None:
        raise NotFound("there is no route with this name")
    shown = _route(route)
    with_etag(response, shown)
    return shown


@router.put("/routes/{name}", tags=["routes"], responses=refusals(412, 422))
async def put_route(request: Request, response: Response, name: Name, body: RouteToSave) -> ShownRoute:
    """Make or replace a route, and publish it; one that is neither public nor names an audience is refused."""
    route = route_of(name, body, audience=body.audience)
    async with whole(parts_of(request).database) as session:
        before = await find_route(session, name)
        check_match(request, None if before is None else _route(before))
        await save_route(session, route, actor=caller_of(request).actor, now=clock.now())
        await _publish(request, session)
    shown = _route(route)
    with_etag(response, shown)
    return shown


@router.delete("/routes/{name}", status_code=204, tags=["routes"], responses=refusals(404, 412, 422))
async def drop_route(request: Request, name: Name) -> None:
    """Close a way through the gateway."""
    async with whole(parts_of(request).database) as session:
        before = await find_route(session, name)
        check_match(request, None if before is None else _route(before))
        await remove_route(session, name, actor=caller_of(request).actor, now=clock.now())
        await _publish(request, session)


@router.get("/snapshots/latest", tags=["snapshots"], responses=refusals(404))
async def read_snapshot(request: Request) -> ShownSnapshot:
    """What was published last."""
    async with parts_of(request).database.read() as session:
        latest = await latest_published(session)
    if latest is None:
        raise NotFound("nothing has been published yet")
    return ShownSnapshot(
        version=latest.snapshot.version,
        digest=latest.digest,
        author=latest.author,
        comment=latest.comment,
        created_at=latest.created_at,
        services=len(latest.snapshot.services),
        routes=len(latest.snapshot.routes),
    )


@router.post("/snapshots", tags=["snapshots"], responses=refusals(422))
async def publish_snapshot(request: Request) -> Published:
    """Publish what is declared; nothing happens when it is published already."""
    async with whole(parts_of(request).database) as session:
        return Published(version=(await _publish(request, session)).version)


@router.get("/deliveries", tags=["snapshots"])
async def read_deliveries(request: Request) -> Page[ShownDelivery]:
    """What the proxies said to the newest versions."""
    async with parts_of(request).database.read() as session:
        said = await list_deliveries(session, limit=200)
    items = [
        ShownDelivery(proxy=one.proxy, version=one.version, status=one.status, reason=one.reason, at=at)
        for one, at in said
    ]
    return Page(items=items, next=None)
