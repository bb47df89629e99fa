"""`kronborg surface …`: what is reachable, what is wrong with it, what changed; `check` fails a build."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import orjson
import typer

from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.gateway.declare.installation import Installation
from kronborg.traffic import surface_refresh
from kronborg.traffic.surface_kinds_model import KINDS
from kronborg.traffic.surface_model import SEVERITIES, Finding, Surface
from kronborg.watching import listeners_of, traffic_of

surface_commands = typer.Typer(help="The attack surface: show, diff, check, acknowledge.", no_args_is_help=True)

FOUND = 2
"""`check` found something."""
_FINDINGS = ("severity", "title", "place", "detail", "id")
_EXPOSURES = ("place", "methods", "access", "scopes", "limits", "route")


class Grave(StrEnum):
    """How grave a finding is."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"


def _row(one: Finding, surface: Surface) -> dict[str, object]:
    kind = KINDS[one.kind]
    told = {**asdict(one), "title": kind.title, "why": kind.why, "mend": kind.mend}
    return {**told, "acknowledged": one.id in surface.acknowledged}


def _judged(file: FileOption, data: DataOption) -> Surface:
    """The surface of now. Exits with 1 before anything was published."""
    settings = find_settings(file, data)
    traffic, listeners = traffic_of(settings), listeners_of(settings)

    async def work(installation: Installation) -> Surface | None:
        return await surface_refresh.refresh(
            installation.database, traffic, settings.surface, listeners, now=clock.now()
        )

    surface = with_store(settings, work)
    if surface is None:
        typer.echo("Nothing is published yet.", err=True)
        raise typer.Exit(1)
    return surface


@surface_commands.command("show")
def surface_show(
    published: Annotated[bool, typer.Option("--published", help="What is published, in place of findings.")] = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the surface now: its score and findings, or with --published all that it lets in."""
    surface = _judged(file, data)
    if published:
        rows = [{**asdict(one), "place": one.place} for one in surface.exposures]
        print_rows(rows if as_json else [_flat(row) for row in rows], as_json=as_json, columns=_EXPOSURES)
        return
    if not as_json:
        typer.echo(f"Score {surface.score} of 100, version {surface.version}.")
    print_rows([_row(one, surface) for one in surface.findings], as_json=as_json, columns=_FINDINGS)


def _flat(row: dict[str, object]) -> dict[str, object]:
    return {name: " ".join(map(str, value)) if isinstance(value, tuple) else value for name, value in row.items()}


@surface_commands.command("check")
def surface_check(
    grave: Annotated[Grave, typer.Option("--severity", help="Fail on findings as grave as this.")] = Grave.high,
    score: Annotated[int, typer.Option("--score", min=0, max=100, help="Fail below this score.")] = 0,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """For a build: ends with 2 when a finding that nobody acknowledged is grave enough, or the score is too low."""
    surface = _judged(file, data)
    counted = SEVERITIES[: SEVERITIES.index(grave.value) + 1]
    found = [one for one in surface.open if one.severity in counted]
    rows = [_row(one, surface) for one in found]
    if as_json:
        typer.echo(orjson.dumps({"score": surface.score, "findings": rows}).decode())
    else:
        typer.echo(f"Score {surface.score} of 100; {len(found)} findings count.")
        print_rows(rows, as_json=False, columns=_FINDINGS)
    if found or surface.score < score:
        raise typer.Exit(FOUND)


@surface_commands.command("diff")
def surface_diff(
    before: Annotated[datetime | None, typer.Argument(formats=["%Y-%m-%d"], help="A week ago when absent.")] = None,
    after: Annotated[datetime | None, typer.Argument(formats=["%Y-%m-%d"], help="Today when absent.")] = None,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """What became reachable, open, weaker, closed and stronger between two dates."""
    today: date = clock.now().date()
    first = today - timedelta(days=7) if before is None else before.date()
    second = today if after is None else after.date()
    settings = find_settings(file, data)
    found, *_ = with_store(settings, lambda installation: surface_refresh.compare(installation.database, first, second))
    rows = [{"change": name, **one} for name, changes in asdict(found).items() for one in changes]
    print_rows(rows, as_json=as_json, columns=("change", "path", "method", "route", "what"))


@surface_commands.command("acknowledge")
def surface_acknowledge(
    finding: Annotated[str, typer.Argument(help="The id of the finding.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it may stay.")],
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="For how long.")] = 90,
    file: FileOption = None,
    data: DataOption = None,
) -> None:
    """Live with a finding for some days: it stays listed and does not count."""
    settings, now = find_settings(file, data), clock.now()

    async def work(installation: Installation) -> None:
        surface = await surface_refresh.last_surface(installation.database, whole=False)
        found = next((one for one in (surface.findings if surface else ()) if one.id == finding), None)
        if found is None:
            raise NotFound("there is no such finding, or no more")
        async with installation.database.write() as session:
            until = now + timedelta(days=days)
            await surface_refresh.acknowledge(session, found, reason=reason, until=until, actor=actor(), now=now)

    with_store(settings, work)
    typer.echo(f"Acknowledged for {days} days.")
