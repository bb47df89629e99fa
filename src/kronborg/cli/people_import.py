"""`kronborg user import`."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from itertools import dropwhile
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, print_json
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.gateway.declare.installation import Installation
from kronborg.provisioning.import_people import Report, import_people
from kronborg.provisioning.import_reading import FORMATS, Format, Wrong, read_file

SHOWN = 100
"""Wrong lines that are told one by one."""
SOME_WRONG = 1


def user_import(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, CSV, or a Keycloak realm's export.")],
    format: Annotated[
        Format | None, typer.Option(help="What the file is; by default its suffix says: .jsonl, .csv, .json.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every line and write nothing.")] = False,
    from_line: Annotated[int, typer.Option(min=1, help="Begin with this line.")] = 1,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the people of a file, with the password hashes they had elsewhere; who is there already stays as they are.

    Lines that are wrong are told and make nobody; the exit code is 1 then. Running it again goes on where it stopped.
    """
    kind = format or FORMATS.get(source.suffix.lower())
    if kind is None:
        raise typer.BadParameter("say --format: the suffix of the file does not tell what it is")
    if not source.is_file():
        raise typer.BadParameter(f"there is no file {source}")
    settings = find_settings(file, data)
    told = _Told(quiet=as_json)

    async def work(installation: Installation) -> Report:
        lines = dropwhile(lambda line: line.line < from_line, read_file(source, kind))
        return await import_people(
            installation.database,
            lines,
            actor=actor(),
            now=clock.now(),
            schema=settings.people.attributes,
            dry_run=dry_run,
            wrong=told.wrong,
            progress=told.progress,
        )

    report = with_store(settings, work)
    told.done()
    if as_json:
        print_json({**asdict(report), "dry_run": dry_run, "wrong_lines": told.lines})
    else:
        made = "would be made" if dry_run else "made"
        typer.echo(f"{report.made} {made}, {report.there} there already, {report.wrong} of {report.lines} lines wrong.")
    if report.wrong:
        raise typer.Exit(SOME_WRONG)


class _Told:
    """What is said meanwhile, on standard error."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet, self._shown, self._began, self._last = quiet, 0, time.monotonic(), 0.0
        self.lines: list[dict[str, object]] = []

    def wrong(self, line: Wrong) -> None:
        self._shown += 1
        if self._shown > SHOWN:
            return
        self.lines.append({"line": line.line, "problems": [asdict(problem) for problem in line.problems]})
        if not self._quiet:
            for problem in line.problems:
                mend = f": {problem.mend}" if problem.mend else ""
                typer.echo(f"line {line.line}: {problem.where}: {problem.detail}{mend}", err=True)

    def progress(self, report: Report) -> None:
        now = time.monotonic()
        if self._quiet or not sys.stderr.isatty() or now - self._last < 0.5:
            return
        self._last = now
        rate = report.lines / max(now - self._began, 0.001)
        typer.echo(f"\r{report.lines} lines, {report.made} made, {rate:.0f} a second", err=True, nl=False)

    def done(self) -> None:
        if self._last:
            typer.echo("", err=True)
        if self._shown > SHOWN and not self._quiet:
            typer.echo(f"{self._shown - SHOWN} more lines are wrong.", err=True)
