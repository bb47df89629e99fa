"""`/console/audit`: what happened, one event with what was and what is, and whether the chain holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kronborg.audit import chain_store as store
from kronborg.audit.export import export_lines
from kronborg.audit.model import Checkpoint, Head, Search
from kronborg.audit.reading import Read, read_event, search_events
from kronborg.audit.verify import Scope, verify_and_note
from kronborg.core import clock
from kronborg.core.csrf import checked_form
from kronborg.core.errors import NotFound
from kronborg.core.html import redirect, render
from kronborg.core.json import JsonValue
from kronborg.core.parts import parts_of
from kronborg.core.policy import Resource
from kronborg.sessions.console_pages import Paging, asked, may, paged
from kronborg.sessions.model import ConsolePage
from kronborg.sessions.visits import admitted

HOME = "/console/audit"
ROWS = 50
MOST_AT_ONCE = 100_000
"""Events that a click verifies; the command verifies any number."""
SPANS = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_CHOICES = (("", "Any time"), ("1h", "Last hour"), ("1d", "Last day"), ("7d", "Last week"), ("30d", "Last month"))
_WORDS = {"actor:": "actor", "subject:": "subject", "request:": "request_id"}
_LONGEST = 2000

NamesOf = Callable[[Iterable[str]], Awaitable[Mapping[str, str]]]
"""What the composition root keeps at `app.state.names_of`: people are known to a slice above this one."""


@dataclass(frozen=True, slots=True)
class Chain:
    """How far the log is sealed, signed and verified."""

    head: Head
    last: Checkpoint | None

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.head.finding


@dataclass(frozen=True, slots=True)
class EventsPage(ConsolePage):
    """The list."""

    q: str
    span: str
    spans: tuple[tuple[str, str], ...]
    events: Paging[Read]
    chain: Chain
    may_write: bool
    done: str | None
    now: datetime
    names: Mapping[str, str]
    """What the people among actors and subjects are called."""


@dataclass(frozen=True, slots=True)
class ShownChange:
    """One field before and after, as text; None where there was or is nothing."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class EventPage(ConsolePage):
    """One event."""

    read: Read
    changes: tuple[ShownChange, ...]
    rest: tuple[tuple[str, str], ...]
    now: datetime
    names: Mapping[str, str]


def routes() -> list[Route]:
    """Everything below `/console/audit`."""
    return [
        Route(HOME, show_events, methods=["GET"]),
        Route(f"{HOME}/-/export", export_log, methods=["GET"]),
        Route(f"{HOME}/-/verify", verify_log, methods=["POST"]),
        Route(f"{HOME}/{{event_id}}", show_event, methods=["GET"]),
    ]


async def show_events(request: Request) -> Response:
    """Events, newest first, some at a time."""
    found = await admitted(request, "audit:read", Resource("audit"))
    if isinstance(found, Response):
        return found
    parts, now = parts_of(request), clock.now()
    q, span, before = asked(request), asked(request, "span"), asked(request, "before")
    span = span if span in SPANS else ""
    at = int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None
    rows = await search_events(parts.database, parts.vault, search_of(q, span, now), before=at, limit=ROWS + 1)
    shown = paged(request, rows, ROWS, lambda one: one.event.seq, by="before")
    page = EventsPage(
        found,
        "audit",
        q,
        span,
        _CHOICES,
        shown,
        await _chain(request),
        may(request, found, "audit:write", Resource("audit")),
        "The chain is verified." if request.query_params.get("done") == "verified" else None,
        now,
        await _names(request, shown.rows),
    )
    return render(request, "audit/events.html", page, block="found")


def search_of(q: str, span: str, now: datetime) -> Search:
    """`user. actor:cli:ada` as a search: words with a colon name a field, what is left begins a name."""
    values: dict[str, str] = {}
    for word in q.split():
        mark = next((one for one in _WORDS if word.startswith(one)), "")
        values[_WORDS.get(mark, "name")] = word.removeprefix(mark)
    since = now - SPANS[span] if span else None
    return Search(**values, after=since)  # type: ignore[arg-type]  # names of fields above


async def show_event(request: Request) -> Response:
    """One event, with what was and what is side by side."""
    found = await admitted(request, "audit:read", Resource("audit"))
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    read = await read_event(parts.database, parts.vault, str(request.path_params["event_id"])[:64])
    if read is None:
        raise NotFound("there is no such event")
    changes = tuple(ShownChange(name, _text(was), _text(is_now)) for name, was, is_now in read.changed)
    rest = tuple((name, _text(value) or "") for name, value in read.rest.items())
    names = await _names(request, (read,))
    return render(request, "audit/event.html", EventPage(found, "audit", read, changes, rest, clock.now(), names))


async def _names(request: Request, rows: Iterable[Read]) -> Mapping[str, str]:
    """What to call the people of these events, by what the log says of them."""
    names_of: NamesOf = request.app.state.names_of
    told = {text: text.removeprefix("user:") for row in rows for text in (row.event.actor, row.event.subject) if text}
    known = await names_of(told.values())
    return {text: known[id_] for text, id_ in told.items() if id_ in known}


def _text(value: JsonValue) -> str | None:
    """A value as people read it, bounded."""
    if value is None or value in ("", [], {}):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)) and all(isinstance(one, (str, int)) for one in value):
        return "\n".join(str(one) for one in value)[:_LONGEST]
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return text[:_LONGEST]


async def export_log(request: Request) -> Response:
    """The whole log as JSON lines."""
    found = await admitted(request, "audit:read", Resource("audit"))
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    headers = {
        "content-disposition": f'attachment; filename="audit-{clock.now():%Y-%m-%d}.jsonl"',
        "cache-control": "no-store",
    }
    lines = export_lines(parts.database, parts.vault)
    return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)


async def verify_log(request: Request) -> Response:
    """Verify what one click may: from the floor, or on from where it was verified up to when that is far away."""
    await checked_form(request)
    found = await admitted(request, "audit:read", Resource("audit"), back=HOME)
    if isinstance(found, Response):
        return found
    parts = parts_of(request)
    head = await store.read_head(parts.database.lookup)
    far = head.n - head.floor > MOST_AT_ONCE
    scope = Scope(after=max(head.verified - MOST_AT_ONCE, head.floor) if far else None, limit=2 * MOST_AT_ONCE)
    await verify_and_note(parts.database, parts.vault, scope, now=clock.now())
    return redirect(request, f"{HOME}?done=verified")


async def _chain(request: Request) -> Chain:
    lookup = parts_of(request).database.lookup
    return Chain(await store.read_head(lookup), await store.last_checkpoint(lookup))
