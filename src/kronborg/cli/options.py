"""Options that several commands share, and the questions they ask."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import PydanticCustomError

from kronborg.accounts.parting import Parting
from kronborg.config import environment
from kronborg.core.quantities import parse_duration

FileOption = Annotated[Path | None, typer.Option("--file", "-f", help="The declarative file, kronborg.yaml.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="The folder that holds keys, database and logs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]
SearchOption = Annotated[str, typer.Option("--search", help="Only those whose name begins with this.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AccountsOption = Annotated[
    Parting,
    typer.Option("--accounts", help="Its accounts: `release` them, `disable` them, or `keep` them for a new one."),
]
EnvOption = Annotated[str | None, typer.Option("--from-env", help="Read it from this environment variable.")]
FromFileOption = Annotated[Path | None, typer.Option("--from-file", help="Read it from this file.")]
StdinOption = Annotated[bool, typer.Option("--stdin", help="Read it from standard input.")]

_MOST = 4096


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost; without a terminal only `--yes` is an answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter("say --yes: there is nobody to ask")
    if not typer.confirm(question):
        raise typer.Exit(1)


def duration(text: str) -> timedelta:
    """`15m` as a duration; a usage error otherwise."""
    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        raise typer.BadParameter(error.message()) from None


def read_password(env: str | None, file: Path | None, *, stdin: bool) -> str:
    """A password from where it is told to be, else asked for twice. Never an argument: those are seen by everyone."""
    if sum((env is not None, file is not None, stdin)) > 1:
        raise typer.BadParameter("name one of --from-env, --from-file and --stdin")
    if env is not None:
        value = environment().get(env, "")
        if not value:
            raise typer.BadParameter(f"the environment variable {env} is not set")
        return value
    if file is not None:
        try:
            return _first_line(file.read_bytes()[:_MOST])
        except OSError as error:
            raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from None
    if stdin or not sys.stdin.isatty():
        return _first_line(sys.stdin.buffer.readline(_MOST))
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _first_line(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").split("\n")[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise typer.BadParameter("the password is not UTF-8") from None
