"""`kronborg quota …`: who is near or over a quota, and letting somebody begin anew."""

from __future__ import annotations

from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.gateway.declare.installation import Installation
from kronborg.limits.live import Live, live, reset

quota_commands = typer.Typer(help="Live counters of quotas.", no_args_is_help=True)


@quota_commands.command("list")
def quota_list(
    quota: Annotated[str, typer.Option(help="Only those of this quota.")] = "",
    who: Annotated[str, typer.Option(help="Only who begins with this.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List counters, those nearest to their end first."""

    async def work(installation: Installation) -> list[Live]:
        return await live(installation.database, now=clock.now(), quota=quota, who=who, limit=limit)

    rows: list[dict[str, object]] = [
        {
            "quota": one.quota,
            "who": one.who,
            "node": one.node,
            "state": one.state,
            "used": one.used,
            "count": one.count,
            "resets": one.resets,
            "identity": one.identity,
        }
        for one in with_store(find_settings(file, data), work)
    ]
    columns = ("quota", "who", "node", "state", "used", "count", "resets")
    print_rows(rows, as_json=as_json, columns=columns)


@quota_commands.command("reset")
def quota_reset(
    quota: Annotated[str, typer.Argument(metavar="QUOTA")],
    who: Annotated[str, typer.Argument(help="The client, user or address, as the list shows it.")],
    node: Annotated[str, typer.Option(help="The gateway that counts on its own, as the list shows it.")] = "",
    yes: YesOption = False,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Let somebody begin anew with a quota; gateways hear of it within two seconds."""
    confirm("Forget what was used of this quota?", yes=yes)

    async def work(installation: Installation) -> None:
        async with installation.database.write() as session:
            identity = f"{node}\t{who}" if node else who
            await reset(session, quota, identity, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Reset.")
