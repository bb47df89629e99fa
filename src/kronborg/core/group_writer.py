"""Hot writes: units of work from many requests share one transaction, and are answered after its commit.

One commit per token costs an fsync each; gathering what arrives in the same turn of the event loop costs one
fsync for all. A unit is a plain function over `Execute`: it may read, decide and write, and does no other I/O.
It may be run a second time from the start (see `_run_alone`), so it keeps no state outside the database.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import psycopg

from kronborg.core.errors import Overloaded, Refusal

Value = None | bool | int | float | str | bytes
Row = tuple[Any, ...]
"""A row; the store that wrote the statement knows its columns."""
T = TypeVar("T")

MAX_PENDING = 4096
MAX_BATCH = 256
BUSY_PATIENCE = 5.0
"""Seconds a batch waits for another process to release SQLite's write lock."""


class Execute(Protocol):
    """Run one statement with `?` placeholders; the rows it returns, if any."""

    def __call__(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]: ...


Unit = Callable[[Execute], T]


@dataclass(slots=True)
class _Pending:
    unit: Unit[object]
    future: asyncio.Future[object]
    value: object = None
    error: BaseException | None = field(default=None)

    def run(self, execute: Execute) -> None:
        """Run the unit and keep its value or its refusal; a bug is raised on."""
        try:
            self.value, self.error = self.unit(execute), None
        except Refusal as refusal:
            self.error = refusal

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


class _Queue:
    """What both databases share: gather, run as a batch, fall back to one by one after a bug."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []
        self._closed = False

    async def run(self, unit: Unit[T]) -> T:
        """The unit's value, once its writes are committed.

        Raises the unit's own `Refusal` (its writes are kept), any other exception it raised (its writes
        are undone, the other units of the batch are not touched), or `Overloaded` before anything ran.
        """
        if self._closed or len(self._pending) >= MAX_PENDING:
            raise Overloaded("too many writes are waiting")
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(unit, future))
        self._schedule()
        return await future  # type: ignore[return-value]  # the future carries what `unit` returned

    def _schedule(self) -> None:
        raise NotImplementedError

    def _take(self) -> list[_Pending]:
        batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
        return batch


class SqliteWriter(_Queue):
    """Commits in the event loop itself: a hand-over to a thread would cost more than the commit."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._connection = connect_sqlite(path)
        self._connection.execute("PRAGMA busy_timeout=0")
        self._task: asyncio.Task[None] | None = None
        self._scheduled = False

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
                    for waiting in self._take():
                        waiting.error = Overloaded("the database is busy")
                        waiting.settle()
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
        except Exception:  # noqa: BLE001  # some unit is a bug: find it by running each alone
            self._rollback()
            for waiting in batch:
                self._run_alone(waiting)
        for waiting in batch:
            waiting.settle()

    def _run_alone(self, waiting: _Pending) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            waiting.run(self._execute)
            self._connection.execute("COMMIT")
        except Exception as bug:  # noqa: BLE001  # handed to the caller that sent the unit
            self._rollback()
            waiting.error = bug

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    async def close(self) -> None:
        """Finish what is waiting, then close."""
        self._closed = True
        while self._pending or self._scheduled:  # noqa: ASYNC110  # at shutdown only
            await asyncio.sleep(0.001)
        self._connection.close()


class PostgresWriter(_Queue):
    """Batches run on a few threads, each with its own connection; a batch gathers while others are in flight."""

    def __init__(self, url: str, *, connections: int = 4) -> None:
        super().__init__()
        self._url = url
        self._idle: list[psycopg.Connection[Row]] = []
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="writer")
        self._free = connections
        self._tasks: set[asyncio.Task[None]] = set()

    def _schedule(self) -> None:
        if self._free and self._pending:
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)  # let this turn of the loop gather
        try:
            while batch := self._take():
                await loop.run_in_executor(self._threads, self._commit_batch, batch)
                for waiting in batch:
                    waiting.settle()
        finally:
            self._free += 1

    def _commit_batch(self, batch: list[_Pending]) -> None:
        try:
            connection = self._idle.pop() if self._idle else psycopg.connect(self._url, autocommit=False)
        except psycopg.Error as error:
            for waiting in batch:
                waiting.error = error
            return
        try:
            self._run_batch(connection, batch)
        finally:
            if connection.closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _run_batch(self, connection: psycopg.Connection[Row], batch: list[_Pending]) -> None:
        cursor = connection.cursor()

        def execute(sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
            cursor.execute(postgres_sql(sql), parameters)
            return cursor.fetchall() if cursor.description else []

        try:
            for waiting in batch:
                waiting.run(execute)
            connection.commit()
        except Exception as first:  # noqa: BLE001  # some unit is a bug or lost a race: run each alone
            if connection.closed:
                for waiting in batch:
                    waiting.error = first
                return
            connection.rollback()
            for waiting in batch:
                self._run_alone(connection, execute, waiting)

    def _run_alone(self, connection: psycopg.Connection[Row], execute: Execute, waiting: _Pending) -> None:
        try:
            waiting.run(execute)
            connection.commit()
        except Exception as bug:  # noqa: BLE001  # handed to the caller that sent the unit
            waiting.error = bug
            if not connection.closed:
                connection.rollback()

    async def close(self) -> None:
        """Finish what is waiting, then close."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()
        for connection in self._idle:
            connection.close()


GroupWriter = SqliteWriter | PostgresWriter

_postgres_sql: dict[str, bytes] = {}


def postgres_sql(sql: str) -> bytes:
    """Our statements with `?` placeholders, as psycopg wants them. They hold no `?` or `%` of their own."""
    known = _postgres_sql.get(sql)
    if known is None:
        known = _postgres_sql[sql] = sql.replace("?", "%s").encode()
    return known


def connect_sqlite(path: str) -> sqlite3.Connection:
    """A connection in autocommit mode with the settings every connection of ours has.

    `synchronous=FULL`: what was acknowledged survives a power cut, not only a killed process.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    for pragma in SQLITE_PRAGMAS:
        connection.execute(pragma)
    return connection


SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA busy_timeout=5000",
    "PRAGMA temp_store=MEMORY",
    "PRAGMA cache_size=-16000",
)
