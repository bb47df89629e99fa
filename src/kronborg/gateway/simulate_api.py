"""Simulation in the admin API: what a request would get and why, and who may call a route. Changes nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from kronborg.core import clock
from kronborg.core.api import Body, Shown, refusals
from kronborg.core.parts import part_of, parts_of
from kronborg.gateway.access_model import Addresses
from kronborg.gateway.api import Name
from kronborg.gateway.model import METHODS
from kronborg.gateway.simulate_ask import Question, snapshot_of, what_would_it_get, who_may
from kronborg.tokens.engine import Engine

router = APIRouter(tags=["simulate"])

Method = Annotated[str, Query(pattern="^(" + "|".join(METHODS) + ")$")]
Draft = Annotated[str, Query(max_length=63)]


class SimulateBody(Body):
    """A request to be decided on. Nothing of it is stored or logged."""

    method: Annotated[str, Field(max_length=20)] = "GET"
    """The method."""
    url: Annotated[str, Field(min_length=1, max_length=4000)]
    """A path, or a whole address with its host."""
    token: Annotated[str, Field(max_length=16_384)] = ""
    """What a caller would send, with or without a scheme: a JWT of ours or of another issuer, a reference token, an API
    key or a personal access token."""
    claims: Annotated[str, Field(max_length=16_384)] = ""
    """In place of a token, the claims of one as JSON; `iss`, `exp`, `sub` and `client_id` are made up where absent."""
    headers: Annotated[dict[str, Annotated[str, Field(max_length=4000)]], Field(max_length=50)] = Field(
        default_factory=dict
    )
    """Further headers."""
    address: Annotated[str, Field(max_length=45)] = ""
    """Where it comes from."""
    body: Annotated[int, Field(ge=0, lt=1 << 40)] = 0
    """The size of its body in bytes."""
    draft: Annotated[str, Field(max_length=63)] = ""
    """Ask a draft in place of what is published."""
    revoked: bool = False
    """As if the token had been revoked."""
    spent: Annotated[tuple[Annotated[str, Field(max_length=80)], ...], Field(max_length=10)] = ()
    """Limits that are used up: `spike_arrest`, `rate_limit`, `quota`, `concurrency`."""
    proof: bool | None = None
    """Whether the caller's proof of possession is right; none when absent."""
    listener: Annotated[str, Field(max_length=63)] = "external"
    """Where it comes in: `external`, `internal`, or a listener by its name."""


class ShownStep(Shown):
    """One stage of the trail."""

    stage: str
    outcome: Literal["passed", "refused", "unreached", "unused"]
    asked: str
    found: str


class ShownDecision(Shown):
    """What the request would get. `status` is 0 where the service decides it."""

    ending: Literal["service", "gateway", "refused"]
    status: int
    reason: str
    route: str
    service: str
    trail: list[ShownStep]


class ShownCallingClient(Shown):
    """A client that can hold a token that passes: `alone`, or `with_people` who sign in to it."""

    id: str
    name: str
    alone: bool
    with_people: bool
    why: str


class ShownRoleHolders(Shown):
    """Who has a role, the first of them: groups by id and name; people by id, name, and the group they have it through,
    which is empty where they were given it directly."""

    role: str
    groups: list[tuple[str, str]]
    people: list[tuple[str, str, str]]
    more_people: bool


class ShownCallers(Shown):
    """Who may call. `roles`: of each set, one is needed. `besides`: what must be so, too, or cannot be counted."""

    route: str
    public: bool
    takes_method: bool
    audience: str | None
    scopes: list[str]
    roles: list[list[str]]
    clients: list[ShownCallingClient]
    more_clients: bool
    holders: list[ShownRoleHolders]
    besides: list[str]


@router.post("/simulate", responses=refusals(404, 422))
async def simulate(request: Request, body: SimulateBody) -> ShownDecision:
    """What the gateway would do with a request, and why; needs admin:read."""
    told = body.model_dump()
    question = Question(**{**told, "headers": tuple(body.headers.items())})
    engine, parts = part_of(request, "engine", Engine), parts_of(request)
    everywhere = Addresses(parts.calls_from, parts.never_from)
    decision = await what_would_it_get(
        engine, question, gateway_url=parts.gateway_url, now=clock.now(), everywhere=everywhere
    )
    return ShownDecision.model_validate(decision)


@router.get("/routes/{name}/callers", responses=refusals(404, 422))
async def callers(request: Request, name: Name, method: Method = "GET", draft: Draft = "") -> ShownCallers:
    """Which clients and people may call a route with a method."""
    parts = parts_of(request)
    async with parts.database.read() as session:
        snapshot = await snapshot_of(session, draft, issuer=parts.issuer, gateway_url=parts.gateway_url)
        route, found = await who_may(session, snapshot, name, method)
    return ShownCallers(
        route=route.name,
        public=found.public,
        takes_method=found.takes_method,
        audience=route.audience,
        scopes=list(found.rights.scopes),
        roles=[list(any_of) for any_of in found.rights.roles],
        clients=[ShownCallingClient.model_validate(one) for one in found.clients],
        more_clients=found.more_clients,
        holders=[ShownRoleHolders.model_validate(one) for one in found.roles],
        besides=list(found.besides),
    )
