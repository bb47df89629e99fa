"""How commands reach the store: settings, one open database, verbs on it; the exit code 4 when there is none."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import typer

from kronborg.config import Settings, load_settings
from kronborg.core.db import Database
from kronborg.gateway.declare.installation import Installation
from kronborg.signin.passwords import Passwords

T = TypeVar("T")

NOT_REACHABLE = 4
PENDING = 3


def find_settings(file: Path | None, data: Path | None) -> Settings:
    """The settings; without a file named, those of `./kronborg.yaml` or of the one in the data folder, if there is."""
    settings = load_settings(file, data)
    if settings.file is None:
        for candidate in (Path("kronborg.yaml"), settings.data / "kronborg.yaml"):
            if candidate.is_file():
                return load_settings(candidate, data)
    return settings


def actor() -> str:
    """Who is at the keyboard, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli"


def with_store(settings: Settings, work: Callable[[Installation], Awaitable[T]]) -> T:
    """Run `work` on the store of an installation. Exits with 4 when there is none."""
    if not settings.database and not (settings.data / "kronborg.db").exists():
        typer.echo(
            f"There is no installation in {settings.data}: start one with kronborg up, or name it by --data.", err=True
        )
        raise typer.Exit(NOT_REACHABLE)

    async def main() -> T:
        database = await Database.open(settings.database_url)
        try:
            installation = Installation(
                database,
                settings.vault(),
                Passwords(settings.sign_in.passwords),
                settings.issuer,
                settings.gateway_url,
                settings.profile,
                tuple(one.name for one in settings.listeners),
            )
            return await work(installation)
        finally:
            await database.close()

    return asyncio.run(main())


def prepare(settings: Settings) -> None:
    """The data folder, the master key, the newest schema, the first signing keys and the admin API."""
    from kronborg.core.migrate import migrate

    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.vault()
    if settings.sqlite_file is not None:
        settings.sqlite_file.touch(mode=0o600)  # also in a folder that others may read; SQLite's files take after it
    migrate(settings.database_url)
    asyncio.run(_found(settings))


async def _found(settings: Settings) -> None:
    from kronborg.core import clock
    from kronborg.core.db import Database
    from kronborg.opening import engine_for

    database = await Database.open(settings.database_url)
    try:
        await engine_for(settings, database, now=clock.now())
    finally:
        await database.close()
