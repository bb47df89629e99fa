"""Finding events among millions: every search walks one index backwards, page by page.

A prefix of names becomes the names there are (each found by one seek), a moment a bound for the numbers. What the index
of the search does not decide is compared row by row.
"""

from __future__ import annotations

from datetime import datetime

from kronborg.audit.model import Search, detail_of
from kronborg.core.db import from_micros, to_micros
from kronborg.core.events import Event
from kronborg.core.group_writer import Lookup, Row, Value

MOST_NAMES = 300
SLACK = 1000
"""Events near a moment whose numbers are looked at: they are given in nearly the order of time."""

_COLUMNS = "seq, id, name, actor, subject, at, detail, request_id"
_NAMES = """
WITH RECURSIVE known(name) AS (
    SELECT MIN(name) FROM core_events
    UNION ALL SELECT (SELECT MIN(e.name) FROM core_events e WHERE e.name > known.name) FROM known
    WHERE known.name IS NOT NULL
) SELECT name FROM known WHERE name IS NOT NULL LIMIT ?
"""
_BELOW = "SELECT MAX(seq) FROM (SELECT seq FROM core_events WHERE at <= ? ORDER BY at DESC LIMIT ?) near"
_ABOVE = "SELECT MIN(seq) FROM (SELECT seq FROM core_events WHERE at >= ? ORDER BY at LIMIT ?) near"
_ONE = f"SELECT {_COLUMNS} FROM core_events WHERE id = ?"  # noqa: S608  # our own columns
_AT = f"SELECT {_COLUMNS} FROM core_events WHERE seq = ?"  # noqa: S608  # our own columns
LAST = 1 << 62


async def find_events(lookup: Lookup, search: Search, *, before: int | None = None, limit: int = 50) -> list[Event]:
    """The newest that are meant, older than number `before`."""
    upper, lower = await _bounds(lookup, search, LAST if before is None else before)
    names = [name for name in await names_of_events(lookup) if name.startswith(search.name)] if search.name else []
    if search.name and not names:
        return []
    if search.name and not (search.request_id or search.subject or search.actor):
        # One walk for each name, along the index of names: together they hold the newest.
        rows = [row for name in names for row in await _walk(lookup, search, (name,), upper, lower, limit)]
        rows.sort(key=lambda row: -int(row[0]))
        return [_event(row) for row in rows[:limit]]
    rows = await _walk(lookup, search, tuple(names), upper, lower, limit)
    return [_event(row) for row in rows]


async def find_event(lookup: Lookup, event_id: str) -> Event | None:
    """The event of this id."""
    row = await lookup.first(_ONE, (event_id,))
    return None if row is None else _event(row)


async def find_event_at(lookup: Lookup, seq: int) -> Event | None:
    """The event of this number."""
    row = await lookup.first(_AT, (seq,))
    return None if row is None else _event(row)


async def _walk(
    lookup: Lookup, search: Search, names: tuple[str, ...], upper: int, lower: int, limit: int
) -> list[Row]:
    clauses, values = ["seq < ?", "seq >= ?"], list[Value]([upper, lower])
    for column, wanted in (("request_id", search.request_id), ("subject", search.subject), ("actor", search.actor)):
        if wanted:
            # Said twice for the partial index of request ids.
            clauses.append(f"{column} = ? AND {column} <> ''")
            values.append(wanted)
    if names:
        clauses.append("name = ?" if len(names) == 1 else f"name IN ({', '.join('?' * len(names))})")
        values += names
    for sign, moment in ((">=", search.after), ("<=", search.before)):
        if moment is not None:
            clauses.append(f"at {sign} ?")
            values.append(to_micros(moment))
    where = " AND ".join(clauses)
    sql = f"SELECT {_COLUMNS} FROM core_events WHERE {where} ORDER BY seq DESC LIMIT ?"  # noqa: S608  # our own columns
    return await lookup.all(sql, (*values, limit))


async def _bounds(lookup: Lookup, search: Search, before: int) -> tuple[int, int]:
    """Numbers between which every event of the time range lies, but for a few near its edges."""
    upper, lower = before, 0
    if search.before is not None:
        upper = min(upper, await _edge(lookup, _BELOW, search.before, default=-1) + 1)
    if search.after is not None:
        lower = await _edge(lookup, _ABOVE, search.after, default=LAST)
    return upper, lower


async def _edge(lookup: Lookup, sql: str, moment: datetime, *, default: int) -> int:
    row = await lookup.first(sql, (to_micros(moment), SLACK))
    return default if row is None or row[0] is None else int(row[0])


async def names_of_events(lookup: Lookup) -> list[str]:
    """The names there are, each found by one seek in their index."""
    return [str(row[0]) for row in await lookup.all(_NAMES, (MOST_NAMES,))]


def _event(row: Row) -> Event:
    return Event(row[0], row[1], row[2], row[3], row[4], from_micros(row[5]), detail_of(row[6]), row[7])
