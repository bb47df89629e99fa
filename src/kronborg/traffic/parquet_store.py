"""Records in Parquet files, asked by DuckDB: the large store, for hundreds of millions of records on one disk.

Each write is a folder of its own with the records and their roll-ups, renamed into place whole; `tend` puts the small
ones of a day together. One process writes; any may read. Needs the extra `analytics`, loaded at the first use.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from kronborg.traffic import sql_store
from kronborg.traffic.rollup_model import ROLLUPS, tally
from kronborg.traffic.row_model import COLUMNS, Row, bounds_of, day_of, seq_of
from kronborg.traffic.search_model import By, Count, Keeping, Latency, Person, Search, Span, TrafficStore
from kronborg.traffic.sql_store import RECORDS, Value, columns_sql

if TYPE_CHECKING:
    import duckdb

_SMALL_PARTS = 20
"""So many parts of a day are put together."""
_ROLLUPS = "rollups"
_TABLES = (RECORDS, *ROLLUPS)


class ParquetTraffic(TrafficStore):
    """A folder of days, each a folder of parts."""

    def __init__(self, folder: Path, *, threads: int = 2, memory: str = "1GB") -> None:
        self.folder = folder
        self._threads, self._memory = threads, memory
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def write(self, rows: Sequence[Row]) -> int:
        """See `TrafficStore`."""
        written = 0
        ordered = sorted(rows, key=lambda row: int(row[0]))
        with self._lock:
            for day, group in groupby(ordered, key=lambda row: day_of(int(row[0]))):
                fresh = sorted(sql_store.sift(list(group), lambda seqs, day=day: self._known(day, seqs)))  # type: ignore[misc]
                if fresh:
                    self._write_part(day, fresh)
                    written += len(fresh)
        return written

    def _known(self, day: str, seqs: Sequence[int]) -> dict[int, str]:
        if not seqs:
            return {}
        sql = f"SELECT seq, id FROM {RECORDS} WHERE seq >= ? AND seq <= ?"  # noqa: S608  # our own names
        wanted = set(seqs)
        rows = self._run(sql, (min(seqs), max(seqs)), [self.folder / day])
        return {int(seq): str(one) for seq, one in rows if seq in wanted}

    def _write_part(self, day: str, rows: Sequence[Row]) -> None:
        part = self._fresh()
        self._to_parquet(part / f"{RECORDS}.parquet", COLUMNS, rows)
        for table, values in tally(rows).rows().items():
            self._to_parquet(part / f"{table}.parquet", sum(ROLLUPS[table], ()), values)
        self._place(part, day)

    def _to_parquet(self, path: Path, columns: Sequence[str], values: Sequence[Sequence[Value]]) -> None:
        connection = self._open()
        connection.execute(f"CREATE OR REPLACE TEMP TABLE batch ({columns_sql(columns, 'VARCHAR', 'BIGINT')})")
        # By columns: one call for each row would cost ten times as much.
        names = ", ".join(f"unnest(?) AS {name}" for name in columns)
        by_column = [list(column) for column in zip(*values, strict=True)]
        if values:
            connection.execute(f"INSERT INTO batch SELECT {names}", by_column)  # our own names
        connection.execute(f"COPY batch TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd)")
        connection.execute("DROP TABLE batch")

    def search(self, search: Search) -> list[Row]:
        """See `TrafficStore`."""
        with self._lock:
            return self._run(*sql_store.search_sql(search), self._days_of(search.span))

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
        with self._lock:
            days, gone = self._days(), 0
            oldest = day_of(seq_of(now - keeping.records))
            while days and (days[0].name < oldest or (len(days) > 1 and self.size() > keeping.most_bytes)):
                self._drop(days.pop(0))
                gone += 1
            for day in days:
                if sum(1 for _ in day.iterdir()) >= _SMALL_PARTS:
                    self._join(day)
            kept = day_of(seq_of(now - keeping.rollups))
            for old in (self.folder / _ROLLUPS).glob("*"):
                if old.name < kept:
                    shutil.rmtree(old)
        return gone

    def size(self) -> int:
        """See `TrafficStore`."""
        return sum(path.stat().st_size for path in self.folder.rglob("*.parquet"))

    def close(self) -> None:
        """See `TrafficStore`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _drop(self, day: Path) -> None:
        """The roll-ups of a day stay, its records go."""
        self._join(day)
        kept = self._fresh()
        (part,) = day.iterdir()
        for table in ROLLUPS:
            (part / f"{table}.parquet").rename(kept / f"{table}.parquet")
        (self.folder / _ROLLUPS).mkdir(exist_ok=True)
        kept.rename(self.folder / _ROLLUPS / day.name)
        shutil.rmtree(day)

    def _join(self, day: Path) -> None:
        """One part in place of all of a day, by exchanging the folder of the day."""
        joined = self._fresh()
        for table in _TABLES:
            if table == RECORDS:
                source = f"SELECT * FROM {table} ORDER BY seq"  # noqa: S608  # our own names
            else:
                keys, sums = ROLLUPS[table]
                added = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in sums)
                source = f"SELECT {', '.join(keys)}, {added} FROM {table} GROUP BY ALL ORDER BY ALL"  # noqa: S608
            target = _quoted(joined / f"{table}.parquet")
            self._run(f"COPY ({source}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)", (), [day])
        fresh, old = self._fresh(), self._fresh()
        joined.rename(fresh / joined.name)
        day.rename(old / day.name)
        fresh.rename(day)
        shutil.rmtree(old)

    def _fresh(self) -> Path:
        path = self.folder / "new" / uuid4().hex
        path.mkdir(parents=True)
        return path

    def _place(self, part: Path, day: str) -> None:
        (self.folder / day).mkdir(exist_ok=True)
        part.rename(self.folder / day / part.name)

    def _days(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("????-??-??") if path.is_dir())

    def _days_of(self, span: Span) -> list[Path]:
        start, end = span.seqs
        days = [(day, bounds_of(day.name)) for day in self._days()]
        return [day for day, (first, after) in days if after > start and first < end]

    def _ask(self, sql: str, values: Sequence[Value], span: Span) -> list[tuple[Value, ...]]:
        # DuckDB's / makes fractions of whole numbers.
        with self._lock:
            return self._run(sql.replace(" / ", " // "), values, [*self._days_of(span), *self._old()])

    def _old(self) -> list[Path]:
        return [self.folder / _ROLLUPS] if (self.folder / _ROLLUPS).is_dir() else []

    def _run(self, sql: str, values: Sequence[Value], folders: Sequence[Path]) -> list[tuple[Value, ...]]:
        """Our statement with its table read from the parts of these days."""
        table = next(name for name in _TABLES if name in sql)
        files = [str(one) for folder in folders for one in sorted(folder.glob(f"*/{table}.parquet"))]
        if not files:
            return []
        listed = ", ".join(f"'{_quoted(Path(one))}'" for one in files)
        sql = sql.replace(f"FROM {table}", f"FROM read_parquet([{listed}])", 1)
        return self._open().execute(sql, list(values)).fetchall()

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            import duckdb

            self._connection = duckdb.connect(
                ":memory:", config={"threads": self._threads, "memory_limit": self._memory}
            )
        return self._connection


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
