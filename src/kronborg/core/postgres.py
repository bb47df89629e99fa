"""PostgreSQL: how it is opened, and the hot path on it. Imported only where the database is one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from kronborg.core.errors import Overloaded
from kronborg.core.group_writer import Execute, GroupWriter, Lookup, Pending, Row, Value

CONNECT_TIMEOUT = 5
"""Seconds until a server that does not answer counts as gone."""

_postgres_sql: dict[str, bytes] = {}


def postgres_sql(sql: str) -> bytes:
    """Our statements with `?` placeholders, as psycopg wants them. They hold no `?` or `%` of their own."""
    known = _postgres_sql.get(sql)
    if known is None:
        known = _postgres_sql[sql] = sql.replace("?", "%s").encode()
    return known


def open_postgres(url: str) -> tuple[AsyncEngine, AsyncEngine, GroupWriter, PostgresLookup]:
    """Engines to read and to write with, and the hot path."""
    target = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_async_engine(
        target, pool_size=8, max_overflow=8, pool_pre_ping=True, pool_timeout=5, hide_parameters=True
    )
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    lookup = PostgresLookup(engine.execution_options(isolation_level="AUTOCOMMIT"))
    return reader, engine, PostgresWriter(plain), lookup


class PostgresWriter(GroupWriter):
    """Batches run on a few threads, each with its own connection; a batch gathers while others are in flight."""

    locks_rows = True

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
                try:
                    await loop.run_in_executor(self._threads, self._commit_batch, batch)
                except Exception as bug:  # noqa: BLE001  # nobody may wait for ever, whatever went wrong
                    for waiting in batch:
                        waiting.error = bug
                for waiting in batch:
                    waiting.settle()
        finally:
            self._free += 1

    def _commit_batch(self, batch: list[Pending]) -> None:
        connection = self._take_connection()
        try:
            if not self._run_batch(connection, batch):
                # It was cut off while it idled (the server started anew), before anything was committed.
                connection.close()
                connection = psycopg.connect(self._url, autocommit=False, connect_timeout=CONNECT_TIMEOUT)
                self._run_batch(connection, batch)
        finally:
            if connection.closed:
                connection.close()
            else:
                self._idle.append(connection)

    def _take_connection(self) -> psycopg.Connection[Row]:
        # One step, not "if any, then pop": the threads share the list.
        try:
            return self._idle.pop()
        except IndexError:
            return psycopg.connect(self._url, autocommit=False, connect_timeout=CONNECT_TIMEOUT)

    def _run_batch(self, connection: psycopg.Connection[Row], batch: list[Pending]) -> bool:
        """Run and commit a batch; False when the connection was lost before its commit was begun."""
        cursor, committing = connection.cursor(), False

        def execute(sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
            cursor.execute(postgres_sql(sql), parameters)
            return cursor.fetchall() if cursor.description else []

        try:
            for waiting in batch:
                waiting.run(execute)
            committing = True
            connection.commit()
        except Exception as first:  # noqa: BLE001  # some unit is a bug or lost a race: run each alone
            if connection.closed:
                for waiting in batch:
                    waiting.error = first
                return committing
            connection.rollback()
            for waiting in batch:
                self._run_alone(connection, execute, waiting)
        return True

    def _run_alone(self, connection: psycopg.Connection[Row], execute: Execute, waiting: Pending) -> None:
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


class PostgresLookup(Lookup):
    """Single-statement reads of committed rows over the engine's pool of connections."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def first(self, sql: str, parameters: Sequence[Value] = ()) -> Row | None:
        """The first row, or None."""
        rows = await self.all(sql, parameters)
        return rows[0] if rows else None

    async def all(self, sql: str, parameters: Sequence[Value] = ()) -> list[Row]:
        """All rows."""
        try:
            async with self._engine.connect() as connection:
                raw = await connection.get_raw_connection()
                driver = raw.driver_connection
                if not isinstance(driver, psycopg.AsyncConnection):
                    raise TypeError("the engine must use psycopg")
                cursor = await driver.execute(postgres_sql(sql), tuple(parameters))
                return await cursor.fetchall()
        except PoolTimeoutError as exhausted:
            raise Overloaded("the database is busy") from exhausted

    async def close(self) -> None:
        """Nothing to do: the engine owns the connections."""
