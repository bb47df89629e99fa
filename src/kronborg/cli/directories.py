"""`kronborg directory …`: LDAP directories whose people sign in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated

import typer

from kronborg.cli.options import AccountsOption, DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.whole import whole
from kronborg.federation import directory_changes as changes
from kronborg.federation.directory_model import KeptDirectory, SyncResult, directory_json
from kronborg.federation.directory_store import find_directory, list_directories
from kronborg.federation.directory_sync import sync_directory
from kronborg.federation.directory_trial import Tried, try_directory
from kronborg.gateway.declare.installation import Installation

directory_commands = typer.Typer(
    help="LDAP directories and Active Directory. Make them in kronborg.yaml.", no_args_is_help=True
)
KeyArgument = Annotated[str, typer.Argument(metavar="KEY")]


def _row(kept: KeptDirectory) -> dict[str, object]:
    return {
        "key": kept.directory.key,
        **directory_json(kept.directory),
        "has_bind_password": bool(kept.sealed),
        "synced_at": None if kept.sync is None else kept.sync.at,
        "sync_problem": "" if kept.sync is None else kept.sync.problem,
    }


@directory_commands.command("list")
def directory_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List directories by key."""

    async def work(installation: Installation) -> Sequence[KeptDirectory]:
        async with installation.database.read() as session:
            return await list_directories(session)

    rows = [_row(one) for one in with_store(find_settings(file, data), work)]
    print_rows(rows, as_json=as_json, columns=("key", "name", "kind", "servers", "disabled", "synced_at"))


@directory_commands.command("show")
def directory_show(
    key: KeyArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one directory."""
    print_one(_row(with_store(find_settings(file, data), lambda one: _found(one, key))), as_json=as_json)


@directory_commands.command("test")
def directory_test(
    key: KeyArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Try every server of a directory, and the search."""

    async def work(installation: Installation) -> Tried:
        return await try_directory(installation.vault, await _found(installation, key))

    tried = with_store(find_settings(file, data), work)
    rows: list[dict[str, object]] = [
        {"server": server, "problem": problem or "none"} for server, problem in tried.servers
    ]
    print_rows(rows, as_json=as_json, columns=("server", "problem"))
    if not as_json:
        typer.echo(f"It fails: {tried.problem}." if tried.problem else f"It works; people found: {tried.people}.")
    raise typer.Exit(1 if tried.problem else 0)


@directory_commands.command("sync")
def directory_sync(
    key: KeyArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Read everybody now: new people get accounts, those gone are disabled."""

    async def work(installation: Installation) -> SyncResult:
        database, vault = installation.database, installation.vault
        return await sync_directory(database, vault, key, actor=actor(), now=clock.now())

    done = with_store(find_settings(file, data), work)
    print_one(asdict(done), as_json=as_json)
    raise typer.Exit(1 if done.problem else 0)


@directory_commands.command("enable")
def directory_enable(key: KeyArgument, file: FileOption = None, data: DataOption = None) -> None:
    """Ask it again when people sign in."""
    _switch(key, file, data, disabled=False)


@directory_commands.command("disable")
def directory_disable(key: KeyArgument, file: FileOption = None, data: DataOption = None) -> None:
    """Ask it no more; sessions that have begun go on."""
    _switch(key, file, data, disabled=True)


@directory_commands.command("delete")
def directory_delete(
    key: KeyArgument,
    accounts: AccountsOption = "release",
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Remove it."""
    confirm("People of this directory are locked out until they reset their password. Go on?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await changes.remove_directory(session, key, accounts=accounts, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Deleted.")


def _switch(key: str, file: FileOption, data: DataOption, *, disabled: bool) -> None:
    async def work(installation: Installation) -> None:
        kept = await _found(installation, key)
        directory = replace(kept.directory, disabled=disabled)
        async with whole(installation.database) as session:
            await changes.save_directory(session, installation.vault, directory, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Disabled." if disabled else "Enabled.")


async def _found(installation: Installation, key: str) -> KeptDirectory:
    async with installation.database.read() as session:
        return changes.require(await find_directory(session, key))
