"""`kronborg plan`, `apply`, `export` and `init`: configuration as data."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli import app
from kronborg.cli.delivered import told, word_of_the_gateway
from kronborg.cli.options import DataOption, FileOption
from kronborg.cli.output import JsonOption, plan_json, print_json, print_plan, summary
from kronborg.cli.store_access import PENDING, actor, find_settings, prepare, with_store
from kronborg.clients.register import ensure_admin_api
from kronborg.clients.scim_api import ensure_scim_api
from kronborg.config import Settings, environment
from kronborg.core import clock
from kronborg.core.errors import Invalid, Problem
from kronborg.gateway.declare.apply import Applied
from kronborg.gateway.declare.apply import apply as apply_document
from kronborg.gateway.declare.export import export as export_store
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.declare.plan import Plan, make_plan
from kronborg.gateway.declare.read import Loaded, read_bytes, read_file
from kronborg.gateway.declare.secret_sources import Secrets

MOST_BYTES = (1 << 20) + 1


@app.command()
def plan(
    file: FileOption = None,
    data: DataOption = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 when something would change.")] = False,
    draft: Annotated[str, typer.Option("--draft", help="Compare with a draft in place of what is declared.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show what applying kronborg.yaml would change, and what was changed outside it. Changes nothing."""
    settings, loaded, secrets = _read(file, data)
    prepare(settings)

    async def work(installation: Installation) -> Plan:
        await _with_own_api(installation)
        return (await make_plan(installation, loaded, secrets, draft=draft)).plan

    made = with_store(settings, work)
    print_plan(made, as_json=as_json)
    if exit_code and made.changes:
        raise typer.Exit(PENDING)


@app.command()
def apply(
    file: FileOption = None,
    data: DataOption = None,
    digest: Annotated[
        str | None, typer.Option(help="Apply only if the plan still has this digest (see plan --json).")
    ] = None,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Told in the list of versions.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make the store what kronborg.yaml says: all of it, or nothing. The gateway follows at once.

    Exits with 1 when the running gateway refuses what was published; it then stays on the version before.
    """
    settings, loaded, secrets = _read(file, data)
    prepare(settings)
    applied = _apply(settings, loaded, secrets, digest, comment)
    said = with_store(settings, lambda installation: word_of_the_gateway(settings, installation, applied.snapshot))
    refused = said is not None and said.status == "rejected"
    if as_json:
        delivery = None if said is None else {"status": said.status, "reason": said.reason}
        print_json({"plan": plan_json(applied.plan), "snapshot": applied.snapshot, "delivery": delivery})
    else:
        print_plan(applied.plan, as_json=False)
        typer.echo(told(said, applied.snapshot), err=refused)
    if refused:
        raise typer.Exit(1)


@app.command()
def export(
    file: FileOption = None,
    data: DataOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead of printing.")] = None,
) -> None:
    """Write everything in the store as a kronborg.yaml. Secrets become references to the environment."""
    settings = find_settings(file, data)

    async def work(installation: Installation) -> str:
        async with installation.database.read() as session:
            return await export_store(session, issuer=settings.issuer, gateway_url=settings.gateway_url)

    text = with_store(settings, work)
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("kronborg.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented kronborg.yaml to start from."""
    if path.exists() and not force:
        raise Invalid(Problem(str(path), "is there already", "name another path, or say --force"))
    path.write_text(starter_text(), encoding="utf-8")
    typer.echo(f"Wrote {path}. Next: kronborg up -f {path}")


def starter_text() -> str:
    """The commented file that `init` writes."""
    return files("kronborg.gateway.declare").joinpath("starter.yaml").read_text(encoding="utf-8")


def apply_file(settings: Settings, file: Path) -> Applied:
    """Apply a file to a prepared installation, and say in one line what was done. Raises `Invalid`."""
    loaded = read_file(file)
    secrets = Secrets(environment(), loaded.source.folder)
    applied = _apply(settings, loaded, secrets, None)
    typer.echo(f"  {file.name}: {summary(applied.plan)}", err=True)
    return applied


def _apply(settings: Settings, loaded: Loaded, secrets: Secrets, digest: str | None, comment: str = "") -> Applied:
    async def work(installation: Installation) -> Applied:
        await _with_own_api(installation)
        now = clock.now()
        return await apply_document(
            installation, loaded, secrets, actor=actor(), now=now, digest=digest, comment=comment
        )

    return with_store(settings, work)


async def _with_own_api(installation: Installation) -> None:
    """See that a file can name the scopes of the admin API before anything was ever started."""
    await ensure_admin_api(installation.database, issuer=installation.issuer, now=clock.now())
    await ensure_scim_api(installation.database, issuer=installation.issuer, now=clock.now())


def _read(file: Path | None, data: Path | None) -> tuple[Settings, Loaded, Secrets]:
    """The settings, the document and where its secrets are; `-f -` reads it from standard input."""
    if file is not None and str(file) == "-":
        settings = find_settings(None, data)
        loaded = read_bytes(sys.stdin.buffer.read(MOST_BYTES), name="standard input", folder=Path.cwd())
    else:
        settings = find_settings(file, data)
        if settings.file is None:
            raise Invalid(Problem("kronborg.yaml", "is not here", "name it by -f, or write one with kronborg init"))
        loaded = read_file(settings.file)
    return settings, loaded, Secrets(environment(), loaded.source.folder)
