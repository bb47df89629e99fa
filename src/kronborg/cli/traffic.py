"""`kronborg traffic …`: what passed the gateway, as it passes, by a search, and what there was most of."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import orjson
import typer

from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_rows
from kronborg.cli.store_access import find_settings
from kronborg.config import Settings
from kronborg.core import clock
from kronborg.traffic.opened import open_traffic
from kronborg.traffic.questions import SPANS, search_of, shown, span_of
from kronborg.traffic.questions import top as most_of
from kronborg.traffic.row_model import Row
from kronborg.traffic.search_model import By, Span, TrafficStore

traffic_commands = typer.Typer(help="What passed the gateway: tail, search, top.", no_args_is_help=True)

_COLUMNS = ("at", "status", "reason", "method", "path", "route", "client", "subject", "duration_us")
_POLL_SECONDS = 0.5
_LATE = timedelta(seconds=5)

SpanOption = Annotated[str, typer.Option("--span", help=f"The time until now: {', '.join(SPANS)}.")]
WordsArgument = Annotated[
    list[str] | None, typer.Argument(help="client:shop status:4xx user:… session:… address:… or a request id.")
]


class Column(StrEnum):
    """What `top` counts by."""

    route = "route"
    service = "service"
    client = "client"
    status = "status"
    reason = "reason"


_BY: dict[Column, By] = {
    Column.route: "route",
    Column.service: "service",
    Column.client: "client",
    Column.status: "status",
    Column.reason: "reason",
}


def _store(settings: Settings) -> TrafficStore:
    return open_traffic(settings.traffic.store, settings.database_url, settings.data.absolute())


def _known(span: str) -> str:
    if span not in SPANS:
        raise typer.BadParameter(f"the span is one of {', '.join(SPANS)}")
    return span


@traffic_commands.command("search")
def traffic_search(
    words: WordsArgument = None,
    span: SpanOption = "1h",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Requests, newest first: everything that a user, a session, a token or an address touched."""
    search = search_of(" ".join(words or ()), span_of(_known(span), clock.now()), people=True, limit=limit)
    rows = [shown(row, people=True) for row in _store(find_settings(file, data)).search(search)]
    print_rows(rows, as_json=as_json, columns=_COLUMNS)


@traffic_commands.command("top")
def traffic_top(
    by: Annotated[Column, typer.Argument(help="Counted by.")] = Column.route,
    span: SpanOption = "1h",
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """What there was most of."""
    found = most_of(_store(find_settings(file, data)), span_of(_known(span), clock.now()), _BY[by])
    rows: list[dict[str, object]] = [
        {"name": one.name, "requests": one.n, "refused": one.refused, "errors": one.errors} for one in found
    ]
    print_rows(rows, as_json=as_json, columns=("name", "requests", "refused", "errors"))


@traffic_commands.command("tail")
def traffic_tail(
    words: WordsArgument = None,
    once: Annotated[bool, typer.Option("--once", help="Print what there is of the last minutes and end.")] = False,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Requests as they pass, until Ctrl-C."""
    store, text = _store(find_settings(file, data)), " ".join(words or ())
    seen: set[str] = set()
    start = clock.now() - SPANS["15m"] if once else clock.now() - _LATE
    while True:
        now = clock.now()
        search = search_of(text, Span(start, now + timedelta(minutes=1)), people=True, limit=1000)
        rows = list(reversed(store.search(search)))
        _print([row for row in rows if str(row[1]) not in seen], as_json=as_json)
        if once:
            return
        # Records arrive a moment after they happened: the last seconds are asked for again.
        seen = {str(row[1]) for row in rows}
        start = max(start, now - _LATE)
        time.sleep(_POLL_SECONDS)


def _print(rows: Iterable[Row], *, as_json: bool) -> None:
    for row in rows:
        told = shown(row, people=True)
        if as_json:
            typer.echo(orjson.dumps(told).decode())
        else:
            text = "  ".join(str(told[name]) for name in _COLUMNS)
            # What callers send must not steer a terminal.
            typer.echo("".join(one if one.isprintable() else "?" for one in text))
