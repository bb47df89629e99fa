"""Breakers and announced endpoints in the admin API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field

from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, caller_of, refusals
from kronborg.core.errors import Forbidden, NotFound
from kronborg.core.parts import parts_of
from kronborg.core.whole import whole
from kronborg.gateway.breaker_model import Order, Phase
from kronborg.gateway.breaker_orders import Guarded, force, list_breakers
from kronborg.gateway.registration import announce, withdraw
from kronborg.gateway.registration_store import list_announced
from kronborg.gateway.store import find_service

router = APIRouter()

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
EndpointId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]


class ShownStand(Shown):
    """What one gateway's breaker stands at."""

    proxy: str
    phase: Phase
    since: datetime


class ShownBreaker(Shown):
    """The breaker of a service. `order` is what an operator ordered, null when it decides itself."""

    service: str
    phase: Phase
    order: Order | None
    ordered_by: str | None
    gateways: list[ShownStand]


class BreakerOrder(Body):
    """What a breaker should do."""

    state: Literal["open", "closed", "automatic"]
    """`open` keeps calls from the service, `closed` lets them pass whatever happens, `automatic` lets it decide."""


class EndpointToAnnounce(Body):
    """Where a replica is."""

    address: Annotated[str, Field(min_length=2, max_length=45)]
    """Its IP address, in one of the service's networks."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Its port."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Its share of the calls, next to the weights of the others."""


class ShownEndpoint(Shown):
    """An announced endpoint, and until when it is called without being announced again."""

    id: str
    address: str
    port: int
    weight: int
    client_id: str
    since: datetime
    expires_at: datetime


def _breaker(one: Guarded) -> ShownBreaker:
    return ShownBreaker(
        service=one.service,
        phase=one.phase,
        order=None if one.order is None else one.order.wanted,
        ordered_by=None if one.order is None else one.order.actor,
        gateways=[ShownStand(proxy=each.proxy, phase=each.phase, since=each.since) for each in one.stands],
    )


@router.get("/breakers", tags=["services"])
async def read_breakers(request: Request) -> Page[ShownBreaker]:
    """Every service with a breaker, by name."""
    async with parts_of(request).database.read() as session:
        return Page(items=[_breaker(one) for one in await list_breakers(session)], next=None)


@router.put("/breakers/{service}", tags=["services"], responses=refusals(404, 422))
async def force_breaker(request: Request, service: Name, body: BreakerOrder) -> ShownBreaker:
    """Force a breaker open or closed on every gateway, within about a second; or let it decide again."""
    wanted = None if body.state == "automatic" else body.state
    async with whole(parts_of(request).database) as session:
        await force(session, service, wanted, actor=caller_of(request).actor, now=clock.now())
        found = {one.service: one for one in await list_breakers(session)}
    return _breaker(found[service])


@router.get("/services/{name}/endpoints", tags=["services"], responses=refusals(404, 422))
async def read_endpoints(request: Request, name: Name) -> Page[ShownEndpoint]:
    """The endpoints that a service announced and that hold now, by id."""
    async with parts_of(request).database.read() as session:
        if await find_service(session, name) is None:
            raise NotFound("there is no service with this name")
        found = await list_announced(session, name, now=clock.now())
    return Page(items=[ShownEndpoint.model_validate(one) for one in found], next=None)


@router.put("/services/{name}/endpoints/{endpoint_id}", tags=["services"], responses=refusals(409, 422))
async def put_endpoint(
    request: Request, name: Name, endpoint_id: EndpointId, body: EndpointToAnnounce
) -> ShownEndpoint:
    """Announce a replica for the time of a lease, or renew it; for the service's own client, with services:register."""
    async with whole(parts_of(request).database) as session:
        made = await announce(
            session,
            name,
            endpoint_id,
            address=body.address,
            port=body.port,
            weight=body.weight,
            client_id=_client(request),
            now=clock.now(),
        )
    return ShownEndpoint.model_validate(made)


@router.delete(
    "/services/{name}/endpoints/{endpoint_id}", status_code=204, tags=["services"], responses=refusals(404, 422)
)
async def drop_endpoint(request: Request, name: Name, endpoint_id: EndpointId) -> None:
    """Take an announcement back, before the replica stops; for the client that made it."""
    async with whole(parts_of(request).database) as session:
        await withdraw(session, name, endpoint_id, client_id=_client(request), now=clock.now())


def _client(request: Request) -> str:
    """The client that speaks for itself: with a person's token nobody announces anything."""
    caller = caller_of(request)
    if not caller.actor.startswith("client:"):
        raise Forbidden("endpoints are announced by clients, not by people")
    return caller.client_id
