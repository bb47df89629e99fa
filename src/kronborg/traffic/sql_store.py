"""The statements that every store shares: the same tables and questions on SQLite, PostgreSQL and DuckDB."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from kronborg.traffic.row_model import COLUMNS, NUMBERS, Row
from kronborg.traffic.search_model import EXACT, By, Count, Latency, Person, Search, Span

Value = int | str
Ask = Callable[[str, Sequence[Value]], list[tuple[Value, ...]]]
"""Runs one of our statements, with `?` for values, and returns its rows."""

RECORDS, MINUTES, LATENCY, PEOPLE = "traffic_records", "traffic_minutes", "traffic_latency", "traffic_people"

ROLLUPS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    MINUTES: (
        ("minute", "route", "service", "client", "status", "reason"),
        ("n", "sent", "duration_us", "upstream_us"),
    ),
    LATENCY: (("minute", "route", "kind", "bucket"), ("n",)),
    PEOPLE: (("hour", "subject"), ("n", "refused")),
}
"""By table: its key, and what adds up."""
WHOLE = NUMBERS | {"minute", "hour", "kind", "bucket", "n", "sent", "refused"}

INDEXED = (
    *(("id", "id"), ("client", "client"), ("subject", "subject"), ("token", "token"), ("session", "session")),
    *(("key_id", "key_id"), ("address", "address"), ("route", "route"), ("reason", "reason"), ("trace", "trace")),
)
_ERRORS = 400
_CLASSES = 10
_GRANTS = "grant_id"


def columns_sql(names: Iterable[str], text: str, number: str) -> str:
    """Column definitions."""
    return ", ".join(f"{name} {number if name in WHOLE else text} NOT NULL" for name in names)


def upsert_sql(table: str) -> str:
    """Adds one row of a roll-up to what is there."""
    keys, sums = ROLLUPS[table]
    marks = ", ".join("?" for _ in (*keys, *sums))
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in sums)
    return (
        f"INSERT INTO {table} ({', '.join((*keys, *sums))}) VALUES ({marks}) "  # noqa: S608  # our own names
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}"
    )


def search_sql(search: Search) -> tuple[str, list[Value]]:
    """The statement of a search and its values. Raises `ValueError` for a column that cannot be searched."""
    start, end = search.span.seqs
    values: list[Value] = [start, end if search.before is None else min(end, search.before)]
    where = ["seq >= ?", "seq < ?"]
    for name, value in search.equal:
        if name not in EXACT:
            raise ValueError("the column cannot be searched")
        # The second condition is that of the index.
        where.append(f"{name} = ? AND {name} <> ''")
        values.append(value)
    if search.status is not None:
        first, last = search.status, search.status
        if search.status < _CLASSES:
            first, last = search.status * 100, search.status * 100 + 99
        where.append("status >= ? AND status <= ?" + (f" AND status >= {_ERRORS}" if first >= _ERRORS else ""))
        values += [first, last]
    values.append(search.limit)
    return (
        f"SELECT {', '.join(COLUMNS)} FROM {RECORDS} WHERE {' AND '.join(where)} "  # noqa: S608  # our own names
        "ORDER BY seq DESC LIMIT ?",
        values,
    )


def counts(ask: Ask, span: Span, by: Sequence[By], step: int) -> list[Count]:
    """Counts from the minutes."""
    known = ROLLUPS[MINUTES][0]
    if any(name not in known for name in by):
        raise ValueError("the column cannot be grouped by")
    slot = f"minute / {int(step)}" if step else "0"
    groups = [*by, "status", "reason"]
    places = ", ".join(str(place) for place in range(1, len(groups) + 2))
    rows = ask(
        f"SELECT {slot} AS slot, {', '.join(groups)}, CAST(SUM(n) AS BIGINT), CAST(SUM(sent) AS BIGINT), "  # noqa: S608
        "CAST(SUM(duration_us) AS BIGINT), CAST(SUM(upstream_us) AS BIGINT) "
        f"FROM {MINUTES} WHERE minute >= ? AND minute < ? GROUP BY {places}",
        span.minutes,
    )
    width = len(groups) + 1
    merged = merge(rows, width)
    return [
        Count(
            keys=tuple(str(one) for one in key[1 : 1 + len(by)]),
            slot=int(key[0]),
            status=int(key[-2]),
            reason=str(key[-1]),
            n=sums[0],
            sent=sums[1],
            duration_us=sums[2],
            upstream_us=sums[3],
        )
        for key, sums in merged.items()
    ]


def latencies(ask: Ask, span: Span, step: int, route: str | None) -> list[Latency]:
    """Counts by bucket."""
    slot = f"minute / {int(step)}" if step else "0"
    one = "" if route is None else " AND route = ?"
    rows = ask(
        f"SELECT {slot} AS slot, kind, bucket, CAST(SUM(n) AS BIGINT) FROM {LATENCY} "  # noqa: S608  # our own names
        f"WHERE minute >= ? AND minute < ?{one} GROUP BY 1, 2, 3",
        (*span.minutes, *(() if route is None else (route,))),
    )
    return [Latency(int(key[0]), int(key[1]), int(key[2]), sums[0]) for key, sums in merge(rows, 3).items()]


def people(ask: Ask, span: Span, limit: int) -> list[Person]:
    """Who called most."""
    first, last = span.minutes
    rows = ask(
        f"SELECT subject, CAST(SUM(n) AS BIGINT) AS n, CAST(SUM(refused) AS BIGINT) FROM {PEOPLE} "  # noqa: S608
        "WHERE hour >= ? AND hour < ? GROUP BY subject ORDER BY 2 DESC LIMIT ?",
        (first // 60, -(-last // 60), limit * 10),
    )
    found = [Person(str(key[0]), sums[0], sums[1]) for key, sums in merge(rows, 1).items()]
    return sorted(found, key=lambda person: (-person.n, person.subject))[:limit]


def merge(rows: Iterable[tuple[Value, ...]], width: int) -> dict[tuple[Value, ...], list[int]]:
    """Rows of several partitions as one: the first `width` values are the key, the rest add up."""
    merged: dict[tuple[Value, ...], list[int]] = {}
    for row in rows:
        sums = merged.get(row[:width])
        if sums is None:
            merged[row[:width]] = [int(one) for one in row[width:]]
        else:
            for index, one in enumerate(row[width:]):
                sums[index] += int(one)
    return merged


def sift(rows: Sequence[Row], known_at: Callable[[Sequence[int]], dict[int, str]]) -> list[Row]:
    """The rows that are not there yet. Two requests of one microsecond may want one place: the later moves on by one.

    `known_at` tells which of some places are taken, and by which id.
    """
    wanted: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        wanted[int(row[0])].append(row)
    fresh: list[Row] = []
    taken: dict[int, str] = {}
    while wanted:
        taken |= known_at([seq for seq in wanted if seq not in taken])
        later: dict[int, list[Row]] = defaultdict(list)
        for seq, waiting in wanted.items():
            for row in waiting:
                holder = taken.get(seq)
                if holder is None:
                    taken[seq] = str(row[1])
                    fresh.append((seq, *row[1:]))
                elif holder != row[1]:
                    later[seq + 1].append(row)
        wanted = later
    return fresh
