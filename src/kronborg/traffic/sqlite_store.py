"""Records in SQLite: one file for each day, apart from the main database, so that a day goes by deleting a file.

Roll-ups are written in the file of their day, in the transaction of their records; when the day goes they move to a
small file of their own, where they stay longer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import groupby
from pathlib import Path

from kronborg.traffic import sql_store
from kronborg.traffic.rollup_model import ROLLUPS, UNITS, tally
from kronborg.traffic.row_model import COLUMNS, Row, bounds_of, day_of, seq_of
from kronborg.traffic.search_model import By, Count, Keeping, Latency, Person, Search, Span, TrafficStore
from kronborg.traffic.sql_store import (
    CLASSES,
    INDEXED,
    IS_REPORTED,
    RECORDS,
    Value,
    columns_sql,
    upsert_sql,
)

_OLD = "rollups.db"
_BUSY_SECONDS = 10.0
_AT_ONCE = 500
_FILES_OPEN = 3
_INSERT = f"INSERT OR IGNORE INTO {RECORDS} VALUES ({', '.join('?' for _ in COLUMNS)})"  # noqa: S608  # our own names
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # What a power cut takes is read from the access log again; a killed process loses nothing.
    "PRAGMA synchronous = NORMAL",
    "PRAGMA cache_size = -65536",
    "PRAGMA wal_autocheckpoint = 8000",
)


def _schema() -> list[str]:
    rest = columns_sql(COLUMNS[1:], "TEXT", "INTEGER")
    made = [f"CREATE TABLE IF NOT EXISTS {RECORDS} (seq INTEGER PRIMARY KEY, {rest})"]
    made += [
        # Each index carries the place, so that what it finds comes in the order of time.
        f"CREATE INDEX IF NOT EXISTS ix_{name} ON {RECORDS} ({column}) WHERE {column} <> ''"
        for name, column in INDEXED
    ]
    made.append(f"CREATE INDEX IF NOT EXISTS ix_errors ON {RECORDS} (status) WHERE status >= 400")
    made += [
        f"CREATE INDEX IF NOT EXISTS ix_errors_{name} ON {RECORDS} (seq) WHERE {which}"
        for name, which in CLASSES.items()
    ]
    made.append(f"CREATE INDEX IF NOT EXISTS ix_reported ON {RECORDS} (decision) WHERE {IS_REPORTED}")
    return [*made, *_rollups()]


def _rollups() -> list[str]:
    return [
        f"CREATE TABLE IF NOT EXISTS {table} ({columns_sql((*keys, *sums), 'TEXT', 'INTEGER')}, "
        f"PRIMARY KEY ({', '.join(keys)})) WITHOUT ROWID"
        for table, (keys, sums) in ROLLUPS.items()
    ]


class SqliteTraffic(TrafficStore):
    """A folder of days. One process writes; any may read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writing: dict[str, sqlite3.Connection] = {}

    def write(self, rows: Sequence[Row]) -> int:
        """See `TrafficStore`."""
        written = 0
        ordered = sorted(rows, key=lambda row: int(row[0]))
        for day, group in groupby(ordered, key=lambda row: day_of(int(row[0]))):
            written += self._write_day(self._writer(day), list(group))
        return written

    def _write_day(self, connection: sqlite3.Connection, rows: list[Row]) -> int:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("SAVEPOINT records")
            if connection.executemany(_INSERT, rows).rowcount != len(rows):
                connection.execute("ROLLBACK TO records")
                rows = sql_store.sift(rows, lambda seqs: self._known(connection, seqs))
                connection.executemany(_INSERT, rows)
            for table, more in tally(rows).rows().items():
                connection.executemany(upsert_sql(table), more)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return len(rows)

    @staticmethod
    def _known(connection: sqlite3.Connection, seqs: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for start in range(0, len(seqs), _AT_ONCE):
            some = seqs[start : start + _AT_ONCE]
            marks = ", ".join("?" for _ in some)
            sql = f"SELECT seq, id FROM {RECORDS} WHERE seq IN ({marks})"  # noqa: S608  # our own names
            found.update(connection.execute(sql, some).fetchall())
        return found

    def search(self, search: Search) -> list[Row]:
        """See `TrafficStore`."""
        sql, values = sql_store.search_sql(search)
        found: list[Row] = []
        for day in reversed(self._days_of(search.span)):
            with self._reader(f"{day}.db") as connection:
                found += connection.execute(sql, [*values[:-1], search.limit - len(found)]).fetchall()
            if len(found) >= search.limit:
                break
        return found

    def counts(self, span: Span, by: Sequence[By] = (), *, step: int = 0) -> list[Count]:
        """See `TrafficStore`."""
        return sql_store.counts(self._ask, span, by, step)

    def latencies(self, span: Span, *, step: int = 0, route: str | None = None) -> list[Latency]:
        """See `TrafficStore`."""
        return sql_store.latencies(self._ask, span, step, route)

    def people(self, span: Span, *, limit: int) -> list[Person]:
        """See `TrafficStore`."""
        return sql_store.people(self._ask, span, limit)

    def tend(self, keeping: Keeping, *, now: datetime) -> int:
        """See `TrafficStore`."""
        days, gone = self._days(), 0
        oldest = day_of(seq_of(now - keeping.records))
        while days and (days[0] < oldest or (len(days) > 1 and self.size() > keeping.most_bytes)):
            self._drop(days.pop(0))
            gone += 1
        if (self.folder / _OLD).exists():
            first = int((now - keeping.rollups).timestamp()) // 60
            with closing(self._open(_OLD, _rollups())) as connection, connection:
                for table, ((unit, *_), _) in ROLLUPS.items():
                    connection.execute(f"DELETE FROM {table} WHERE {unit} < ?", (first // UNITS[unit],))  # noqa: S608
        return gone

    def size(self) -> int:
        """See `TrafficStore`."""
        return sum(path.stat().st_size for path in self.folder.glob("*.db*"))

    def close(self) -> None:
        """See `TrafficStore`."""
        for connection in self._writing.values():
            connection.close()
        self._writing.clear()

    def _drop(self, day: str) -> None:
        """A day's roll-ups move on and its file goes. Killed in between, it is done again: rows replace themselves."""
        if day in self._writing:
            self._writing.pop(day).close()
        with closing(self._open(_OLD, _rollups())) as connection:
            connection.execute("ATTACH DATABASE ? AS day", (str(self.folder / f"{day}.db"),))
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for table in ROLLUPS:
                    connection.execute(f"INSERT OR REPLACE INTO main.{table} SELECT * FROM day.{table}")  # noqa: S608
            connection.execute("DETACH DATABASE day")
        for suffix in ("", "-wal", "-shm"):
            (self.folder / f"{day}.db{suffix}").unlink(missing_ok=True)

    def _days(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("????-??-??.db"))

    def _days_of(self, span: Span) -> list[str]:
        start, end = span.seqs
        return [day for day in self._days() if bounds_of(day)[1] > start and bounds_of(day)[0] < end]

    def _ask(self, sql: str, values: Sequence[Value], span: Span) -> list[tuple[Value, ...]]:
        old = [_OLD] if (self.folder / _OLD).exists() else []
        found: list[tuple[Value, ...]] = []
        for name in [*(f"{day}.db" for day in self._days_of(span)), *old]:
            with self._reader(name) as connection:
                found += connection.execute(sql, values).fetchall()
        return found

    def _writer(self, day: str) -> sqlite3.Connection:
        if day not in self._writing:
            while len(self._writing) >= _FILES_OPEN:
                self._writing.pop(min(self._writing)).close()
            self._writing[day] = self._open(f"{day}.db", _schema())
        return self._writing[day]

    def _open(self, name: str, schema: Sequence[str]) -> sqlite3.Connection:
        path = self.folder / name
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=32
        )
        for statement in (*_PRAGMAS, *schema):
            connection.execute(statement)
        return connection

    @contextmanager
    def _reader(self, name: str) -> Iterator[sqlite3.Connection]:
        path = self.folder / name
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        with closing(connection):
            connection.execute("PRAGMA query_only = 1")
            yield connection
