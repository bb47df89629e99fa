"""The figures of the dashboard, cheap whatever the size: every count is on an index and stops at a bound."""

from __future__ import annotations

from datetime import datetime

from kronborg.core.db import from_micros, to_micros
from kronborg.core.group_writer import Lookup, Value
from kronborg.core.sqlite import SqliteLookup

FEW, MANY = 10_000, 100_000
"""Events of one kind and day are counted up to the first, people and sessions up to the second."""

_FIRST_SINCE = "SELECT seq FROM core_events WHERE at >= ? ORDER BY at LIMIT 1"
_LAST = "SELECT seq FROM core_events ORDER BY seq DESC LIMIT 1"
_EVENTS = "SELECT COUNT(*) FROM (SELECT 1 FROM core_events WHERE name = ? AND seq >= ? AND seq < ? LIMIT ?) t"
_PEOPLE = "SELECT COUNT(*) FROM (SELECT 1 FROM accounts_users LIMIT ?) t"
_PEOPLE_ABOUT_SQLITE = "SELECT MAX(rowid) FROM accounts_users"
_PEOPLE_ABOUT_POSTGRES = "SELECT reltuples FROM pg_class WHERE relname = 'accounts_users'"
_SESSIONS = "SELECT COUNT(*) FROM (SELECT 1 FROM signin_sessions WHERE last_seen_at > ? LIMIT ?) t"
_SECRETS = """
SELECT s.client_id, c.name, s.expires_at FROM clients_secrets s JOIN clients_clients c ON c.id = s.client_id
WHERE s.expires_at < ? AND c.disabled = ? ORDER BY s.expires_at LIMIT ?
"""
_LEGACY = """
SELECT id FROM clients_clients
WHERE disabled = ? AND (grants LIKE ? OR grants LIKE ? OR settings LIKE ? OR settings LIKE ?) ORDER BY id LIMIT ?
"""
_WAITING = "SELECT e.at FROM core_unsealed u JOIN core_events e ON e.seq = u.seq ORDER BY u.seq LIMIT 1"
_LETTERS = "SELECT written_at FROM core_letters ORDER BY next_at LIMIT ?"


async def first_event_since(lookup: Lookup, moment: datetime) -> int:
    """The sequence number that events since that moment begin with."""
    row = await lookup.first(_FIRST_SINCE, (to_micros(moment),))
    if row is not None:
        return int(row[0])
    last = await lookup.first(_LAST)
    return 1 if last is None else int(last[0]) + 1


async def count_events(lookup: Lookup, name: str, *, first: int, before: int) -> int:
    """Events of that name from one sequence number to another, at most `FEW` + 1."""
    return await _count(lookup, _EVENTS, (name, first, before, FEW + 1))


async def count_people(lookup: Lookup) -> tuple[int, bool]:
    """How many accounts, and whether that is exact; beyond `MANY` it is what the database believes itself."""
    exact = await _count(lookup, _PEOPLE, (MANY + 1,))
    if exact <= MANY:
        return exact, True
    row = await lookup.first(_PEOPLE_ABOUT_SQLITE if isinstance(lookup, SqliteLookup) else _PEOPLE_ABOUT_POSTGRES)
    return max(exact, int(row[0] if row is not None and row[0] is not None else 0)), False


async def count_sessions(lookup: Lookup, *, since: datetime) -> int:
    """Sessions that were used since then, at most `MANY` + 1."""
    return await _count(lookup, _SESSIONS, (to_micros(since), MANY + 1))


async def ending_secrets(lookup: Lookup, *, before: datetime, limit: int) -> tuple[tuple[str, str, datetime], ...]:
    """Client, name and end of secrets that end before then, the next first."""
    rows = await lookup.all(_SECRETS, (to_micros(before), False, limit))
    return tuple((str(row[0]), str(row[1]), from_micros(row[2])) for row in rows)


async def maybe_legacy(lookup: Lookup, *, limit: int) -> tuple[str, ...]:
    """The ids of clients that may have a legacy allowance; `legacy_of` says which do."""
    marks = ('%"implicit"%', '%"password"%', "%response_types%", "%legacy_client_assertions%")
    return tuple(str(row[0]) for row in await lookup.all(_LEGACY, (False, *marks, limit)))


async def oldest_waiting_event(lookup: Lookup) -> datetime | None:
    """Since when the worker has had something to do."""
    row = await lookup.first(_WAITING)
    return None if row is None else from_micros(row[0])


async def waiting_letters(lookup: Lookup, *, limit: int) -> tuple[datetime, ...]:
    """When the letters that wait were written."""
    return tuple(from_micros(row[0]) for row in await lookup.all(_LETTERS, (limit,)))


async def _count(lookup: Lookup, sql: str, parameters: tuple[Value, ...]) -> int:
    row = await lookup.first(sql, parameters)
    return 0 if row is None else int(row[0])
