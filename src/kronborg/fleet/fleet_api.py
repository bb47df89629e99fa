"""The fleet in the admin API: which gateways there are, how they stand, inviting and removing them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Request

from kronborg.core import clock
from kronborg.core.api import Body, Page, Shown, caller_of, refusals
from kronborg.core.errors import Conflict, NotFound
from kronborg.core.parts import parts_of
from kronborg.core.quantities import Duration
from kronborg.fleet import nodes
from kronborg.fleet.authority import open_authority
from kronborg.fleet.model import State, Took
from kronborg.fleet.show import shown
from kronborg.fleet.store import list_invitations
from kronborg.gateway.fleet_model import NODE_NAME

router = APIRouter()

Name = Annotated[str, Path(max_length=63, pattern=NODE_NAME)]


class ShownGateway(Shown):
    """A gateway of the fleet."""

    name: str
    local: bool
    """It stands on the machine of the control plane."""
    state: State
    """Of a silent one nothing was heard for half a minute."""
    version: int
    """What it serves."""
    newest: int
    """What it should serve."""
    digest: str
    """SHA-256 of the snapshot that it serves."""
    took: Took
    offered: int
    """The version that it said this to."""
    reason: str
    """Why it refused, in Envoy's own words."""
    kronborg: str
    envoy: str
    skew_ms: int
    """How far its clock is ahead of ours."""
    skewed: bool
    certificate_expires_at: datetime | None
    ends_soon: bool
    joined_at: datetime
    seen_at: datetime | None
    revocation_ms: int | None
    """How old its news of revocations is."""
    uptime: int
    connections: int
    requests: int
    buffered: int
    """Bytes of its access log that have not arrived."""


class ShownInvitation(Shown):
    """A gateway that may join."""

    name: str
    author: str
    created_at: datetime
    expires_at: datetime


class InvitationToMake(Body):
    """How long it may be used."""

    lifetime: Duration = timedelta(hours=1)
    """At most a week."""


class ShownToken(Shown):
    """What the gateway is given, shown this once."""

    name: str
    token: str
    expires_at: datetime


@router.get("/fleet", tags=["fleet"])
async def read_fleet(request: Request) -> Page[ShownGateway]:
    """Every gateway (there are at most 1000)."""
    async with parts_of(request).database.read() as session:
        found = await shown(session, now=clock.now())
    return Page(items=[ShownGateway.model_validate(one) for one in found], next=None)


@router.get("/fleet/{name}", tags=["fleet"], responses=refusals(404, 422))
async def read_gateway(request: Request, name: Name) -> ShownGateway:
    """One gateway."""
    async with parts_of(request).database.read() as session:
        for one in await shown(session, now=clock.now()):
            if one.name == name:
                return ShownGateway.model_validate(one)
    raise NotFound("there is no gateway of this name")


@router.delete("/fleet/{name}", status_code=204, tags=["fleet"], responses=refusals(404, 422))
async def remove_gateway(request: Request, name: Name) -> None:
    """Take a gateway, and an invitation for one of this name, out of the fleet: it is refused from now on."""
    await nodes.remove(parts_of(request).database, name, actor=caller_of(request).actor, now=clock.now())


@router.get("/fleet-invitations", tags=["fleet"])
async def read_fleet_invitations(request: Request) -> Page[ShownInvitation]:
    """Who may join."""
    async with parts_of(request).database.read() as session:
        found = await list_invitations(session)
    return Page(items=[ShownInvitation.model_validate(one) for one in found], next=None)


@router.post("/fleet-invitations/{name}", status_code=201, tags=["fleet"], responses=refusals(409, 422))
async def invite_gateway(request: Request, name: Name, body: InvitationToMake) -> ShownToken:
    """A token with which one gateway joins under this name, once."""
    parts, now = parts_of(request), clock.now()
    if not parts.fleet_url:
        raise Conflict("server.fleet is not set, so that no gateway could reach us")
    authority = await open_authority(parts.database, parts.vault, now=now)
    token = await nodes.invite(
        parts.database,
        parts.vault,
        authority,
        name,
        url=parts.fleet_url,
        actor=caller_of(request).actor,
        now=now,
        lifetime=body.lifetime,
    )
    return ShownToken(name=name, token=str(token), expires_at=now + body.lifetime)
