"""Fixtures every slice shares: both databases, migrated; a vault; a fixed moment."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import structlog

from kronborg.core.crypto import Vault
from kronborg.core.db import Database
from kronborg.core.migrate import migrate

if TYPE_CHECKING:
    from xdist.remote import Producer

    from postgres_server import PostgresDatabase
    from scheduling import ByFolder

MASTER_KEY = bytes(range(32))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    """Which test goes to which worker."""
    from scheduling import ByFolder

    return ByFolder(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After they were shuffled."""
    from scheduling import long_first

    long_first(items)


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """Where rich is loaded, structlog would draw every frame with its locals: half a second for each bug of a test."""
    *before, _ = structlog.get_config()["processors"]
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, renderer])


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of this worker's PostgreSQL server, from the wheel.

    Not below pytest's own folder: another run takes that away from the user who runs the server.
    """
    from postgres_server import running_postgres

    with tempfile.TemporaryDirectory(prefix="kronborg-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        with running_postgres(Path(folder)) as url:
            yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_database(postgres_server: str) -> PostgresDatabase:
    """This worker's migrated database; the tests use it one after another, each swept clean."""
    from postgres_server import PostgresDatabase

    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE kronborg")
    url = postgres_server.format(database="kronborg")
    migrate(url)
    return PostgresDatabase.of(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated, empty database of each kind."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        path = tmp_path / "kronborg.db"
        path.write_bytes(template.read_bytes())
        return f"sqlite:///{path}"
    postgres: PostgresDatabase = request.getfixturevalue("postgres_database")
    postgres.sweep()
    return postgres.url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(MASTER_KEY)


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
