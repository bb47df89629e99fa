"""`kronborg certificate …`: what the gateway's TLS listeners show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kronborg.certificates import keep
from kronborg.certificates.model import Certificate
from kronborg.certificates.store import find_certificate, list_certificates
from kronborg.cli.options import DataOption, FileOption, YesOption, confirm
from kronborg.cli.output import JsonOption, print_one, print_rows
from kronborg.cli.store_access import actor, find_settings, with_store
from kronborg.core import clock
from kronborg.core.errors import NotFound
from kronborg.core.whole import whole
from kronborg.gateway.certificates import remove, shown_by
from kronborg.gateway.declare.installation import Installation

certificate_commands = typer.Typer(help="Certificates of the gateway's TLS listeners.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME")]
PemFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


def _row(certificate: Certificate) -> dict[str, object]:
    return {
        "name": certificate.name,
        "hosts": certificate.hosts,
        "source": certificate.source,
        "not_after": certificate.not_after,
        "fingerprint": certificate.fingerprint,
        "failure": certificate.failure,
    }


@certificate_commands.command("list")
def certificate_list(file: FileOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List certificates with the end of each."""

    async def work(installation: Installation) -> tuple[Certificate, ...]:
        async with installation.database.read() as session:
            return await list_certificates(session)

    rows = [_row(one) for one in with_store(find_settings(file, data), work)]
    print_rows(rows, as_json=as_json, columns=("name", "hosts", "source", "not_after", "failure"))


@certificate_commands.command("show")
def certificate_show(
    name: NameArgument, file: FileOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one certificate."""

    async def work(installation: Installation) -> Certificate:
        async with installation.database.read() as session:
            found = await find_certificate(session, name)
        if found is None:
            raise NotFound("there is no certificate with this name")
        return found

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@certificate_commands.command("upload")
def certificate_upload(
    name: NameArgument,
    chain: PemFile,
    key: PemFile,
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a certificate (CHAIN, PEM, the certificate first) with its private KEY, in place of the one of this name."""
    texts = chain.read_text(), key.read_text()

    async def work(installation: Installation) -> Certificate:
        async with whole(installation.database) as session:
            return await keep.upload(session, installation.vault, name, *texts, actor=actor(), now=clock.now())

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@certificate_commands.command("order")
def certificate_order(
    name: NameArgument,
    host: Annotated[list[str], typer.Argument(help="Public DNS names.")],
    file: FileOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the ACME server make a certificate; the worker orders it within a minute, and again before it ends."""

    async def work(installation: Installation) -> Certificate:
        async with whole(installation.database) as session:
            return await keep.wish(session, name, tuple(host), actor=actor(), now=clock.now())

    print_one(_row(with_store(find_settings(file, data), work)), as_json=as_json)


@certificate_commands.command("delete")
def certificate_delete(
    name: NameArgument, yes: YesOption = False, file: FileOption = None, data: DataOption = None
) -> None:
    """Forget a certificate and its key."""
    confirm("Forget this certificate and its key?", yes=yes)
    settings = find_settings(file, data)
    shown = shown_by(settings.listeners)

    async def work(installation: Installation) -> None:
        async with whole(installation.database) as session:
            await remove(session, name, shown, actor=actor(), now=clock.now())

    with_store(settings, work)
    typer.echo("Removed.")
