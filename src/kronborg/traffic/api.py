"""The traffic in the admin API: records, figures, the map of services. People are below `/traffic/people` only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse

from kronborg.core import clock
from kronborg.core.api import Limit, Page, caller_of, refusals
from kronborg.core.errors import NotFound
from kronborg.core.parts import part_of, parts_of
from kronborg.traffic.export import export_rows, note_export
from kronborg.traffic.parts import Traffic
from kronborg.traffic.questions import figures, search_of, service_map, shown, span_of, told_to, top
from kronborg.traffic.search_model import By

router = APIRouter()

_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*$"
SpanName = Annotated[Literal["15m", "1h", "6h", "1d", "7d", "30d"], Query(description="The time range until now.")]
Words = Annotated[str, Query(max_length=500, pattern=_TEXT, description="Such as `client:shop status:4xx`.")]
RequestId = Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z-]+$")]
Told = dict[str, Any]


@router.get("/traffic/records", tags=["traffic"], responses=refusals(422))
async def search_traffic(
    request: Request,
    q: Words = "",
    span: SpanName = "1h",
    before: Annotated[int | None, Query(ge=1, le=1 << 62, description="The `next` of the page before.")] = None,
    limit: Limit = 50,
) -> Page[Told]:
    """Requests that passed, newest first; who they came from is hidden."""
    return await _search(request, q, span, before, limit, people=False)


@router.get("/traffic/people/records", tags=["traffic"], responses=refusals(422))
async def search_traffic_of_people(
    request: Request,
    q: Words = "",
    span: SpanName = "1h",
    before: Annotated[int | None, Query(ge=1, le=1 << 62, description="The `next` of the page before.")] = None,
    limit: Limit = 50,
) -> Page[Told]:
    """Requests that passed, with their people: everything that a user, session, token or address touched."""
    return await _search(request, q, span, before, limit, people=True)


@router.get("/traffic/records/{request_id}", tags=["traffic"], responses=refusals(404, 422))
async def read_traffic_record(request: Request, request_id: RequestId) -> Told:
    """One request by its id, within the last month."""
    found = await _search(request, request_id, "30d", None, 1, people=False)
    if not found.items:
        raise NotFound("there is no such request, or no more")
    return found.items[0]


@router.get("/traffic/figures", tags=["traffic"], responses=refusals(422))
async def read_traffic_figures(request: Request, span: SpanName = "1h") -> Told:
    """Rates, percentiles, causes, and what there was most of."""
    asked = span_of(span, clock.now())
    return asdict(await _traffic(request).ask(lambda store: figures(store, asked, people=False)))


@router.get("/traffic/top", tags=["traffic"], responses=refusals(422))
async def read_traffic_top(
    request: Request,
    by: Annotated[Literal["route", "service", "client", "status", "reason"], Query(description="Counted by.")],
    span: SpanName = "1h",
) -> list[Told]:
    """The hundred most frequent."""
    asked, column = span_of(span, clock.now()), _by(by)
    found = await _traffic(request).ask(lambda store: top(store, asked, column))
    return [asdict(one) for one in found]


@router.get("/traffic/map", tags=["traffic"], responses=refusals(422))
async def read_traffic_map(request: Request, span: SpanName = "1h") -> Told:
    """Who calls whom: apps to routes, routes to services."""
    asked = span_of(span, clock.now())
    return asdict(await _traffic(request).ask(lambda store: service_map(store, asked)))


@router.get(
    "/traffic/people/export",
    tags=["traffic"],
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}, "description": "JSON lines"}, **refusals(422)},
)
async def export_traffic(request: Request, q: Words = "", span: SpanName = "1h") -> StreamingResponse:
    """Up to 100,000 requests as JSON lines; the audit log says who took them."""
    search = search_of(q, span_of(span, clock.now()), people=True)
    parts, traffic = parts_of(request), _traffic(request)
    await note_export(parts.database, actor=caller_of(request).actor, words=q, now=clock.now())

    async def lines() -> AsyncIterator[bytes]:
        async for row in export_rows(traffic, search):
            yield orjson.dumps(shown(row, people=True)) + b"\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def _search(request: Request, q: str, span: str, before: int | None, limit: int, *, people: bool) -> Page[Told]:
    search = search_of(q, span_of(span, clock.now()), people=people, before=before, limit=limit)
    rows = await _traffic(request).ask(lambda store: store.search(search))
    last = str(rows[-1][0]) if len(rows) == limit else None
    return Page(items=[shown(row, people=people) for row in told_to(rows, search, people=people)], next=last)


def _by(name: str) -> By:
    known: dict[str, By] = {one: one for one in ("route", "service", "client", "status", "reason")}
    return known[name]


def _traffic(request: Request) -> Traffic:
    return part_of(request, "traffic", Traffic)
