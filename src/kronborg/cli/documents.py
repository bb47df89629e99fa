"""`kronborg service document …`: the OpenAPI documents that requests are held against."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.whole import whole
from kronborg.gateway.declare.installation import Installation
from kronborg.gateway.documents import drop_document, set_document
from kronborg.gateway.documents_model import ServiceDocument
from kronborg.gateway.documents_store import list_documents

document_commands = typer.Typer(help="OpenAPI documents of services.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="SERVICE")]


@document_commands.command("set")
def document_set(
    name: Name,
    document: Annotated[Path, typer.Argument(help="OpenAPI 3.0 or 3.1, JSON or YAML.", exists=True, dir_okay=False)],
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a service its document; it holds at every gateway within a second."""
    content = document.read_bytes()

    async def work(installation: Installation) -> ServiceDocument:
        async with whole(installation.database) as session:
            return await set_document(session, name, content, actor=actor(), now=clock.now())

    print_one(asdict(with_store(find_settings(file, data), work)), as_json=as_json)


@document_commands.command("list")
def document_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List what is known of every document."""

    async def work(installation: Installation) -> tuple[ServiceDocument, ...]:
        async with installation.database.read() as session:
            return await list_documents(session)

    found = with_store(find_settings(file, data), work)
    columns = ("service", "title", "version", "operations", "source", "problem")
    print_rows([asdict(one) for one in found], as_json=as_json, columns=columns)


@document_commands.command("remove")
def document_remove(name: Name, yes: YesOption = False, file: FileOption = None, data: DataOption = None) -> None:
    """Take it away; routes that enforce it are closed from then on."""
    confirm("Remove this document?", yes=yes)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await drop_document(session, name, actor=actor(), now=clock.now())

    with_store(find_settings(file, data), work)
    typer.echo("Removed.")
