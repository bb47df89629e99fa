"""What-if in the admin API: what passed, decided once more by a draft or by the way back to a version."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from kronborg.core import clock
from kronborg.core.api import refusals
from kronborg.core.errors import Invalid, Problem
from kronborg.core.parts import part_of, parts_of
from kronborg.traffic.api import SpanName
from kronborg.traffic.parts import Traffic
from kronborg.traffic.questions import span_of
from kronborg.traffic.what_if import asked_for, told, what_if

router = APIRouter()


@router.get("/traffic/what-if", tags=["traffic"], responses=refusals(404, 422))
async def ask_what_if(
    request: Request,
    draft: Annotated[str, Query(max_length=63, description="The draft to replay against.")] = "",
    version: Annotated[int, Query(ge=0, le=1 << 31, description="Without a draft: the version to go back to.")] = 0,
    span: SpanName = "1h",
) -> dict[str, Any]:
    """Requests that passed, and what would newly be refused or let through; nothing is sent anywhere."""
    if not draft and not version:
        raise Invalid(Problem("draft", "is missing", "name a draft or a version"))
    parts = parts_of(request)
    snapshot = await asked_for(parts.database, draft, version, issuer=parts.issuer, gateway_url=parts.gateway_url)
    traffic = part_of(request, "traffic", Traffic)
    return told(await what_if(parts.database, traffic, snapshot, span_of(span, clock.now())))
