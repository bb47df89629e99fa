"""Furnishes an empty database through the product once, and copies what came of it into later ones.

To register the same clients and people again is most of what a short test of the authorization server would cost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import psycopg

from kronborg.core.db import Database
from kronborg.core.sqlite import SqliteWriter

_kept: dict[tuple[str, bool], Kept] = {}


@dataclass(frozen=True)
class Kept:
    """The secrets of who is registered, and how to bring another database to where the first one was."""

    secrets: dict[str, str]
    bring: Callable[[Database], None]


async def bring(database: Database, name: str) -> dict[str, str] | None:
    """Furnish an empty database as one of this name was before in this test worker; the secrets of who is registered.

    None when this is the first of its name.
    """
    assert await database.lookup.first("SELECT 1 FROM accounts_users LIMIT 1", ()) is None
    kept = _kept.get((name, _is_file(database)))
    if kept is None:
        return None
    kept.bring(database)
    return dict(kept.secrets)


def keep(database: Database, name: str, secrets: dict[str, str]) -> None:
    """Remember how this database is furnished."""
    in_file = _is_file(database)
    bring = _keep_file(database) if in_file else _keep_tables(database, f"furnished_{len(_kept)}")
    _kept[name, in_file] = Kept(dict(secrets), bring)


def _is_file(database: Database) -> bool:
    return isinstance(database.writer, SqliteWriter)


def _keep_file(database: Database) -> Callable[[Database], None]:
    kept = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(sqlite3.connect(_path(database))) as source:
        source.backup(kept)

    def bring(other: Database) -> None:
        with closing(sqlite3.connect(_path(other))) as target:
            target.execute("PRAGMA synchronous = OFF")
            kept.backup(target)

    return bring


def _path(database: Database) -> str:
    assert isinstance(database.writer, SqliteWriter)
    return database.writer.path


def _keep_tables(database: Database, schema: str) -> Callable[[Database], None]:
    """Those in which something changed since the migrations, in a schema of their own beside `seed`."""
    with psycopg.connect(_url(database), autocommit=True) as connection:
        seeded = "SELECT tablename FROM pg_tables WHERE schemaname = 'seed'"
        changed = [
            table
            for (table,) in connection.execute(seeded).fetchall()
            if connection.execute(f'TABLE public."{table}" EXCEPT TABLE seed."{table}" LIMIT 1').fetchone()
        ]
        connection.execute(f"CREATE SCHEMA {schema}")
        for table in changed:
            connection.execute(f'CREATE TABLE {schema}."{table}" AS TABLE public."{table}"')
    steps = [f'DELETE FROM "{table}"; INSERT INTO "{table}" TABLE {schema}."{table}"' for table in changed]

    def bring(other: Database) -> None:
        with psycopg.connect(_url(other), autocommit=True) as connection:
            # Foreign keys are not looked at, so that the order does not matter.
            connection.execute("; ".join(["SET session_replication_role = replica", *steps]))

    return bring


def _url(database: Database) -> str:
    return database._engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
