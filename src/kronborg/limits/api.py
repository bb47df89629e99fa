"""Live limits in the admin API: who is near or over a quota, and letting somebody begin anew."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field, StringConstraints

from kronborg.core import clock
from kronborg.core.api import Body, Limit, Page, Shown, caller_of, refusals
from kronborg.core.parts import parts_of
from kronborg.limits import live as limits

router = APIRouter()


class ShownCounter(Shown):
    """How far somebody is with a quota."""

    quota: str
    identity: str
    """What is counted, as `POST /quotas/reset` takes it."""
    who: str
    node: str
    """The gateway that counts this on its own; empty when they count together."""
    used: int
    count: int
    state: Literal["over", "near", "fine"]
    resets: datetime


class CounterToReset(Body):
    """A counter."""

    quota: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    """The name of the quota."""
    identity: Annotated[str, Field(max_length=1000)]
    """What is counted, as the list shows it."""


@router.get("/quotas", tags=["quotas"])
async def read_quota_counters(
    request: Request,
    limit: Limit = 100,
    quota: Annotated[str, Query(max_length=63, description="Only those of this quota.")] = "",
    who: Annotated[str, Query(max_length=200, description="Only who begins with this.")] = "",
) -> Page[ShownCounter]:
    """Counters of quotas, those nearest to their end first."""
    database = parts_of(request).database
    found = await limits.live(database, now=clock.now(), quota=quota, who=who, limit=limit)
    return Page(items=[ShownCounter.model_validate(one) for one in found], next=None)


@router.post("/quotas/reset", status_code=204, tags=["quotas"], responses=refusals(404))
async def reset_quota_counter(request: Request, body: CounterToReset) -> None:
    """Let somebody begin anew with a quota; gateways hear of it within two seconds."""
    actor = caller_of(request).actor
    async with parts_of(request).database.write() as session:
        await limits.reset(session, body.quota, body.identity, actor=actor, now=clock.now())
