"""The audit log in the admin API: events, their chain, its checkpoints and keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import JsonValue

from kronborg.audit import chain_store as store
from kronborg.audit.checkpoints import checkpoint_json, key_json, make_checkpoint, own_keys
from kronborg.audit.export import export_lines
from kronborg.audit.model import Search
from kronborg.audit.reading import Read, read_event, search_events
from kronborg.audit.verify import Scope, verify
from kronborg.core import clock
from kronborg.core.api import Limit, Page, Shown, refusals
from kronborg.core.errors import Conflict, NotFound
from kronborg.core.parts import parts_of

router = APIRouter()

_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*$"
Word = Annotated[str, Query(max_length=300, pattern=_TEXT)]
NDJSON = "application/x-ndjson"
MAX_STEP = 50_000


class ShownEvent(Shown):
    """One thing that happened."""

    seq: int
    id: str
    name: str
    actor: str
    subject: str
    at: str
    detail: dict[str, JsonValue]
    request_id: str


class ShownPlacedEvent(ShownEvent):
    """One thing that happened, with its place in the chain; null while it waits for one."""

    n: int | None
    link: str | None


class ShownChain(Shown):
    """How far the log is sealed, signed and verified, and what was found."""

    last: int
    """The place of the newest event."""
    link: str
    floor: int
    """Events up to this place were archived."""
    signed: int
    """The last place that a checkpoint covers."""
    verified: int
    """The last place that was verified."""
    verified_at: datetime | None
    finding: str
    """What the last verification found; empty when everything held."""


class ShownCheckpoint(Shown):
    """A signed statement about the chain."""

    k: int
    n: int
    link: str
    previous: str
    at: int
    kid: str
    signature: str


class ShownFinding(Shown):
    """The first thing that does not hold."""

    what: Literal["altered", "removed", "inserted", "moved", "rewritten", "cut", "checkpoint", "key"]
    n: int
    seq: int
    event_id: str
    told: str


class ShownVerified(Shown):
    """What a verification came to."""

    first: int
    last: int
    events: int
    checkpoints: int
    more: bool
    """Whether there is more to verify: ask again with `after` = `last`."""
    finding: ShownFinding | None


@router.get("/events", tags=["events"], responses=refusals(422))
async def read_events(
    request: Request,
    after: Annotated[int | None, Query(ge=1, le=1 << 53, description="The `next` of the page before.")] = None,
    limit: Limit = 50,
    name: Annotated[str, Query(max_length=100, pattern=_TEXT, description="Only names that begin so.")] = "",
    actor: Word = "",
    subject: Word = "",
    request_id: Word = "",
    since: Annotated[datetime | None, Query(description="Only events at or after this moment.")] = None,
    until: Annotated[datetime | None, Query(description="Only events at or before this moment.")] = None,
) -> Page[ShownEvent]:
    """What happened, newest first: the audit log. Filters are exact, but for the prefix `name`."""
    parts = parts_of(request)
    search = Search(name, actor, subject, request_id, _aware(since), _aware(until))
    found = await search_events(parts.database, parts.vault, search, before=after, limit=limit)
    items = [ShownEvent.model_validate(_shown(one)) for one in found]
    return Page(items=items, next=str(found[-1].event.seq) if len(found) == limit else None)


@router.get("/events/{event_id}", tags=["events"], responses=refusals(404, 422))
async def read_one_event(
    request: Request, event_id: Annotated[str, Path(max_length=64, pattern=r"^[0-9A-Za-z-]+$")]
) -> ShownPlacedEvent:
    """One thing that happened, and its place in the chain."""
    parts = parts_of(request)
    found = await read_event(parts.database, parts.vault, event_id)
    if found is None:
        raise NotFound("there is no such event")
    return ShownPlacedEvent.model_validate({**_shown(found), "n": found.n, "link": found.link})


def _aware(moment: datetime | None) -> datetime | None:
    """A moment without an offset is taken as UTC."""
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _shown(one: Read) -> dict[str, object]:
    event = one.event
    return {
        "seq": event.seq,
        "id": event.id,
        "name": event.name,
        "actor": event.actor,
        "subject": event.subject,
        "at": event.at.isoformat().replace("+00:00", "Z"),
        "detail": dict(one.detail),
        "request_id": event.request_id,
    }


@router.get("/audit/chain", tags=["audit"])
async def read_audit_chain(request: Request) -> ShownChain:
    """How far the log is sealed, signed and verified."""
    lookup = parts_of(request).database.lookup
    head, last = await store.read_head(lookup), await store.last_checkpoint(lookup)
    return ShownChain(
        last=head.n,
        link=head.link,
        floor=head.floor,
        signed=0 if last is None else last.n,
        verified=head.verified,
        verified_at=head.verified_at,
        finding=head.finding,
    )


@router.get(
    "/audit/export",
    tags=["audit"],
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {}}, "description": "JSON lines that verify without the database"}},
)
async def export_audit_log(request: Request) -> StreamingResponse:
    """The whole log with its chain and checkpoints, as JSON lines: `kronborg audit verify --export` reads it."""
    parts = parts_of(request)
    headers = {"content-disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(export_lines(parts.database, parts.vault), media_type=NDJSON, headers=headers)


@router.get("/audit/keys", tags=["audit"])
async def read_audit_keys(request: Request) -> dict[str, JsonValue]:
    """The public keys that sign checkpoints, as a JWK Set (RFC 7517)."""
    parts = parts_of(request)
    keys, _ = await own_keys(parts.database, parts.vault)
    return {"keys": [dict(key_json(kid, key)) for kid, key in keys.items()]}  # type: ignore[arg-type]  # JSON by its type


@router.get("/audit/checkpoints/last", tags=["audit"], responses=refusals(404))
async def read_audit_checkpoint(request: Request) -> ShownCheckpoint:
    """The newest checkpoint: keep it elsewhere."""
    last = await store.last_checkpoint(parts_of(request).database.lookup)
    if last is None:
        raise NotFound("there is no checkpoint yet")
    return ShownCheckpoint.model_validate(checkpoint_json(last))


@router.post("/audit/checkpoints", status_code=201, tags=["audit"], responses=refusals(409))
async def sign_checkpoint(request: Request) -> ShownCheckpoint:
    """Sign the end of the chain as it is now."""
    parts = parts_of(request)
    made = await make_checkpoint(parts.database, parts.vault, now=clock.now())
    if made is None:
        raise Conflict("nothing happened since the last checkpoint")
    return ShownCheckpoint.model_validate(checkpoint_json(made))


@router.post("/audit/verify", tags=["audit"], responses=refusals(422))
async def verify_audit_log(
    request: Request,
    after: Annotated[int | None, Query(ge=0, le=1 << 53, description="Go on after this place.")] = None,
) -> ShownVerified:
    """Verify the chain, at most 50,000 events at a time; the command verifies all of it at once."""
    parts = parts_of(request)
    found = await verify(parts.database, parts.vault, Scope(after=after or None, limit=MAX_STEP))
    head = await store.read_head(parts.database.lookup)
    wrong = found.finding
    return ShownVerified(
        first=found.first,
        last=found.last,
        events=found.events,
        checkpoints=found.checkpoints,
        more=wrong is None and found.events == MAX_STEP and found.last < head.n,
        finding=None if wrong is None else ShownFinding.model_validate(wrong),
    )
