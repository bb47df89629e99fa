"""`kronborg provider …`: who else vouches for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from kronborg.cli.options import AccountsOption, DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.core.fetch import Fetcher
from kronborg.core.whole import whole
from kronborg.federation import providers
from kronborg.federation.check_connection import check_connection
from kronborg.federation.model import Provider
from kronborg.federation.providers_store import find_provider, list_providers, settings_json
from kronborg.gateway.declare.installation import Installation

provider_commands = typer.Typer(
    help="Identity providers: OpenID Connect, OAuth 2.0 and SAML. Make them in kronborg.yaml or the console.",
    no_args_is_help=True,
)
KeyArgument = Annotated[str, typer.Argument(metavar="KEY")]


def _row(provider: Provider, issuer: str) -> dict[str, object]:
    return {
        "key": provider.key,
        "kind": provider.kind,
        "name": provider.name,
        "enabled": provider.settings.enabled,
        "preset": provider.settings.preset,
        "has_secret": provider.secret is not None,
        "callback": providers.callback_of(issuer, provider.kind, provider.key),
        "settings": settings_json(provider.settings),
        "created_at": provider.created_at,
        "updated_at": provider.updated_at,
    }


@provider_commands.command("list")
def provider_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List identity providers by name."""
    settings = find_settings(file, data)

    async def work(installation: Installation) -> Sequence[Provider]:
        async with installation.database.read() as session:
            return await list_providers(session)

    rows = [_row(one, settings.issuer) for one in with_store(settings, work)]
    print_rows(rows, as_json=as_json, columns=("key", "kind", "name", "enabled", "callback"))


@provider_commands.command("show")
def provider_show(
    key: KeyArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one provider, and the address to register with it."""
    settings = find_settings(file, data)
    print_one(_row(with_store(settings, lambda one: _found(one, key)), settings.issuer), as_json=as_json)


@provider_commands.command("test")
def provider_test(
    key: KeyArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Ask the provider for its metadata and keys, as a sign-in would."""
    settings = find_settings(file, data)

    async def work(installation: Installation) -> str:
        fetcher = Fetcher(settings.fetch_allow, ca_file=settings.fetch_ca_file)
        return await check_connection(fetcher, await _found(installation, key), now=clock.now())

    wrong = with_store(settings, work)
    if as_json:
        print_one({"provider": key, "problem": wrong or "none"}, as_json=True)
    else:
        typer.echo(f"It fails: {wrong}." if wrong else "It works.")
    raise typer.Exit(1 if wrong else 0)


@provider_commands.command("enable")
def provider_enable(key: KeyArgument, file: FileOption = None, data: DataOption = None) -> None:
    """Let people sign in with it."""
    _switch(key, file, data, enabled=True)


@provider_commands.command("disable")
def provider_disable(key: KeyArgument, file: FileOption = None, data: DataOption = None) -> None:
    """Let nobody sign in with it; sessions that have begun go on."""
    _switch(key, file, data, enabled=False)


@provider_commands.command("delete")
def provider_delete(
    key: KeyArgument,
    accounts: AccountsOption = "release",
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Remove it and every link to it."""
    confirm("People who can sign in only with it are locked out until they reset their password. Go on?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await providers.remove_provider(session, key, accounts=accounts, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Deleted.")


def _switch(key: str, file: FileOption, data: DataOption, *, enabled: bool) -> None:
    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await providers.switch_provider(session, key, enabled=enabled, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Enabled." if enabled else "Disabled.")


async def _found(installation: Installation, key: str) -> Provider:
    async with installation.database.read() as session:
        provider = await find_provider(session, key)
    if provider is None:
        raise NotFound("there is no such identity provider")
    return provider
