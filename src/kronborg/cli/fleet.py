"""`kronborg fleet …` and `kronborg gateway …`: which gateways there are, how they stand, and how one joins."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm, duration
from kronborg.cli.output import JsonOption, print_json, print_one, print_rows
from kronborg.cli.store_access import NOT_REACHABLE, actor, find_settings, with_store
from kronborg.config import load_settings
from kronborg.core import clock
from kronborg.core.errors import Invalid, NotFound, Problem
from kronborg.fleet import nodes
from kronborg.fleet.authority import open_authority
from kronborg.fleet.model import Invitation
from kronborg.fleet.show import Shown, shown
from kronborg.fleet.store import list_invitations
from kronborg.gateway.declare.installation import Installation

fleet_commands = typer.Typer(help="Gateways, here and on other machines.", no_args_is_help=True)
gateway_commands = typer.Typer(help="A gateway on this machine, of a control plane elsewhere.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def _row(one: Shown) -> dict[str, object]:
    return one.fields()


@fleet_commands.command("list")
def fleet_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List gateways with what they serve, and who is invited."""

    async def work(installation: Installation) -> tuple[list[Shown], list[Invitation]]:
        async with installation.database.read() as session:
            return await shown(session, now=clock.now()), list(await list_invitations(session))

    found, invited = with_store(find_settings(file, data), work)
    rows = [_row(one) for one in found]
    if as_json:
        waiting = [{"name": one.name, "expires_at": one.expires_at.isoformat()} for one in invited]
        print_json({"gateways": rows, "invitations": waiting})
        return
    columns = ("name", "state", "version", "newest", "kronborg", "envoy", "skew_ms", "seen_at", "reason")
    print_rows(rows, as_json=False, columns=columns)
    for one in invited:
        typer.echo(f"invited: {one.name}, until {one.expires_at:%Y-%m-%d %H:%M} UTC")


@fleet_commands.command("show")
def fleet_show(
    name: NameArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Everything known of one gateway."""

    async def work(installation: Installation) -> Shown:
        async with installation.database.read() as session:
            for one in await shown(session, now=clock.now()):
                if one.name == name:
                    return one
        raise NotFound("there is no gateway of this name")

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@fleet_commands.command("invite")
def fleet_invite(
    name: NameArgument,
    lifetime: Annotated[str, typer.Option(help="How long the token may be used, at most 7d.")] = "1h",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a token with which one gateway on another machine joins under this name, once. It is shown this once."""
    settings, span = find_settings(file, data), duration(lifetime)
    fleet = settings.fleet
    if fleet is None:
        mend = "give server.fleet a url, and start the control process again"
        raise Invalid(Problem("server.fleet", "is not set, so that no gateway could reach us", mend))

    async def work(installation: Installation) -> nodes.JoinToken:
        database, vault, now = installation.database, installation.vault, clock.now()
        authority = await open_authority(database, vault, now=now)
        return await nodes.invite(
            database, vault, authority, name, url=fleet.url, actor=actor(), now=now, lifetime=span
        )

    token = str(with_store(settings, work))
    if as_json:
        print_json({"name": name, "token": token})
        return
    typer.echo(token)
    typer.echo(f"On the other machine: kronborg gateway join TOKEN --data FOLDER (within {lifetime}, once)", err=True)


@fleet_commands.command("remove")
def fleet_remove(name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Take a gateway out of the fleet: it is refused from now on. What it has on its disk it goes on serving."""
    confirm("Remove this gateway from the fleet?", yes=yes)

    async def work(installation: Installation) -> None:
        await nodes.remove(installation.database, name, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")


@gateway_commands.command("join")
def gateway_join(
    token: Annotated[str, typer.Argument(help="What kronborg fleet invite printed; - reads it from standard input.")],
    data: Annotated[Path, typer.Option(help="The folder of this gateway; made when it is not there.")],
    host: Annotated[str, typer.Option(help="The address that callers reach; 0.0.0.0 for every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port that callers reach.")] = 8080,
    control_port: Annotated[int, typer.Option(min=1, max=65535, help="A free port on this machine.")] = 8082,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Threads of Envoy.")] = 2,
) -> None:
    """Join the fleet that made the token. Only connections from here to there are needed."""
    from kronborg.edge import first_files
    from kronborg.fleet.link import Away, EdgeSettings, join

    given = nodes.JoinToken.parse(typer.get_text_stream("stdin").readline() if token == "-" else token)  # noqa: S105
    wanted = EdgeSettings("", given.url, host, port, control_port, concurrency)
    folder = load_settings(None, data).data

    async def work() -> tuple[str, int]:
        joined = await join(given, folder, wanted)
        return joined.name, await first_files(folder)

    try:
        name, version = asyncio.run(work())
    except Away as away:
        typer.echo(f"The control plane does not answer at {given.url} ({away}).", err=True)
        raise typer.Exit(NOT_REACHABLE) from None
    typer.echo(f"Joined as {name}, with version {version}. Start it: kronborg run gateway --data {data}")
