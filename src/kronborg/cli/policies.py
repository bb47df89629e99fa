"""`kronborg policy …`: Cedar policies that routes share; each change is published, or refused as a whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.db import Session
from kronborg.core.errors import NotFound
from kronborg.core.whole import whole
from kronborg.gateway.access_model import NamedPolicy
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.policy_changes import retire_policy, routes_with, save_policy
from kronborg.gateway.publish import publish_declared
from kronborg.gateway.shared_policies_store import find_policy, list_policies
from kronborg.gateway.store import list_routes

policy_commands = typer.Typer(help="Cedar policies that routes share.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="NAME")]


def _publish(file: Path | None, data: Path | None, change: Callable[[Session], Awaitable[object]]) -> int:
    async def work(installation: Installation) -> int:
        async with whole(installation.database) as session:
            await change(session)
            snapshot = await publish_declared(
                session,
                issuer=installation.issuer,
                gateway_url=installation.gateway_url,
                author=actor(),
                now=clock.now(),
            )
            return snapshot.version

    return with_store(find_settings(file, data), work)


@policy_commands.command("list")
def policy_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List them by name, with the routes that name them."""

    async def work(installation: Installation) -> list[dict[str, object]]:
        async with installation.database.read() as session:
            routes = await list_routes(session)
            return [
                {
                    "name": one.name,
                    "text": one.text,
                    "routes": [route.name for route in routes if one.name in route.policies],
                }
                for one in await list_policies(session)
            ]

    print_rows(with_store(find_settings(file, data), work), as_json=as_json, columns=("name", "routes"))


@policy_commands.command("show")
def policy_show(
    name: NameArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one of them."""

    async def work(installation: Installation) -> dict[str, object]:
        async with installation.database.read() as session:
            policy = await find_policy(session, name)
            if policy is None:
                raise NotFound("there is no policy with this name")
            routes = [route.name for route in await routes_with(session, name)]
        return {"name": name, "routes": routes, "text": policy.text}

    print_one(with_store(find_settings(file, data), work), as_json=as_json)


@policy_commands.command("set")
def policy_set(
    name: NameArgument,
    source: Annotated[Path, typer.Argument(metavar="CEDAR", help="A file of Cedar.", exists=True, dir_okay=False)],
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make or replace one, and publish it."""
    wanted = NamedPolicy(name, source.read_text(encoding="utf-8"))

    async def change(session: Session) -> None:
        await save_policy(session, wanted, actor=actor(), now=clock.now())

    print_one({"name": name, "snapshot": _publish(file, data, change)}, as_json=as_json)


@policy_commands.command("remove")
def policy_remove(name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Remove one that no route names."""
    confirm("Remove this policy?", yes=yes)

    async def change(session: Session) -> None:
        await retire_policy(session, name, actor=actor(), now=clock.now())

    typer.echo(f"Removed; the gateway has snapshot {_publish(file, data, change)}.")
