"""`kronborg breaker …`: where breakers stand, and what they are ordered to do."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.whole import whole
from kronborg.gateway.breaker_model import Order
from kronborg.gateway.breaker_orders import Guarded, force, list_breakers
from kronborg.gateway.declare.installation import Installation

breaker_commands = typer.Typer(help="Breakers: services that are left alone while they fail.", no_args_is_help=True)

_STATES: dict[str, Order | None] = {"open": "open", "closed": "closed", "automatic": None}


def _row(one: Guarded) -> dict[str, object]:
    return {
        "service": one.service,
        "state": one.phase,
        "order": "automatic" if one.order is None else one.order.wanted,
        "ordered_by": None if one.order is None else one.order.actor,
        "gateways": [{"gateway": each.proxy, "state": each.phase, "since": each.since} for each in one.stands],
    }


@breaker_commands.command("list")
def breaker_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List breakers with their state on each gateway."""

    async def work(installation: Installation) -> tuple[Guarded, ...]:
        async with installation.database.read() as session:
            return await list_breakers(session)

    rows = [_row(one) for one in with_store(find_settings(file, data), work)]
    print_rows(rows, as_json=as_json, columns=("service", "state", "order", "ordered_by"))


@breaker_commands.command("force")
def breaker_force(
    service: Annotated[str, typer.Argument(metavar="SERVICE")],
    state: Annotated[str, typer.Argument(metavar="open|closed|automatic")],
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Force a breaker open or closed on every gateway, or let it decide again (automatic)."""
    if state not in _STATES:
        raise typer.BadParameter("say open, closed or automatic")
    wanted = _STATES[cast("Literal['open', 'closed', 'automatic']", state)]

    async def work(installation: Installation) -> Guarded:
        async with whole(installation.database) as session:
            await force(session, service, wanted, actor=actor(), now=clock.now())
            return next(one for one in await list_breakers(session) if one.service == service)

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)
