"""The database: SQLite (WAL) or PostgreSQL, as equals, behind two kinds of session and a hot path.

`ReadSession` reads; `Session` writes and holds the write lock from its first moment (`BEGIN IMMEDIATE` on
SQLite), so that racing writers queue instead of failing half-way. Hot protocol writes go through `writer`,
hot protocol reads through `lookup`, both with plain SQL text kept in the slices' `store.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import BigInteger, Dialect, MetaData, Text, TypeDecorator
from sqlalchemy.engine import Row as ResultRow
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from kronborg.core.errors import Overloaded, Refusal
from kronborg.core.group_writer import GroupWriter, Lookup
from kronborg.core.json import JsonValue
from kronborg.core.sqlite import SqliteLookup, SqliteWriter, shrink_sqlite, sqlite_engine

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from kronborg.core.crypto import Vault

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""Every table of every slice; migrations are compared with it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ALONE_LOCK = 0x6B726F6E  # "kron": any number nobody else asks an advisory lock for


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime: how both databases keep time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as integer microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive datetimes: they would be stored an unknown number of hours off."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Microseconds back to a datetime."""
        return None if value is None else from_micros(value)


class Json(TypeDecorator[JsonValue]):
    """Any JSON value, stored as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: JsonValue | None, dialect: Dialect) -> str | None:
        """A value as compact text."""
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> JsonValue:
        """Text back to a value."""
        return None if value is None else orjson.loads(value)


class ReadSession:
    """A consistent view for reading; use from one task only."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable) -> Sequence[ResultRow[tuple[object, ...]]]:
        """All rows of a statement (none for a write without RETURNING)."""
        result = await self._connection.execute(statement)
        return result.fetchall() if result.returns_rows else ()

    async def first(self, statement: Executable) -> ResultRow[tuple[object, ...]] | None:
        """The first row, or None."""
        return (await self._connection.execute(statement)).first()

    async def scalar(self, statement: Executable) -> object:
        """The first column of the first row, or None."""
        return (await self._connection.execute(statement)).scalar()


class Session(ReadSession):
    """A write transaction; use from one task only."""

    def __init__(self, connection: AsyncConnection, vault: Vault | None = None) -> None:
        super().__init__(connection)
        self._after: list[Callable[[], None]] = []
        self.vault = vault
        """What seals personal values in what is recorded; without it they are left out."""

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call `action` when this transaction has been committed: caches are emptied this way."""
        self._after.append(action)

    def committed(self) -> None:
        """Run what was asked for; `Database.write` calls it."""
        for action in self._after:
            action()

    async def wait_to_be_alone(self) -> None:
        """Wait until no other transaction that asked for this is under way; on SQLite a writer always is alone."""
        if self._connection.dialect.name == "postgresql":
            await self._connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ALONE_LOCK})")

    async def execute_many(self, statement: Executable, rows: Sequence[dict[str, object]]) -> None:
        """Run one statement for each of `rows`."""
        if rows:
            await self._connection.execute(statement, list(rows))


class Database:
    """One open database; made by the composition root, shared by all tasks of a process."""

    def __init__(self, reader: AsyncEngine, engine: AsyncEngine, writer: GroupWriter, lookup: Lookup) -> None:
        self._reader, self._engine = reader, engine
        self.writer, self.lookup = writer, lookup
        self.vault: Vault | None = None
        """Set by the composition root: see `Session.vault`."""
        self.alone = asyncio.Lock()
        """Held by the one task of this process that waits to be alone, so that the others hold no connection."""

    @classmethod
    async def open(cls, url: str) -> Database:
        """Open `sqlite:///path` or `postgresql://user:password@host:port/name`; the schema must be migrated."""
        if url.startswith("sqlite:"):
            path = make_url(url).database or ""
            return cls(
                sqlite_engine(path, begin="BEGIN", pool_size=4),
                sqlite_engine(path, begin="BEGIN IMMEDIATE", pool_size=2),
                SqliteWriter(path),
                SqliteLookup(path),
            )
        # The driver is 15 MiB of memory that an installation on SQLite never needs.
        from kronborg.core.postgres import open_postgres

        return cls(*open_postgres(url))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A read transaction."""
        async with _connected(self._reader) as connection:
            yield ReadSession(connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Session]:
        """A write transaction: commits at the end and on a `Refusal`, rolls back on anything else.

        Raises `Overloaded` when somebody else holds the write lock for too long.
        """
        async with _connected(self._engine) as connection:
            try:
                await connection.begin()
            except OperationalError as locked:
                raise Overloaded("the database is busy") from locked
            session = Session(connection, self.vault)
            try:
                yield session
            except Refusal:
                await connection.commit()
                session.committed()
                raise
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()
            session.committed()

    async def shrink(self, *, pages: int) -> int:
        """Give at most so many free pages of an SQLite file back to the disk; how many. PostgreSQL needs no help."""
        if not isinstance(self.writer, SqliteWriter):
            return 0
        return await asyncio.to_thread(shrink_sqlite, self.writer.path, pages=pages)

    async def close(self) -> None:
        """Finish waiting writes and close every connection."""
        await self.writer.close()
        await self.lookup.close()
        await self._engine.dispose()
        await self._reader.dispose()


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection of the pool. Raises `Overloaded` when none comes free in time."""
    async with AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(engine.connect())
        except PoolTimeoutError as exhausted:
            raise Overloaded("the database is busy") from exhausted
        yield connection
