"""Records in PostgreSQL: writers beside each other, months dropped whole, and database users of few rights."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from kronborg.traffic.postgres_store import SCHEMA, NoRight, PostgresTraffic
from kronborg.traffic.row_model import rows_of
from kronborg.traffic.search_model import Keeping, Search, Span
from traffic.lines import NOON, line

if TYPE_CHECKING:
    from postgres_server import PostgresDatabase

DAY = Span(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
USER = f"kronborg_traffic_{os.getpid()}"


@pytest.fixture
def url(postgres_database: PostgresDatabase) -> str:
    with psycopg.connect(postgres_database.url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return postgres_database.url


@pytest.fixture
def poor(url: str) -> Iterator[str]:
    """A database user who may connect, and no more."""
    parts = urlsplit(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {USER} LOGIN PASSWORD 'poor'")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        name = connection.info.dbname
        connection.execute(f'REVOKE CREATE ON DATABASE "{name}" FROM PUBLIC')
    yield urlunsplit(parts._replace(netloc=f"{USER}:poor@{parts.netloc.rpartition('@')[2]}"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {USER} CASCADE")
        connection.execute(f"DROP ROLE {USER}")


def test_writers_beside_each_other_keep_each_record_once(url: str) -> None:
    rows = rows_of([line(n, after=timedelta(milliseconds=n // 3)) for n in range(3000)], "gateway-1")[0]
    written: list[int] = []

    def write(order: int) -> None:
        with closing(PostgresTraffic(url)) as store:
            for start in range(0, 3000, 500):
                some = rows[start : start + 500]
                written.append(store.write(some if order else list(reversed(some))))

    writers = [threading.Thread(target=write, args=(order,)) for order in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    with closing(PostgresTraffic(url)) as store:
        assert sum(written) == sum(one.n for one in store.counts(DAY)) == 3000
        assert len({row[1] for row in store.search(Search(DAY, limit=10_000))}) == 3000


def test_counts_go_by_the_month(url: str) -> None:
    with closing(PostgresTraffic(url)) as store:
        for days in (0, 40, 100):
            store.write(rows_of([line(days, after=-timedelta(days=days))], "gateway-1")[0])

        store.tend(Keeping(records=timedelta(days=7), rollups=timedelta(days=60)), now=NOON)

        always = Span(NOON - timedelta(days=365), NOON + timedelta(days=1))
        assert sum(one.n for one in store.counts(always)) == 2
        assert len(store.search(Search(always))) == 1


def test_a_user_who_may_make_no_schema_has_tables_in_the_usual_one(url: str, poor: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {USER}")

    with closing(PostgresTraffic(poor)) as store:
        store.write(rows_of([line(1)], "gateway-1")[0])
        assert len(store.search(Search(DAY))) == 1
        assert store.size() > 0


def test_a_user_who_may_make_nothing_is_told_what_is_missing(poor: str) -> None:
    with closing(PostgresTraffic(poor)) as store, pytest.raises(NoRight, match="AUTHORIZATION"):
        store.write(rows_of([line(1)], "gateway-1")[0])
