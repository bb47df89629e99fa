"""SQLite: how it is opened, and the hot path on it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kronborg.core.group_writer import GroupWriter, Lookup, Row, Value

BUSY_PATIENCE = 5.0
"""Seconds a batch waits for another process to release SQLite's write lock."""

FREE_PAGES = 1024
"""Pages that are left free in any case."""

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16000",
)


def connect_sqlite(path: str) -> sqlite3.Connection:
    """A connection in autocommit mode with the settings every connection of ours has.

    `synchronous=FULL`: what was acknowledged survives a power cut, not only a killed process.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    for pragma in SQLITE_PRAGMAS:
        connection.execute(pragma)
    return connection


class SqliteWriter(GroupWriter):
    """Commits in the event loop itself: a hand-over to a thread would cost more than the commit."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self._connection = self._connect()
        self._task: asyncio.Task[None] | None = None
        self._scheduled = False

    def _connect(self) -> sqlite3.Connection:
        connection = connect_sqlite(self.path)
        connection.execute("PRAGMA busy_timeout=0")
        return connection

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Commit what this turn gathered; when another process holds the lock, wait for it in a task."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            self._task = asyncio.get_running_loop().create_task(self._flush_when_free())
            return
        self._commit_batch()
        self._again()

    async def _flush_when_free(self) -> None:
        deadline = asyncio.get_running_loop().time() + BUSY_PATIENCE
        while True:
            await asyncio.sleep(0.001)
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError:
                if asyncio.get_running_loop().time() > deadline:
                    # All of them: a second batch would wait as long once more, behind the same lock.
                    self._shed("the database is busy")
                    self._again()
                    return
        self._commit_batch()
        self._again()

    def _again(self) -> None:
        self._scheduled = False
        if self._pending:
            self._schedule()

    def _execute(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def _commit_batch(self) -> None:
        batch = self._take()
        try:
            for waiting in batch:
                waiting.run(self._execute)
            self._connection.execute("COMMIT")
        except Exception as bug:  # noqa: BLE001  # handed to the caller that sent the unit
            self._rollback()
            if len(batch) > 1:
                # Some unit is a bug: each runs again alone, and waits for the lock again like any other.
                for waiting in batch:
                    waiting.alone = True
                self._pending[:0] = batch
                return
            batch[0].error = bug
        for waiting in batch:
            waiting.settle()

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                # Whatever is wrong with this connection, the next batch must not inherit its transaction.
                self._connection.close()
                self._connection = self._connect()

    async def close(self) -> None:
        """Finish what is waiting, then close."""
        self._closed = True
        while self._pending or self._scheduled:  # noqa: ASYNC110  # at shutdown only
            await asyncio.sleep(0.001)
        self._connection.close()


class SqliteLookup(Lookup):
    """Single-statement reads of committed rows, answered in the event loop: an indexed read takes microseconds."""

    def __init__(self, path: str) -> None:
        self._connection = connect_sqlite(path)
        self._connection.execute("PRAGMA query_only=ON")

    async def first(self, sql: str, parameters: Sequence[Value] = ()) -> Row | None:
        """The first row, or None."""
        row: Row | None = self._connection.execute(sql, parameters).fetchone()
        return row

    async def all(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows."""
        return self._connection.execute(sql, parameters).fetchall()

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def shrink_sqlite(path: str, *, pages: int) -> int:
    """Give at most so many free pages back to the disk; how many. Blocking: it may wait for the write lock.

    A tenth of the file is left free: it will be needed again. A file that was made without incremental vacuum never
    gives anything back.
    """
    connection = connect_sqlite(path)
    try:
        free, whole = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("freelist_count", "page_count")
        )
        surplus = min(pages, free - max(whole // 10, FREE_PAGES))
        if surplus <= 0:
            return 0
        # Not `execute`: it takes the first step only, and each step frees one page.
        connection.executescript(f"PRAGMA incremental_vacuum({surplus})")
        return free - int(connection.execute("PRAGMA freelist_count").fetchone()[0])
    finally:
        connection.close()


def sqlite_engine(path: str, *, begin: str, pool_size: int) -> AsyncEngine:
    # An error tells its statement, never the values: logs hold no digests, no addresses, nothing sealed.
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", pool_size=pool_size, max_overflow=4, pool_timeout=10, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def on_connect(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]  # the driver's own BEGIN is off
        cursor = connection.cursor()  # type: ignore[attr-defined]  # DB-API connection
        for pragma in SQLITE_PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def on_begin(connection: object) -> None:
        connection.exec_driver_sql(begin)  # type: ignore[attr-defined]  # SQLAlchemy connection

    return engine
