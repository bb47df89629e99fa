"""`/console/traffic`: what passes now, the explorer, one request with its trail, the map of services, and export."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kronborg.accounts.names_store import names_of
from kronborg.core import clock
from kronborg.core.errors import Invalid, NotFound
from kronborg.core.html import render
from kronborg.core.parts import part_of, parts_of
from kronborg.core.policy import Resource
from kronborg.gateway.store import published_by
from kronborg.sessions.console_pages import Paging, actor_of, asked, done_of, may, paged
from kronborg.sessions.model import Admitted, ConsolePage
from kronborg.sessions.visits import admitted
from kronborg.traffic.charts import Chart, DrawnMap, charts_of, drawn, latencies_of
from kronborg.traffic.export import export_rows, note_export
from kronborg.traffic.judge import read_side
from kronborg.traffic.model import AccessRecord
from kronborg.traffic.parts import Traffic
from kronborg.traffic.questions import (
    SPANS,
    Figures,
    figures,
    masked,
    meaning_of,
    search_of,
    service_map,
    shown,
    span_of,
    told_to,
    would_be,
)
from kronborg.traffic.row_model import Row, record_of
from kronborg.traffic.trail import Step, trail_of

HOME = "/console/traffic"
ROWS = 50
DONE = {"blocked": "The token is blocked: the gateway refuses it from now on."}
_SECTION = "traffic"
_CHOICES = (
    *(("15m", "15 minutes"), ("1h", "Last hour"), ("6h", "6 hours")),
    *(("1d", "Last day"), ("7d", "Last week"), ("30d", "Last month")),
)
_LARGEST_PLACE = 19


@dataclass(frozen=True, slots=True)
class LivePage(ConsolePage):
    """The dashboard."""

    span: str
    spans: tuple[tuple[str, str], ...]
    figures: Figures
    charts: tuple[Chart, ...]
    latencies: tuple[tuple[str, str, str, str], ...]
    """Of which part, and its p50, p95 and p99."""
    names: Mapping[str, str]
    """Of people, by the ids among the figures."""
    meanings: Mapping[str, str]
    """Of the reasons among them."""
    may_people: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class ExplorerPage(ConsolePage):
    """A search and what it found."""

    q: str
    span: str
    spans: tuple[tuple[str, str], ...]
    found: Paging[tuple[int, AccessRecord]]
    names: Mapping[str, str]
    """Of people, by the ids among them."""
    meanings: Mapping[str, str]
    """Of the reasons among them."""
    problem: str
    may_people: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class RequestPage(ConsolePage):
    """One request."""

    record: AccessRecord
    meaning: str
    person: str
    """What its person is called, where it is one of ours."""
    reported: tuple[tuple[str, str], ...]
    """What would have refused it and only reports, each with its sentence."""
    trail: tuple[Step, ...]
    version: int | None
    may_people: bool
    may_revoke: bool
    now: datetime
    done: str | None


@dataclass(frozen=True, slots=True)
class MapPage(ConsolePage):
    """Who calls whom."""

    span: str
    spans: tuple[tuple[str, str], ...]
    drawn: DrawnMap


def routes() -> list[Route]:
    """Everything below `/console/traffic`."""
    return [
        Route(HOME, show_live, methods=["GET"]),
        Route(f"{HOME}/requests", show_requests, methods=["GET"]),
        Route(f"{HOME}/map", show_map, methods=["GET"]),
        Route(f"{HOME}/export", export_requests, methods=["GET"]),
        Route(f"{HOME}/requests/{{request_id}}", show_request, methods=["GET"]),
    ]


async def show_live(request: Request) -> Response:
    """Rates, latencies, causes; fetched again by itself every few seconds."""
    found = await _admitted(request)
    if isinstance(found, Response):
        return found
    span, people, now = _span(request), _people(request, found), clock.now()
    told = await _traffic(request).ask(lambda store: figures(store, span_of(span, now), people=people))
    names = await names_of(parts_of(request).database, [one.name for one in told.people])
    meanings = {one.name: meaning_of(one.name) for one in told.reasons}
    meanings |= {one.name: would_be(one.name) for one in told.reported}
    latencies = latencies_of(told)
    page = LivePage(found, _SECTION, span, _CHOICES, told, charts_of(told), latencies, names, meanings, people, now)
    return render(request, "traffic/live.html", page, block="live")


async def show_requests(request: Request) -> Response:
    """Requests, newest first, some at a time."""
    found = await _admitted(request)
    if isinstance(found, Response):
        return found
    q, span, now, people = asked(request), _span(request), clock.now(), _people(request, found)
    before = asked(request, "before")
    at = int(before) if before.isascii() and before.isdecimal() and len(before) <= _LARGEST_PLACE else None
    rows: list[Row] = []
    problem = ""
    try:
        search = search_of(q, span_of(span, now), people=people, before=at, limit=ROWS + 1)
        rows = told_to(await _traffic(request).ask(lambda store: store.search(search)), search, people=people)
    except Invalid as invalid:
        problem = f"The search {invalid.problems[0].detail}: {invalid.problems[0].mend}."
    records = [(int(row[0]), record_of(masked(row, people=people))) for row in rows]
    shown_rows = paged(request, records, ROWS, lambda one: one[0], by="before")
    names = await names_of(parts_of(request).database, [one.subject for _, one in shown_rows.rows] if people else [])
    meanings = {one.reason: meaning_of(one.reason) for _, one in shown_rows.rows}
    page = ExplorerPage(found, _SECTION, q, span, _CHOICES, shown_rows, names, meanings, problem, people, now)
    return render(request, "traffic/requests.html", page, block="found")


async def show_request(request: Request) -> Response:
    """One request with its trail."""
    found = await _admitted(request)
    if isinstance(found, Response):
        return found
    now, people = clock.now(), _people(request, found)
    try:
        search = search_of(str(request.path_params["request_id"])[:64], span_of("30d", now), people=people, limit=1)
    except Invalid:
        raise NotFound("there is no such request, or no more") from None
    rows = await _traffic(request).ask(lambda store: store.search(search))
    if not rows:
        raise NotFound("there is no such request, or no more")
    record = record_of(masked(rows[0], people=people))
    async with parts_of(request).database.read() as session:
        published = await published_by(session, record.at)
    served = None if published is None else await asyncio.to_thread(read_side, published.snapshot)
    version = None if published is None else published.snapshot.version
    revoke = may(request, found, "access:revoke", Resource("access"))
    trail, done = trail_of(record, served), done_of(request, DONE)
    names = await names_of(parts_of(request).database, [record.subject] if people and record.subject else [])
    person = names.get(record.subject, "")
    meaning = meaning_of(record.reason)
    would = tuple((name, would_be(name)) for name in record.reported)
    page = RequestPage(found, _SECTION, record, meaning, person, would, trail, version, people, revoke, now, done)
    return render(request, "traffic/request.html", page)


async def show_map(request: Request) -> Response:
    """Apps, routes and services, and what passed between them."""
    found = await _admitted(request)
    if isinstance(found, Response):
        return found
    span, now = _span(request), clock.now()
    told = await _traffic(request).ask(lambda store: service_map(store, span_of(span, now)))
    return render(request, "traffic/map.html", MapPage(found, _SECTION, span, _CHOICES, drawn(told)))


async def export_requests(request: Request) -> Response:
    """What a search finds as CSV or JSON lines, streamed and bounded; the audit log says who took it."""
    found = await _admitted(request)
    if isinstance(found, Response):
        return found
    people, now, kind = _people(request, found), clock.now(), "csv" if asked(request, "as") == "csv" else "ndjson"
    search = search_of(asked(request), span_of(_span(request), now), people=people)
    await note_export(parts_of(request).database, actor=actor_of(found), words=asked(request), now=now)
    traffic = _traffic(request)

    async def lines() -> AsyncIterator[bytes]:
        first = True
        async for row in export_rows(traffic, search):
            if not told_to([row], search, people=people):
                continue
            told = shown(row, people=people)
            if kind == "ndjson":
                yield orjson.dumps(told) + b"\n"
                continue
            text = io.StringIO()
            writer = csv.writer(text)
            if first:
                writer.writerow(told)
                first = False
            writer.writerow([_harmless(value) for value in told.values()])
            yield text.getvalue().encode()

    media = "text/csv" if kind == "csv" else "application/x-ndjson"
    headers = {"content-disposition": f'attachment; filename="traffic.{kind}"'}
    return StreamingResponse(lines(), media_type=media, headers=headers)


def _harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: what callers send ends up here."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


async def _admitted(request: Request) -> Admitted | Response:
    return await admitted(request, "traffic:read", Resource("traffic"))


def _people(request: Request, found: Admitted) -> bool:
    return may(request, found, "traffic:people", Resource("traffic"))


def _span(request: Request) -> str:
    span = asked(request, "span")
    return span if span in SPANS else "1h"


def _traffic(request: Request) -> Traffic:
    return part_of(request, "traffic", Traffic)
