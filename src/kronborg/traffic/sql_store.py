"""The statements that every store shares: the same tables and questions on SQLite, PostgreSQL and DuckDB."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from kronborg.traffic.rollup_model import (
    DAYS,
    HOURS,
    LATENCY,
    MINUTES,
    PEOPLE,
    PEOPLE_DAYS,
    REPORTED,
    ROLLUPS,
    TIMES,
    TOTALS,
    UNITS,
    WHO,
)
from kronborg.traffic.row_model import COLUMNS, NUMBERS, Row
from kronborg.traffic.search_model import EXACT, By, Count, Latency, Person, Search, Span

IS_REPORTED = "decision = 'reported'"
"""The condition of an index of their own."""
Value = int | str
Ask = Callable[[str, Sequence[Value], Span], list[tuple[Value, ...]]]
"""Runs one of our statements, with `?` for values, on what there is of a span, and returns its rows."""

RECORDS = "traffic_records"
WHOLE = NUMBERS | {*UNITS, "kind", "bucket", "n", "sent", "refused"}

INDEXED = (
    *(("id", "id"), ("client", "client"), ("subject", "subject"), ("token", "token"), ("session", "session")),
    *(("key_id", "key_id"), ("address", "address"), ("route", "route"), ("reason", "reason"), ("trace", "trace")),
    *(("grant_id", "grant_id"), ("path", "path")),
)
_ERRORS = "status >= 400"
CLASSES = {4: "status >= 400 AND status < 500", 5: "status >= 500"}
"""Classes of errors have indexes by time of their own: they are few, and nobody should look at all for them."""
_CLASSES = 10
_ALLOWED = "allowed"


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
        if name == "decision" and value != _ALLOWED:
            where.append(IS_REPORTED if value == "reported" else "reason <> ''")
        values.append(value)
    if search.status is not None:
        where.append(_status(search.status))
    values.append(search.limit)
    return (
        f"SELECT {', '.join(COLUMNS)} FROM {RECORDS} WHERE {' AND '.join(where)} "  # noqa: S608  # our own names
        "ORDER BY seq DESC LIMIT ?",
        values,
    )


def _status(wanted: int) -> str:
    """The condition on a status or on a class of them, as the index on those that are errors has it."""
    if wanted >= _CLASSES:
        return f"status = {int(wanted)}" + (f" AND {_ERRORS}" if wanted >= 400 else "")
    return CLASSES.get(wanted, f"status >= {int(wanted) * 100} AND status < {int(wanted) * 100 + 100}")


def counts(ask: Ask, span: Span, by: Sequence[By], step: int) -> list[Count]:
    """Counts from the coarsest roll-ups that say what is asked, exact to the minute."""
    if any(name not in WHO for name in by):
        raise ValueError("the column cannot be grouped by")
    groups = [*by, "status", "reason"]
    places = ", ".join(str(place) for place in range(1, len(groups) + 2))
    tiers = (DAYS, HOURS, MINUTES) if set(by) - {"status", "reason"} else (TOTALS,)
    merged: dict[tuple[Value, ...], list[int]] = {}
    for table, part in _parts(span, tiers, step):
        unit, (first, last) = ROLLUPS[table][0][0], part.minutes
        slot = f"{unit} * {UNITS[unit]} / {int(step)}" if step else "0"
        rows = ask(
            f"SELECT {slot} AS slot, {', '.join(groups)}, CAST(SUM(n) AS BIGINT), CAST(SUM(sent) AS BIGINT), "  # noqa: S608
            "CAST(SUM(duration_us) AS BIGINT), CAST(SUM(upstream_us) AS BIGINT) "
            f"FROM {table} WHERE {unit} >= ? AND {unit} < ? GROUP BY {places}",
            (first // UNITS[unit], last // UNITS[unit]),
            part,
        )
        merge(rows, len(groups) + 1, merged)
    return [
        Count(
            keys=tuple(str(one) for one in key[1 : 1 + len(by)]),
            slot=int(key[0]),
            status=int(key[-2]),
            reason=cause if not (cause := str(key[-1])).startswith(REPORTED) else "",
            n=sums[0],
            sent=sums[1],
            duration_us=sums[2],
            upstream_us=sums[3],
            reported=cause.removeprefix(REPORTED) if cause.startswith(REPORTED) else "",
        )
        for key, sums in merged.items()
    ]


def latencies(ask: Ask, span: Span, step: int, route: str | None) -> list[Latency]:
    """Counts by bucket."""
    slot = f"minute / {int(step)}" if step else "0"
    table, one = (TIMES, "") if route is None else (LATENCY, " AND route = ?")
    rows = ask(
        f"SELECT {slot} AS slot, kind, bucket, CAST(SUM(n) AS BIGINT) FROM {table} "  # noqa: S608  # our own names
        f"WHERE minute >= ? AND minute < ?{one} GROUP BY 1, 2, 3",
        (*span.minutes, *(() if route is None else (route,))),
        span,
    )
    return [Latency(int(key[0]), int(key[1]), int(key[2]), sums[0]) for key, sums in merge(rows, 3).items()]


def people(ask: Ask, span: Span, limit: int) -> list[Person]:
    """Who called most, by whole hours. Whoever is far behind in each part of the span is not among the first of all."""
    first, last = span.minutes
    whole = _between(first // 60 * 60, -(-last // 60) * 60)
    merged: dict[tuple[Value, ...], list[int]] = {}
    for table, part in _parts(whole, (PEOPLE_DAYS, PEOPLE), 0):
        unit, (low, high) = ROLLUPS[table][0][0], part.minutes
        rows = ask(
            f"SELECT subject, CAST(SUM(n) AS BIGINT) AS n, CAST(SUM(refused) AS BIGINT) FROM {table} "  # noqa: S608
            f"WHERE {unit} >= ? AND {unit} < ? GROUP BY subject ORDER BY 2 DESC LIMIT ?",
            (low // UNITS[unit], high // UNITS[unit], limit * 10),
            part,
        )
        merge(rows, 1, merged)
    found = [Person(str(key[0]), sums[0], sums[1]) for key, sums in merged.items()]
    return sorted(found, key=lambda person: (-person.n, person.subject))[:limit]


def _parts(span: Span, tiers: Sequence[str], step: int) -> list[tuple[str, Span]]:
    """The span in pieces, each with the coarsest of `tiers` (the finest comes last) that fits it and the steps."""
    first, last = span.minutes
    table, *finer = tiers
    unit = UNITS[ROLLUPS[table][0][0]]
    if not finer:
        return [(table, _between(first, last))] if first < last else []
    low, high = -(-first // unit) * unit, last // unit * unit
    if low >= high or step % unit:
        return _parts(span, finer, step)
    ends = [_between(first, low), _between(high, last)]
    return [(table, _between(low, high)), *(piece for end in ends for piece in _parts(end, finer, step))]


def _between(first: int, last: int) -> Span:
    """From a minute since 1970 to another."""
    return Span(*(datetime.fromtimestamp(minute * 60, UTC) for minute in (first, last)))


def merge(
    rows: Iterable[tuple[Value, ...]], width: int, known: dict[tuple[Value, ...], list[int]] | None = None
) -> dict[tuple[Value, ...], list[int]]:
    """Rows of several partitions as one, added to `known`: the first `width` values are the key, the rest add up."""
    merged = {} if known is None else known
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
