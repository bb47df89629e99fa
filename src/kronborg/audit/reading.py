"""Events as those see them who may read the log: personal values in the clear or erased, and the place in the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kronborg.audit import chain_store as store
from kronborg.audit.model import Search
from kronborg.audit.search_store import find_event, find_events
from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.events import Event
from kronborg.core.json import JsonObject, JsonValue
from kronborg.core.personal import CHANGED, opened


@dataclass(frozen=True, slots=True)
class Read:
    """An event with its detail in the clear. `n` and `link` are None while it waits for its place, or unasked."""

    event: Event
    detail: JsonObject
    n: int | None = None
    link: str | None = None

    @property
    def changed(self) -> tuple[tuple[str, JsonValue, JsonValue], ...]:
        """What changed: field, before, after. Older events name the fields only."""
        told = self.detail.get(CHANGED)
        if isinstance(told, Mapping):
            return tuple((name, *_pair(pair)) for name, pair in told.items())
        return tuple((str(name), None, None) for name in told) if isinstance(told, (list, tuple)) else ()

    @property
    def rest(self) -> JsonObject:
        """The detail without what changed."""
        return {name: value for name, value in self.detail.items() if name != CHANGED}


def _pair(value: JsonValue) -> tuple[JsonValue, JsonValue]:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return value[0], value[1]
    return None, value


async def search_events(
    database: Database, vault: Vault, search: Search, *, before: int | None = None, limit: int = 50
) -> list[Read]:
    """The newest events that are meant, older than number `before`."""
    found = await find_events(database.lookup, search, before=before, limit=min(limit, 200))
    async with database.read() as session:
        details = await opened(session, vault, [one.detail for one in found])
    return [Read(event, detail) for event, detail in zip(found, details, strict=True)]


async def read_event(database: Database, vault: Vault, event_id: str) -> Read | None:
    """One event with its place."""
    event = await find_event(database.lookup, event_id)
    if event is None:
        return None
    async with database.read() as session:
        [detail] = await opened(session, vault, [event.detail])
    n, link = await store.place_of(database.lookup, event.seq) or (None, None)
    return Read(event, detail, n, link)
