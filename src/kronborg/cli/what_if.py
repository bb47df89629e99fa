"""`kronborg draft what-if` and `kronborg version what-if`: what passed, decided once more, before it is published."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli.drafts import NameArgument, NumberArgument
from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_json
from kronborg.cli.store_access import PENDING, find_settings, with_store
from kronborg.core import clock
from kronborg.gateway.declare.installation import Installation
from kronborg.traffic.opened import open_traffic
from kronborg.traffic.parts import Traffic
from kronborg.traffic.questions import SPANS, span_of
from kronborg.traffic.what_if import MOST, Group, WhatIf, asked_for, told, what_if

SinceOption = Annotated[str, typer.Option("--since", help=f"How far back: {', '.join(SPANS)}.")]
MostOption = Annotated[int, typer.Option("--most", min=1, max=10_000_000, help="At most so many requests.")]
SecondsOption = Annotated[float, typer.Option("--seconds", min=1, max=3600, help="At most so long.")]


def draft_what_if(
    name: NameArgument,
    since: SinceOption = "1h",
    most: MostOption = MOST,
    seconds: SecondsOption = 60,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide what passed once more as a draft would. Exits with 3 when a request would newly be refused."""
    _replay(name, 0, since, most, seconds, file, data, as_json=as_json)


def version_what_if(
    number: NumberArgument,
    since: SinceOption = "1h",
    most: MostOption = MOST,
    seconds: SecondsOption = 60,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide what passed once more as going back to a version would. Exits with 3 when a request would newly fail."""
    _replay("", number, since, most, seconds, file, data, as_json=as_json)


def _replay(
    draft: str,
    version: int,
    since: str,
    most: int,
    seconds: float,
    file: Path | None,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    if since not in SPANS:
        raise typer.BadParameter(f"--since is one of {', '.join(SPANS)}")
    settings = find_settings(file, data)
    traffic = Traffic(partial(open_traffic, settings.traffic.store, settings.database_url, settings.data.absolute()))

    async def work(installation: Installation) -> WhatIf:
        database, now = installation.database, clock.now()
        wanted = await asked_for(
            database, draft, version, issuer=installation.issuer, gateway_url=installation.gateway_url
        )
        return await what_if(database, traffic, wanted, span_of(since, now), most=most, seconds=seconds)

    found = with_store(settings, work)
    if as_json:
        print_json(told(found))
    else:
        _print(found)
    if found.fails:
        raise typer.Exit(PENDING)


def _print(found: WhatIf) -> None:
    typer.echo(f"{found.replayed} requests replayed, {found.same} as before.")
    if found.more:
        typer.echo(f"There was more: this is what passed since {found.since.isoformat(timespec='seconds')}.")
    _lines("newly refused", found.refused)
    _lines("newly let through, refused before for", found.allowed)
    _lines("otherwise", found.otherwise)
    _lines("cannot be judged", found.unjudged)


def _lines(what: str, groups: Sequence[Group]) -> None:
    for one in groups:
        why = one.meaning or one.reason or f"goes to {one.now}"
        text = f"{one.n:>8}  {what}: {why}  route {one.route or '-'}, client {one.client or '-'}  {one.examples[0]}"
        # What callers send must not steer a terminal.
        typer.echo("".join(each if each.isprintable() else "?" for each in text))
