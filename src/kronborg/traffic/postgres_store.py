"""Records in PostgreSQL: partitions by day in a schema of their own, each dropped whole.

The tables are made here and not by a migration: partitions come and go while the server runs. Imported only where the
database is PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kronborg.traffic import sql_store
from kronborg.traffic.lines import COLUMNS, Row, bounds_of, day_of, seq_of
from kronborg.traffic.rollup import tally
from kronborg.traffic.search_model import By, Count, Keeping, Latency, Person, Search, Span
from kronborg.traffic.sql_store import (
    INDEXED,
    LATENCY,
    MINUTES,
    PEOPLE,
    RECORDS,
    ROLLUPS,
    Value,
    columns_sql,
    upsert_sql,
)

if TYPE_CHECKING:
    import psycopg

SCHEMA = "kronborg_traffic"
_ALONE = 0x74726166  # "traf": any number nobody else asks an advisory lock for
_AHEAD = timedelta(days=1)
_SECONDS = "10s"


def _schema() -> list[str]:
    made = [
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
        f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{RECORDS} ({columns_sql(COLUMNS, 'TEXT', 'BIGINT')}, PRIMARY KEY (seq)) "
        "PARTITION BY RANGE (seq)",
    ]
    made += [
        f"CREATE INDEX IF NOT EXISTS ix_{name} ON {SCHEMA}.{RECORDS} ({column}, seq) WHERE {column} <> ''"
        for name, column in INDEXED
    ]
    made.append(f"CREATE INDEX IF NOT EXISTS ix_errors ON {SCHEMA}.{RECORDS} (status, seq) WHERE status >= 400")
    made += [
        f"CREATE TABLE IF NOT EXISTS {SCHEMA}.{table} ({columns_sql((*keys, *sums), 'TEXT', 'BIGINT')}, "
        f"PRIMARY KEY ({', '.join(keys)}))"
        for table, (keys, sums) in ROLLUPS.items()
    ]
    return made


class PostgresTraffic:
    """A schema beside the installation's tables. Several processes may write."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[tuple[Value, ...]] | None = None
        self._days: set[str] = set()

    def write(self, rows: Sequence[Row]) -> int:
        """See `TrafficStore`."""
        connection = self._open()
        for day in sorted({day_of(int(row[0])) for row in rows} - self._days):
            self._partition(day)
        with connection.transaction():
            # One writer at a time: what is new must be known for the counts.
            connection.execute(f"SELECT pg_advisory_xact_lock({_ALONE})")
            fresh = sql_store.sift(rows, self._known)
            if fresh:
                self._insert(connection, fresh)
                added = tally(fresh)
                with connection.cursor() as cursor:
                    for table, more in (
                        (MINUTES, added.minute_rows()),
                        (LATENCY, added.latency_rows()),
                        (PEOPLE, added.people_rows()),
                    ):
                        cursor.executemany(_sql(upsert_sql(table)), more)
        return len(fresh)

    @staticmethod
    def _insert(connection: psycopg.Connection[tuple[Value, ...]], rows: Sequence[Row]) -> None:
        with connection.cursor() as cursor, cursor.copy(f"COPY {RECORDS} ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _known(self, seqs: Sequence[int]) -> dict[int, str]:
        rows = self._ask(f"SELECT seq, id FROM {RECORDS} WHERE seq = ANY(?)", (list(seqs),))  # type: ignore[arg-type]  # noqa: S608
        return {int(seq): str(one) for seq, one in rows}

    def search(self, search: Search) -> list[Row]:
        """See `TrafficStore`."""
        return self._ask(*sql_store.search_sql(search))

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
        connection = self._open()
        self._partition(day_of(seq_of(now + _AHEAD)))
        days, gone = self._partitions(), 0
        oldest = day_of(seq_of(now - keeping.records))
        while days and (days[0] < oldest or (len(days) > 2 and self.size() > keeping.most_bytes)):
            day = days.pop(0)
            connection.execute(f"DROP TABLE IF EXISTS {_name(day)}")
            self._days.discard(day)
            gone += 1
        first = int((now - keeping.rollups).timestamp()) // 60
        connection.execute(f"DELETE FROM {MINUTES} WHERE minute < %s", (first,))  # noqa: S608  # our own names
        connection.execute(f"DELETE FROM {LATENCY} WHERE minute < %s", (first,))  # noqa: S608
        connection.execute(f"DELETE FROM {PEOPLE} WHERE hour < %s", (first // 60,))  # noqa: S608
        return gone

    def size(self) -> int:
        """See `TrafficStore`."""
        rows = self._ask(
            "SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0)::BIGINT FROM pg_class c "  # noqa: S608
            f"WHERE c.relnamespace = '{SCHEMA}'::regnamespace AND c.relkind = 'r'",  # our own name
            (),
        )
        return int(rows[0][0])

    def close(self) -> None:
        """See `TrafficStore`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _partitions(self) -> list[str]:
        rows = self._ask(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = ?::regclass ORDER BY 1",
            (f"{SCHEMA}.{RECORDS}",),
        )
        return [str(row[0]).removeprefix("records_").replace("_", "-") for row in rows]

    def _partition(self, day: str) -> None:
        connection, (first, after) = self._open(), bounds_of(day)
        with connection.transaction():
            connection.execute(f"SELECT pg_advisory_xact_lock({_ALONE})")
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_name(day)} PARTITION OF {RECORDS} FOR VALUES FROM ({first}) TO ({after})"
            )
        self._days.add(day)

    def _ask(self, sql: str, values: Sequence[Value]) -> list[tuple[Value, ...]]:
        return self._open().execute(_sql(sql), list(values)).fetchall()

    def _open(self) -> psycopg.Connection[tuple[Value, ...]]:
        import psycopg

        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
            connection.execute(f"SET search_path TO {SCHEMA}")
            connection.execute(f"SET statement_timeout = '{_SECONDS}'")
            with connection.transaction():
                connection.execute(f"SELECT pg_advisory_xact_lock({_ALONE})")
                for statement in _schema():
                    connection.execute(statement)
            self._connection = connection
        return self._connection


def _sql(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _name(day: str) -> str:
    return f"records_{day.replace('-', '_')}"
