"""Records in PostgreSQL: partitions by day in a schema of their own, each dropped whole.

The tables are made here and not by a migration: partitions come and go while the server runs. Imported only where the
database is PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kronborg.traffic import sql_store
from kronborg.traffic.rollup_model import ROLLUPS, UNITS, tally
from kronborg.traffic.row_model import COLUMNS, Row, bounds_of, day_of, seq_of
from kronborg.traffic.search_model import By, Count, Keeping, Latency, Person, Search, Span, TrafficStore
from kronborg.traffic.sql_store import (
    CLASSES,
    INDEXED,
    IS_REPORTED,
    RECORDS,
    WHOLE,
    Value,
    columns_sql,
    upsert_sql,
)

if TYPE_CHECKING:
    import psycopg

SCHEMA = "kronborg_traffic"
NO_RIGHT = (
    f"the database user may make neither the schema {SCHEMA} nor tables in its own: let an administrator run "
    f"CREATE SCHEMA {SCHEMA} AUTHORIZATION <user>, or grant CREATE on the database"
)
_ALONE = 0x74726166  # "traf": any number nobody else asks an advisory lock for
_AHEAD = timedelta(days=1)
_SECONDS = "10s"
_COPIED = "traffic_copied"


class NoRight(Exception):
    """The tables of the records cannot be made."""


def _schema() -> list[str]:
    made = [
        f"CREATE TABLE IF NOT EXISTS {RECORDS} ({columns_sql(COLUMNS, 'TEXT', 'BIGINT')}, PRIMARY KEY (seq)) "
        "PARTITION BY RANGE (seq)",
    ]
    made += [
        f"CREATE INDEX IF NOT EXISTS ix_traffic_{name} ON {RECORDS} ({column}, seq) WHERE {column} <> ''"
        for name, column in INDEXED
    ]
    made.append(f"CREATE INDEX IF NOT EXISTS ix_traffic_errors ON {RECORDS} (status, seq) WHERE status >= 400")
    made += [
        f"CREATE INDEX IF NOT EXISTS ix_traffic_errors_{name} ON {RECORDS} (seq) WHERE {which}"
        for name, which in CLASSES.items()
    ]
    made.append(f"CREATE INDEX IF NOT EXISTS ix_traffic_reported ON {RECORDS} (decision, seq) WHERE {IS_REPORTED}")
    made += [
        f"CREATE TABLE IF NOT EXISTS {table} ({columns_sql((*keys, *sums), 'TEXT', 'BIGINT')}, "
        f"PRIMARY KEY ({', '.join(keys)})) PARTITION BY RANGE ({keys[0]})"
        for table, (keys, sums) in ROLLUPS.items()
    ]
    return made


def _upsert(table: str) -> bytes:
    """All rows at once, column by column: a statement for each of them would take longer than all the rest."""
    keys, sums = ROLLUPS[table]
    columns = ", ".join(f"%s::{'bigint' if name in WHOLE else 'text'}[]" for name in (*keys, *sums))
    head, _, tail = upsert_sql(table).partition("VALUES ")
    return f"{head} SELECT * FROM unnest({columns}) {tail.partition(') ')[2]}".encode()  # noqa: S608  # our own names


_UPSERTS = {table: _upsert(table) for table in ROLLUPS}


class PostgresTraffic(TrafficStore):
    """A schema beside the installation's tables, or tables beside them where no schema may be made.

    Several processes may write. Records are in a partition for each day, counts in one for each month.
    """

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
            fresh = self._insert(connection, rows)
            for table, more in tally(fresh).rows().items():
                # In one order for all writers: each waits for those before it, and nobody in a circle.
                columns = [list(column) for column in zip(*more, strict=True)]
                if columns:
                    connection.execute(_UPSERTS[table], columns)
        return len(fresh)

    def _insert(self, connection: psycopg.Connection[tuple[Value, ...]], rows: Sequence[Row]) -> list[Row]:
        """The rows that were not there yet. The primary key decides between writers; none waits for another's batch."""
        columns, fresh = ", ".join(COLUMNS), []
        ordered = sorted(rows, key=lambda row: int(row[0]))
        while ordered:
            unique = {int(row[0]): row for row in reversed(ordered)}
            connection.execute(f"TRUNCATE {_COPIED}")
            with connection.cursor() as cursor, cursor.copy(f"COPY {_COPIED} ({columns}) FROM STDIN") as copy:
                for seq in sorted(unique):
                    copy.write_row(unique[seq])
            new = connection.execute(
                f"INSERT INTO {RECORDS} ({columns}) SELECT {columns} FROM {_COPIED} ORDER BY seq "  # noqa: S608
                "ON CONFLICT (seq) DO NOTHING RETURNING seq"
            ).fetchall()
            inserted = {int(row[0]) for row in new}
            fresh += [unique[seq] for seq in sorted(inserted)]
            taken = {id(unique[seq]) for seq in inserted}
            left = [row for row in ordered if id(row) not in taken]
            # What is left was there already, or wants the place of another request: then the next one is tried.
            ordered = sql_store.sift(left, self._known) if left else []
        return fresh

    def _known(self, seqs: Sequence[int]) -> dict[int, str]:
        rows = self._run(f"SELECT seq, id FROM {RECORDS} WHERE seq = ANY(?)", (list(seqs),))  # type: ignore[arg-type]  # noqa: S608
        return {int(seq): str(one) for seq, one in rows}

    def search(self, search: Search) -> list[Row]:
        """See `TrafficStore`."""
        return self._run(*sql_store.search_sql(search))

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
            connection.execute(f"DROP TABLE IF EXISTS {_name(RECORDS, day)}")
            self._days.discard(day)
            gone += 1
        oldest_month = (now - keeping.rollups).strftime("%Y-%m")
        for table in ROLLUPS:
            for month in self._partitions(table):
                if month < oldest_month:
                    connection.execute(f"DROP TABLE IF EXISTS {_name(table, month)}")
        self._days.clear()
        return gone

    def size(self) -> int:
        """See `TrafficStore`."""
        rows = self._run(
            "SELECT COALESCE(SUM(pg_total_relation_size(one.relid)), 0)::BIGINT "
            "FROM unnest(?::text[]) AS t (name), LATERAL pg_partition_tree(t.name::regclass) one",
            ([RECORDS, *ROLLUPS],),  # type: ignore[arg-type]
        )
        return int(rows[0][0])

    def close(self) -> None:
        """See `TrafficStore`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _partitions(self, table: str = RECORDS) -> list[str]:
        rows = self._run(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = ?::regclass ORDER BY 1",
            (table,),
        )
        return [str(row[0]).removeprefix(f"{table}_").replace("_", "-") for row in rows]

    def _partition(self, day: str) -> None:
        connection, (first, after) = self._open(), bounds_of(day)
        month = day[:7]
        start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
        end = (start + timedelta(days=31)).replace(day=1)
        wanted = [(RECORDS, day, first, after)]
        for table, (keys, _) in ROLLUPS.items():
            seconds = UNITS[keys[0]] * 60
            wanted.append((table, month, int(start.timestamp()) // seconds, int(end.timestamp()) // seconds))
        with connection.transaction():
            connection.execute(f"SELECT pg_advisory_xact_lock({_ALONE})")
            for table, name, low, high in wanted:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {_name(table, name)} PARTITION OF {table} "
                    f"FOR VALUES FROM ({low}) TO ({high})"
                )
        self._days.add(day)

    def _ask(self, sql: str, values: Sequence[Value], span: Span) -> list[tuple[Value, ...]]:
        return self._run(sql, values)

    def _run(self, sql: str, values: Sequence[Value]) -> list[tuple[Value, ...]]:
        return self._open().execute(_sql(sql), list(values)).fetchall()

    def _open(self) -> psycopg.Connection[tuple[Value, ...]]:
        import psycopg

        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=5)
            connection.execute(f"SET statement_timeout = '{_SECONDS}'")
            connection.execute("SET client_min_messages = warning")
            try:
                self._make(connection)
            except psycopg.errors.InsufficientPrivilege:
                connection.close()
                raise NoRight(NO_RIGHT) from None
            self._connection = connection
        return self._connection

    @staticmethod
    def _make(connection: psycopg.Connection[tuple[Value, ...]]) -> None:
        import psycopg

        with connection.transaction():
            connection.execute(f"SELECT pg_advisory_xact_lock({_ALONE})")
            try:
                with connection.transaction():
                    # PostgreSQL asks for the right even where the schema is there.
                    there = connection.execute(f"SELECT to_regnamespace('{SCHEMA}')::text").fetchone()
                    if there is None or not there[0]:
                        connection.execute(f"CREATE SCHEMA {SCHEMA}")
                connection.execute(f"SET search_path TO {SCHEMA}")
            except psycopg.errors.InsufficientPrivilege:
                pass  # beside the installation's tables, where no migration of theirs has these names
            for statement in _schema():
                connection.execute(statement)
        connection.execute(f"CREATE TEMPORARY TABLE {_COPIED} (LIKE {RECORDS})")


def _sql(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()


def _name(table: str, part: str) -> str:
    return f"{table}_{part.replace('-', '_')}"
