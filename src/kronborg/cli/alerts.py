"""`kronborg alerts …`: what fires, the rules, silences."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.durations import parse_duration
from kronborg.gateway.alert_rules_store import list_rules
from kronborg.gateway.declare.alert_section import alert_fields
from kronborg.gateway.declare.installation import Installation
from kronborg.traffic import alerts
from kronborg.traffic.alerts_store import firing, list_alerts

alerts_commands = typer.Typer(help="Alerts: what fires, rules, silences.", no_args_is_help=True)


@alerts_commands.command("list")
def alerts_list(
    history: Annotated[bool, typer.Option("--history", help="What fired before too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """What fires now."""

    async def work(installation: Installation) -> list[dict[str, object]]:
        async with installation.database.read() as session:
            found = await (list_alerts(session, limit=limit) if history else firing(session))
        return [{**asdict(one), "fired_at": one.fired_at, "resolved_at": one.resolved_at} for one in found]

    columns = ("severity", "title", "subject", "peak", "unit", "fired_at", "resolved_at")
    print_rows(with_store(find_settings(file, data), work), as_json=as_json, columns=columns)


@alerts_commands.command("rules")
def alerts_rules(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """The rules that hold; a file declares them in its section alerts."""

    async def work(installation: Installation) -> list[dict[str, object]]:
        async with installation.database.read() as session:
            return [{"name": rule.name, **alert_fields(rule)} for rule in await list_rules(session)]

    columns = ("name", "measure", "when", "threshold", "lasting", "severity", "disabled")
    print_rows(with_store(find_settings(file, data), work), as_json=as_json, columns=columns)


@alerts_commands.command("silence")
def alerts_silence(
    rule: Annotated[str, typer.Argument(help="The rule; all when absent.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why nobody should be told.")] = "",
    lasts: Annotated[str, typer.Option("--for", help="For how long: 1h, 2d.")] = "4h",
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Let nobody be told of a rule for a while."""
    try:
        span = parse_duration(lasts)
    except ValueError as error:
        raise typer.BadParameter(f"--for {error}") from None
    now = clock.now()

    async def work(installation: Installation) -> str:
        async with installation.database.write() as session:
            return (await alerts.silence(session, rule, reason=reason, until=now + span, actor=actor(), now=now)).id

    typer.echo(f"Silenced; end it before with kronborg alerts end {with_store(find_settings(file, data), work)}")


@alerts_commands.command("end")
def alerts_end(
    silence: Annotated[str, typer.Argument(help="The id of the silence.")],
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """End a silence."""

    async def work(installation: Installation) -> None:
        async with installation.database.write() as session:
            await alerts.end_silence(session, silence, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("People are told again.")
