"""Each store, empty; the live gateway; rows as the gateway's lines give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from admin.conftest import admin
from console.conftest import console
from gateway.live import Live, running
from kronborg.traffic.parquet_store import ParquetTraffic
from kronborg.traffic.postgres_store import SCHEMA, PostgresTraffic
from kronborg.traffic.search_model import TrafficStore
from kronborg.traffic.sqlite_store import SqliteTraffic

if TYPE_CHECKING:
    from postgres_server import PostgresDatabase

__all__ = ["admin", "console"]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("traffic-gateway")) as live:
        yield live


@pytest.fixture(params=["sqlite", "postgresql", "parquet"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TrafficStore]:
    opened: TrafficStore
    if request.param == "postgresql":
        postgres: PostgresDatabase = request.getfixturevalue("postgres_database")
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        opened = PostgresTraffic(postgres.url)
    elif request.param == "parquet":
        opened = ParquetTraffic(tmp_path / "traffic")
    else:
        opened = SqliteTraffic(tmp_path / "traffic")
    yield opened
    opened.close()
