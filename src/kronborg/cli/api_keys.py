"""`kronborg api-key …`: API keys of clients, and the end of personal access tokens."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from kronborg.api_keys import keys, store
from kronborg.api_keys.model import ApiKey, KeyDraft, NewKey
from kronborg.cli.options import DataOption, FileOption, YesOption, confirm, duration
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.gateway.declare.installation import Installation
from kronborg.opening import engine_for

api_key_commands = typer.Typer(
    help="API keys: credentials of programs that cannot ask for tokens.", no_args_is_help=True
)
Many = list[str] | None


def _row(key: ApiKey) -> dict[str, object]:
    return {name: value for name, value in asdict(key).items() if name != "revoked_at"}


def _print_made(made: NewKey, *, as_json: bool) -> None:
    print_one({**_row(made.key), "key": made.text}, as_json=as_json)
    if not as_json:
        typer.echo("The key is shown this once.", err=True)


@api_key_commands.command("create")
def key_create(
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID", help="The client it belongs to.")],
    name: Annotated[str, typer.Argument(help="What it is for.")],
    audience: Annotated[list[str], typer.Option(help="An API that it is good for, by its audience; may be repeated.")],
    scope: Annotated[Many, typer.Option(help="A scope that it has; may be repeated.")] = None,
    address: Annotated[
        Many, typer.Option(help="A network it may be used from; may be repeated; any if absent.")
    ] = None,
    lifetime: Annotated[str | None, typer.Option(help="How long it lasts; the longest allowed if absent.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key of a client; it is shown this once."""
    settings = find_settings(file, data)
    span = None if lifetime is None else duration(lifetime)
    draft = KeyDraft(name, tuple(audience), tuple(scope or ()), tuple(address or ()), span)

    async def work(installation: Installation) -> NewKey:
        now = clock.now()
        engine = await engine_for(settings, installation.database, now=now)
        return await keys.make_for_client(engine, client_id, draft, settings.api_keys, actor=actor(), now=now)

    _print_made(with_store(settings, work), as_json=as_json)


@api_key_commands.command("list")
def key_list(
    client: Annotated[str | None, typer.Option(help="Only those of this client.")] = None,
    user: Annotated[str | None, typer.Option(help="Only those of the user with this id.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List keys that are not revoked, the newest first, at most 200."""

    async def work(installation: Installation) -> tuple[ApiKey, ...]:
        return await store.list_keys(installation.database.lookup, client_id=client, user_id=user, limit=200)

    found = with_store(find_settings(file, data), work)
    columns = ("id", "shown", "name", "client_id", "user_id", "expires_at", "last_used_at")
    print_rows([_row(key) for key in found], as_json=as_json, columns=columns)


@api_key_commands.command("rotate")
def key_rotate(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID")],
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the next key; the old one goes on working for a while."""
    settings = find_settings(file, data)

    async def work(installation: Installation) -> NewKey:
        now = clock.now()
        engine = await engine_for(settings, installation.database, now=now)
        return await keys.rotate(engine, key_id, settings.api_keys, actor=actor(), now=now)

    _print_made(with_store(settings, work), as_json=as_json)


@api_key_commands.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID")],
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """End a key or a personal access token at once; gateways hear of it."""
    confirm("Revoke this key?", yes=yes)
    settings = find_settings(file, data)

    async def work(installation: Installation) -> None:
        now = clock.now()
        engine = await engine_for(settings, installation.database, now=now)
        await keys.revoke(engine, key_id, actor=actor(), now=now)

    with_store(settings, work)
    typer.echo("Revoked.")
