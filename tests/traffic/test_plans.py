"""What the databases do to answer: searches walk an index, dashboards read the coarsest counts and no record."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from kronborg.traffic import sql_store
from kronborg.traffic.postgres_store import SCHEMA, PostgresTraffic
from kronborg.traffic.questions import figures, service_map
from kronborg.traffic.rollup_model import DAYS, HOURS, MINUTES, PEOPLE, PEOPLE_DAYS, TIMES, TOTALS
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.search_model import By, Count, Search, Span, TrafficStore
from kronborg.traffic.sql_store import RECORDS, Value
from kronborg.traffic.sqlite_store import SqliteTraffic
from traffic.lines import NOON, line

if TYPE_CHECKING:
    pass

WEEK = Span(NOON - timedelta(days=3, minutes=7), NOON + timedelta(days=3, minutes=7))
Explain = Callable[[str, Sequence[Value]], str]


def on_sqlite(request: pytest.FixtureRequest, folder: Path) -> Explain:
    store = SqliteTraffic(folder)
    store.write(rows_of([line(1)], "gateway-1")[0])
    store.close()
    connection = sqlite3.connect(folder / f"{NOON:%Y-%m-%d}.db")
    request.addfinalizer(connection.close)
    return lambda sql, values: str(connection.execute(f"EXPLAIN QUERY PLAN {sql}", list(values)).fetchall())


def on_postgres(request: pytest.FixtureRequest, folder: Path) -> Explain:
    url = request.getfixturevalue("postgres_database").url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    store = PostgresTraffic(url)
    store.write(rows_of([line(1)], "gateway-1")[0])
    store.close()
    asking = psycopg.connect(url, autocommit=True)
    request.addfinalizer(asking.close)
    # A table of one row is read whole unless that is made dear: the question is which way there is.
    asking.execute(f"SET search_path TO {SCHEMA}; SET enable_seqscan = off; SET enable_bitmapscan = off")
    return lambda sql, values: str(
        asking.execute(b"EXPLAIN " + sql.replace("?", "%s").encode(), list(values)).fetchall()
    )


@pytest.fixture(params=[on_sqlite, on_postgres], ids=["sqlite", "postgresql"])
def explain(request: pytest.FixtureRequest, tmp_path: Path) -> Explain:
    made: Callable[[pytest.FixtureRequest, Path], Explain] = request.param
    return made(request, tmp_path)


@pytest.mark.parametrize(
    "column", ["id", "client", "subject", "token", "session", "grant_id", "address", "route", "reason", "path", "trace"]
)
def test_a_search_walks_the_index_of_what_it_asks_for(explain: Explain, column: str) -> None:
    plan = explain(*sql_store.search_sql(Search(WEEK, ((column, "x"),))))

    assert f"{column}_" in plan or f"ix_{column}" in plan
    # What the index finds comes in the order of time already.
    assert "SCAN" not in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("status", "index", "column"), [(503, "ix_errors ", "status"), (5, "ix_errors_5", "seq"), (4, "ix_errors_4", "seq")]
)
def test_a_search_for_errors_walks_their_index(explain: Explain, status: int, index: str, column: str) -> None:
    plan = explain(*sql_store.search_sql(Search(WEEK, status=status)))

    # On PostgreSQL the index of the class may do for one status too.
    assert index in plan or f"_{column}" in plan or "_seq_idx" in plan
    assert "SCAN" not in plan
    assert "Seq Scan" not in plan


def test_counts_read_a_piece_of_their_table_and_no_record(explain: Explain) -> None:
    asked: list[tuple[str, str]] = []

    def ask(sql: str, values: Sequence[Value], span: Span) -> list[tuple[Value, ...]]:
        asked.append((sql.split("FROM ")[1].split()[0], explain(sql, values)))
        return []

    sql_store.counts(ask, WEEK, ("route", "client"), 0)
    sql_store.counts(ask, WEEK, (), 15)
    sql_store.latencies(ask, WEEK, 15, None)
    sql_store.people(ask, WEEK, 8)

    tables = [table for table, _ in asked]
    assert tables == [DAYS, HOURS, MINUTES, HOURS, MINUTES, TOTALS, TIMES, PEOPLE_DAYS, PEOPLE, PEOPLE]
    for table, plan in asked:
        assert RECORDS not in plan
        assert "SCAN traffic" not in plan, table
        assert "Seq Scan" not in plan, table


def test_counts_are_exact_to_the_minute_whatever_they_are_read_from(store: TrafficStore) -> None:
    every = [
        line(n, after=timedelta(minutes=11 * n), k=f"client-{n % 3}", r=f"route-{n % 2}") for n in range(-400, 400) if n
    ]
    store.write(rows_of(every, "gateway-1")[0])

    def told(span: Span, by: Sequence[By]) -> dict[tuple[str, ...], int]:
        return {count.keys: count.n for count in store.counts(span, by)}

    def walked(span: Span) -> dict[tuple[str, ...], int]:
        found: dict[tuple[str, ...], int] = {}
        for row in store.search(Search(span, limit=2000)):
            key = (str(row[7]), str(row[14]))
            found[key] = found.get(key, 0) + 1
        return found

    for first, last in ((-70, 70), (-3, 2), (-0.4, 0.9), (-24, 24), (0.1, 0.15), (-60.01, 47.99)):
        span = Span(_minute(first), _minute(last))
        assert told(span, ("route", "client")) == walked(span), span
        assert sum(told(span, ()).values()) == sum(walked(span).values())


def test_the_dashboard_asks_for_no_more_than_it_draws(store: TrafficStore) -> None:
    store.write(rows_of([line(n, after=timedelta(minutes=n), k=f"client-{n}") for n in range(1, 300)], "gateway-1")[0])
    counted: list[int] = []

    class Counting:
        """The store, and how many numbers it gave."""

        def counts(self, span: Span, by: Sequence[By] = (), *, step: int = 0) -> list[Count]:
            found = store.counts(span, by, step=step)
            counted.append(len(found))
            return found

        latencies = store.latencies
        people = store.people

    day = Span(NOON - timedelta(hours=12), NOON + timedelta(hours=12))
    shown = figures(Counting(), day, people=True)  # type: ignore[arg-type]  # what `figures` asks

    assert (shown.n, len(shown.clients)) == (299, 8)
    assert max(counted) <= 300
    assert service_map(store, day).more


def _minute(hours: float) -> datetime:
    return NOON + timedelta(minutes=round(hours * 60))
