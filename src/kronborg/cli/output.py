"""What commands print: tables for people on a terminal, JSON for machines with `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kronborg.core.json import JsonValue
from kronborg.gateway.declare.plan import Change, Plan

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}


def print_json(value: object) -> None:
    """One JSON document on standard output; times in RFC 3339."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def print_rows(rows: Sequence[Mapping[str, object]], *, as_json: bool, columns: Sequence[str]) -> None:
    """A list of objects: all of each as JSON, or `columns` as a table."""
    if as_json:
        print_json(list(rows))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(row.get(column))) for column in columns))
    _console().print(table)


def print_one(row: Mapping[str, object], *, as_json: bool) -> None:
    """One object."""
    if as_json:
        print_json(dict(row))
        return
    width = max(len(name) for name in row)
    for name, value in row.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {shown(value)}")


def shown(value: object) -> str:
    """A value as people read it; control characters are made visible."""
    match value:
        case None:
            return "-"
        case () | [] | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S UTC")
        case list() | tuple():
            return ", ".join(shown(item) for item in value)
        case Mapping():
            return "-" if not value else ", ".join(f"{key}: {shown(item)}" for key, item in value.items())
        case _:
            text = str(value)
            return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """What applying would do."""
    if as_json:
        print_json(plan_json(plan))
        return
    console = _console()
    for change in plan.changes:
        _print_change(console, change)
    for note in plan.notes:
        console.print(Text(f"  note: {note}", style="dim"))
    if plan.unmanaged:
        names = ", ".join(f"{one.kind} {shown(one.name)}" for one in plan.unmanaged[:20])
        more = f" and {len(plan.unmanaged) - 20} more" if len(plan.unmanaged) > 20 else ""
        console.print(Text(f"  not in any file, left alone: {names}{more}", style="dim"))
    console.print(Text(summary(plan)))


def summary(plan: Plan) -> str:
    """One line that counts."""
    if not plan.changes:
        return "Nothing to change."
    counts = {action: sum(1 for c in plan.changes if c.action == action) for action in _SIGNS}
    drifted = sum(1 for change in plan.changes if change.drift)
    told = f"{counts['create']} to create, {counts['update']} to update, {counts['delete']} to delete"
    return told + (f"; {drifted} drifted" if drifted else "")


def plan_json(plan: Plan) -> JsonValue:
    """A plan for machines."""
    value: JsonValue = orjson.loads(orjson.dumps(asdict(plan)))
    return value


def _print_change(console: Console, change: Change) -> None:
    sign, style = _SIGNS[change.action]
    drift = "   (changed outside the file)" if change.drift else ""
    console.print(Text(f"{sign} {change.kind} {shown(change.name)}{drift}", style=style))
    for field in change.fields:
        before = "" if change.action == "create" or field.after == "(changed)" else f"{shown(field.before)} → "
        mark = "   (drift)" if field.drift else ""
        console.print(Text(f"    {field.name}: {before}{shown(field.after)}{mark}"))


def _console() -> Console:
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 10_000  # what reads a pipe wants whole lines
    return console
