"""The log as JSON lines, which verify without the database; and archiving: export, then delete what was exported.

The first line says what follows: `{"kronborg_audit": 1, "floor": …, "link": …, "keys": […]}`. Then one line for each
event with its place and link, `{"checkpoint": {…}}` after the event that it covers, and `{"end": <place>}`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson

from kronborg.audit import chain_store as store
from kronborg.audit.chain import canonical
from kronborg.audit.checkpoints import Keys, checkpoint_json, key_json, own_keys, read_checkpoint, read_keys
from kronborg.audit.model import Checkpoint, Finding, Sealed, Verified, detail_of, event_json
from kronborg.audit.verify import PAGE, Scope, verify
from kronborg.audit.walk import Walk
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.errors import Conflict, Invalid, NotFound, Problem
from kronborg.core.events import record
from kronborg.core.json import JsonObject

FORMAT = 1
MAX_LINE = 4 << 20
_DROP = 500
_NUMBERS, _TEXTS = ("n", "seq", "at"), ("link", "id", "name", "actor", "subject", "request_id")


async def export_lines(database: Database, vault: Vault, *, until: int | None = None) -> AsyncIterator[bytes]:
    """The chain from its floor to a place (by default its end), line by line."""
    head = await store.read_head(database.lookup)
    last = head.n if until is None else min(until, head.n)
    keys, _ = await own_keys(database, vault)
    first: JsonObject = {
        "kronborg_audit": FORMAT,
        "floor": head.floor,
        "link": head.floor_link,
        "keys": [key_json(kid, key) for kid, key in keys.items()],
    }
    yield canonical(first) + b"\n"
    n, stop = head.floor, await store.checkpoint_covering(database.lookup, head.floor)
    while n < last and (rows := await store.read_links(database.lookup, after=n, until=last, limit=PAGE)):
        for row in rows:
            if row[3] is None:
                raise Conflict("an event of the chain is missing: run kronborg audit verify")
            event = Sealed(*row)
            n = event.n
            yield line_of(event)
            while stop is not None and stop.n <= n:
                if stop.n == n:
                    yield canonical({"checkpoint": checkpoint_json(stop)}) + b"\n"
                following = await store.read_checkpoints(database.lookup, after=stop.k, limit=1)
                stop = following[0] if following else None
    yield canonical({"end": n}) + b"\n"


def line_of(event: Sealed) -> bytes:
    """An event as a line: what the chain covers, and its link."""
    return canonical({**event_json(event, detail_of(event.detail)), "link": event.link}) + b"\n"


def verify_lines(lines: Iterable[bytes], keys: Keys | None = None, against: Checkpoint | None = None) -> Verified:
    """Verify an export alone. With `keys` from elsewhere it proves who wrote it; else those in it are believed.

    Raises `Invalid` for what is no export of the chain.
    """
    source = _parsed(lines)
    first = next(source, None)
    if not isinstance(first, dict) or first.get("kronborg_audit") != FORMAT:
        raise Invalid(Problem("export", "does not begin as an export of the audit log does"))
    if first.get("partial"):
        raise Invalid(Problem("export", "holds only some events: a search has no chain", "export without a filter"))
    floor, link = first.get("floor"), first.get("link")
    if type(floor) is not int or type(link) is not str:
        raise Invalid(Problem("export", "does not say where its chain begins"))
    walk = Walk(keys if keys is not None else _keys_in(first), n=floor, link=link, against=against)
    finding, ended = walk.kept(), False
    if finding is None:
        finding, ended = _walk_lines(walk, source)
    if finding is None and not ended:
        finding = Finding("cut", walk.n + 1, 0, "", f"the export breaks off after place {walk.n}")
    if finding is None:
        finding = walk.end(0)
    return Verified(walk.first + 1, walk.n, walk.link, walk.events, walk.checkpoints, finding)


def _walk_lines(walk: Walk, source: Iterator[object]) -> tuple[Finding | None, bool]:
    for value in source:
        if not isinstance(value, dict):
            return Finding(
                "altered", walk.n + 1, 0, "", f"the line after place {walk.n} is not as it was written"
            ), False
        if "end" in value:
            end = value["end"]
            return walk.end(end) if type(end) is int else None, True
        if "checkpoint" in value:
            finding = walk.stop_at(read_checkpoint(value["checkpoint"]))
        else:
            event = _event(value)
            told = f"the line after place {walk.n} is not as it was written"
            finding = Finding("altered", walk.n + 1, 0, "", told) if event is None else walk.step(event)
        if finding is not None:
            return finding, False
    return None, False


def _event(value: JsonObject) -> Sealed | None:
    detail = value.get("detail")
    if not isinstance(detail, dict) or set(value) != {*_NUMBERS, *_TEXTS, "detail"}:
        return None
    if not all(type(value[name]) is int for name in _NUMBERS) or not all(type(value[name]) is str for name in _TEXTS):
        return None
    return Sealed(detail=orjson.dumps(detail).decode(), **{name: value[name] for name in (*_NUMBERS, *_TEXTS)})  # type: ignore[arg-type]  # looked at above


def _parsed(lines: Iterable[bytes]) -> Iterator[object]:
    for line in lines:
        try:
            yield orjson.loads(line) if len(line) <= MAX_LINE else None
        except orjson.JSONDecodeError:
            yield None


def _keys_in(first: JsonObject) -> Keys:
    return read_keys({"keys": first.get("keys")}) if first.get("keys") else {}


@dataclass(frozen=True, slots=True)
class Archived:
    """What was archived: places `first` to `last`, vouched for by a checkpoint at `last`."""

    first: int
    last: int


async def archive(
    database: Database, vault: Vault, write: Callable[[bytes], object], *, before: datetime, actor: str, now: datetime
) -> Archived:
    """Write the chain up to the last checkpoint before a moment; nothing is deleted yet: `prune` does that.

    Raises `NotFound` when nothing is that old, `Conflict` when the chain does not hold.
    """
    head = await store.read_head(database.lookup)
    place = await store.place_before(database.lookup, before)
    anchor = None if place is None else await store.checkpoint_below(database.lookup, place[0])
    if anchor is None or anchor.n <= head.floor:
        raise NotFound("no checkpoint covers anything that old")
    found = await verify(database, vault, Scope(limit=anchor.n - head.floor))
    if found.finding is not None:
        raise Conflict("the chain does not hold: run kronborg audit verify")
    async for line in export_lines(database, vault, until=anchor.n):
        write(line)
    async with database.write() as session:
        detail: JsonObject = {"first": head.floor + 1, "last": anchor.n, "link": anchor.link}
        await record(session, "audit.archived", actor=actor, subject=str(anchor.n), now=now, detail=detail)
    return Archived(head.floor + 1, anchor.n)


async def prune(database: Database, archived: Archived) -> int:
    """Delete the events that were archived, in bounded batches; their last checkpoint stays as the anchor."""
    anchor = await store.checkpoint_below(database.lookup, archived.last)
    if anchor is None or anchor.n != archived.last:
        raise Conflict("no checkpoint vouches for the end of what was archived")
    n, link = anchor.n, anchor.link
    await database.writer.run(lambda execute: store.raise_floor(execute, n, link), alone=True)
    count = 0
    while dropped := await database.writer.run(lambda execute: store.drop_below(execute, n, limit=_DROP), alone=True):
        count += dropped
    return count
